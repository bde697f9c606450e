package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// rollBackWithin bounds how long going back to a configuration that stood before may
// take until that is reported.
const rollBackWithin = 30 * time.Second

// minConfirm and maxConfirm bound how long a reload may wait to be confirmed.
const (
	minConfirm = time.Second
	maxConfirm = time.Hour
)

// errUnconfirmed is why a reload is rolled back that nobody confirmed.
var errUnconfirmed = errors.New("nobody confirmed the reload in time")

// reloader goes over to the file as it is now, for whoever asks: a signal, the
// control socket, a change of the file. One reload is under way at a time.
type reloader struct {
	flags    runFlags
	files    *config.Cache
	director *director.Director
	log      *slog.Logger
	// reloaded is told of each configuration that was gone over to.
	reloaded func(*config.Config)
	// preview is what going over to a configuration would change.
	preview func(ctx context.Context, c *config.Config) (director.Preview, error)
	// again asks for a reload on the daemon's own account, edited for one if the file
	// is another; each has room for one.
	again, edited chan struct{}

	// background and work are what reloads run in: one goes on when who asked for it
	// has gone.
	background context.Context
	work       *sync.WaitGroup

	// turn is held while a reload is under way, or taken back. It guards current, the
	// configuration in force, rejected, the hash of the one that was taken back last,
	// and files.
	turn     sync.Mutex
	current  *config.Config
	rejected string

	// mu guards pending, the reload that waits to be confirmed; nil if none does. It
	// is held for moments only.
	mu      sync.Mutex
	pending *pendingReload
}

// pendingReload is a reload that waits to be confirmed.
type pendingReload struct {
	until  time.Time
	before *config.Config
	// confirmed is closed when it is.
	confirmed chan struct{}
	// asked is that another reload was asked for meanwhile; it comes afterwards.
	asked bool
}

// reloadOutcome is what a reload came to.
type reloadOutcome struct {
	answer control.ReloadAnswer
	err    error
}

// Reload implements control.Source.
func (r *reloader) Reload(ctx context.Context, request control.ReloadRequest) (control.ReloadAnswer, error) {
	if request.Confirm != 0 && (request.Confirm < minConfirm || request.Confirm > maxConfirm) {
		return control.ReloadAnswer{}, &control.Error{
			Code: control.CodeBadRequest, Message: fmt.Sprintf("confirm %s: want %s..%s, or 0 for none", request.Confirm, minConfirm, maxConfirm),
		}
	}
	if !r.turn.TryLock() {
		return control.ReloadAnswer{}, &control.Error{Code: control.CodeBusy, Message: "another reload is under way"}
	}
	done := make(chan reloadOutcome, 1)
	r.work.Go(func() {
		defer r.turn.Unlock()
		answer, err := r.reload(r.background, &request)
		done <- reloadOutcome{answer, err}
	})
	select {
	case o := <-done:
		return o.answer, o.err
	case <-ctx.Done():
		return control.ReloadAnswer{}, &control.Error{Code: control.CodeTimeout, Message: "the reload goes on: its outcome will be in the status"}
	}
}

// ask asks for a reload and does not wait for it. One that was asked for and has not
// begun stands for this one too.
func (r *reloader) ask() { request(r.again) }

// askIfEdited is ask, unless the file is one that needs none then.
func (r *reloader) askIfEdited() { request(r.edited) }

func request(from chan<- struct{}) {
	select {
	case from <- struct{}{}:
	default:
	}
}

// run carries out what was asked for by ask and askIfEdited, until ctx ends.
func (r *reloader) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.again:
			r.onOwnAccount(ctx, false)
		case <-r.edited:
			r.onOwnAccount(ctx, true)
		}
	}
}

// onOwnAccount reloads where nobody waits for an answer; ifEdited is to spare it where
// the file needs none. While a reload waits to be confirmed it is put off.
func (r *reloader) onOwnAccount(ctx context.Context, ifEdited bool) {
	r.turn.Lock()
	defer r.turn.Unlock()
	if ifEdited && r.isKnown() || r.putOff() {
		return
	}
	_, _ = r.reload(ctx, nil) // it is in log and status
}

// isKnown reports whether the file is the one that runs, or was taken back and has not
// been another since. It needs turn.
func (r *reloader) isKnown() bool {
	hash, err := hashOf(r.flags.file.path)
	if err != nil {
		return false // the reload says why
	}
	if hash != r.rejected {
		r.rejected = ""
	}
	if hash == r.rejected {
		r.log.Info("the file is left as it is: it was taken back, and has not changed since", "config", r.flags.file.path)
	}
	return hash == r.current.Hash || hash == r.rejected
}

// reload goes over to the file as it is now, or says why not, in the log too. Request
// is nil where nobody waits for an answer. It needs turn.
func (r *reloader) reload(ctx context.Context, request *control.ReloadRequest) (control.ReloadAnswer, error) {
	if until := r.confirmUntil(); !until.IsZero() {
		err := &control.Error{
			Code: control.CodeBusy, Message: fmt.Sprintf("another reload waits to be confirmed until %s", until.Format(time.RFC3339)),
		}
		r.log.Warn("reload refused, nothing changed", "err", err)
		return control.ReloadAnswer{}, err
	}
	tellSystemd(r.log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
	defer tellSystemd(r.log, daemon.SdNotifyReady)
	answer, err := r.goOver(ctx, request)
	if err != nil {
		rest()
	}
	return answer, err
}

// goOver validates the file, finds out what it would change, and has it applied.
func (r *reloader) goOver(ctx context.Context, request *control.ReloadRequest) (answer control.ReloadAnswer, err error) {
	loading()
	c, err := r.flags.load(r.files)
	if err != nil {
		return answer, r.refused(control.CodeInvalidFile, err)
	}
	warn(r.log, c)
	if request != nil {
		if answer.Plan, err = r.preview(ctx, c); err != nil {
			return answer, r.refused(control.CodeFailed, fmt.Errorf("plan: %w", err))
		}
	}
	if err := r.director.Reload(ctx, c); err != nil {
		return answer, r.refused(control.CodeRolledBack, err)
	}
	if err := r.settle(ctx, c.Reload.SettleWithin); ctx.Err() != nil {
		return answer, &control.Error{Code: control.CodeFailed, Message: "the daemon ends"}
	} else if err != nil {
		return answer, r.takeBack(ctx, c, r.current, err)
	}
	before := r.current
	r.rejected = ""
	r.follow(c)
	r.log.Info("reloaded", "config", r.flags.file.path)
	if request != nil && request.Confirm > 0 {
		answer.ConfirmUntil = r.awaitConfirmation(before, request.Confirm)
	}
	return answer, nil
}

// settle waits until the kernel is as the director's configuration says.
func (r *reloader) settle(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("it took more than %s", within))
	defer cancel()
	return r.director.Settle(ctx)
}

// follow notes the configuration that is in force now, and tells of it.
func (r *reloader) follow(c *config.Config) {
	r.current = c
	r.reloaded(c)
}

// refused tells that a file was refused and nothing changed.
func (r *reloader) refused(code string, err error) error {
	var problems config.Problems
	if !errors.As(err, &problems) {
		r.log.Error("reload refused, nothing changed", "err", err)
	}
	for _, problem := range problems {
		r.log.Error("reload refused, nothing changed", "err", problem)
	}
	r.director.ReloadFailed(err)
	return &control.Error{Code: code, Message: err.Error()}
}

// takeBack goes back from a configuration to the one that was in force before, because
// of cause. The error tells of both.
func (r *reloader) takeBack(ctx context.Context, from, before *config.Config, cause error) error {
	r.rejected = from.Hash
	r.log.Error("rolling back to the configuration before; the file is left as it is", "reason", cause)
	err := r.director.RollBack(ctx, before, cause)
	if err == nil {
		err = r.settle(ctx, rollBackWithin)
	}
	r.follow(before)
	if err != nil {
		r.log.Error("not all is as it was before", "err", err)
		return &control.Error{Code: control.CodeRolledBack, Message: fmt.Sprintf("%s; rolled back, but not all is as it was before: %s", cause, err)}
	}
	r.log.Info("rolled back to the configuration before", "config", r.flags.file.path)
	return &control.Error{Code: control.CodeRolledBack, Message: fmt.Sprintf("%s; the configuration before stands", cause)}
}
