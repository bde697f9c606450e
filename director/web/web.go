// Package web is the page for browsers: one embedded page without anything from
// elsewhere, live by server-sent events, and the API of the control socket beside it,
// for who may look and who may change something. It must not decide anything: it shows
// what the director tells, and hands on what an operator orders.
package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/control"
)

// Serve answers on c.Listen until ctx ends. The error is that it cannot listen, or
// cannot read its certificate. What takes long is carried on after ctx, until the daemon
// ends; see control.WithDaemon.
func Serve(ctx context.Context, c config.Web, source control.Source, log *slog.Logger) error {
	if !c.Listen.IsValid() {
		<-ctx.Done()
		return nil
	}
	s := newSite(c, source, log)
	if c.Certificate != "" {
		keys := &keyPair{certificate: c.Certificate, key: c.Key, log: log}
		if err := keys.load(); err != nil {
			return fmt.Errorf("the page: %w", err)
		}
		s.keys = keys
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen.String())
	if err != nil {
		return fmt.Errorf("the page: %w", err)
	}
	if !c.Listen.Addr().IsLoopback() && s.keys == nil {
		log.Warn("the page is served without TLS beyond this host", "listen", c.Listen)
	}
	return s.serve(ctx, listener)
}
