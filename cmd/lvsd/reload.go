package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// reloader goes over to the file as it is now, for whoever asks: a signal, the
// control socket, a change of the file.
type reloader struct {
	flags    runFlags
	files    *config.Cache
	director *director.Director
	log      *slog.Logger
	// reloaded is told of each configuration that was gone over to.
	reloaded func(*config.Config)
}

// Reload implements control.Source.
func (r *reloader) Reload(context.Context, control.ReloadRequest) (control.ReloadAnswer, error) {
	return control.ReloadAnswer{}, errors.ErrUnsupported
}

// Confirm implements control.Source.
func (r *reloader) Confirm(context.Context) error {
	return &control.Error{Code: control.CodeNothingToConfirm, Message: "no reload waits to be confirmed"}
}

// hangUp goes over to the file as it is now, or says why not and changes nothing.
func (r *reloader) hangUp(ctx context.Context) {
	tellSystemd(r.log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
	defer tellSystemd(r.log, daemon.SdNotifyReady)
	loading()
	c, err := r.flags.load(r.files)
	if err == nil {
		err = r.director.Reload(ctx, c)
	}
	if err == nil {
		r.reloaded(c)
		r.log.Info("reloaded", "config", r.flags.file.path)
		return
	}
	rest()
	var problems config.Problems
	if !errors.As(err, &problems) {
		r.log.Error("reload refused, nothing changed", "err", err)
	}
	for _, problem := range problems {
		r.log.Error("reload refused, nothing changed", "err", problem)
	}
	r.director.ReloadFailed(err)
}
