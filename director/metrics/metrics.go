// Package metrics tells Prometheus what the daemon tells of itself. It must not know
// how anything is found out: all is taken from the director's status and traffic.
//
// Each metric is a line in the table of its subject (daemon.go, instance.go,
// service.go and so on); subject.go makes series of them.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// Path is where metrics are.
const Path = "/metrics"

// Who asks may take this long: to send the header, and all in all. maxHeader bounds
// its bytes.
const (
	headerTimeout = 5 * time.Second
	answerTimeout = 30 * time.Second
	idleTimeout   = 5 * time.Minute
	maxHeader     = 8 << 10
	// endTimeout is how long answers under way are waited for at the end.
	endTimeout = time.Second
)

// Source is what the metrics are of.
type Source interface {
	Status() director.Status
	Traffic(ctx context.Context) (director.Traffic, error)
}

// Serve answers on c.Listen until ctx ends. The error is that it cannot listen.
func Serve(ctx context.Context, c config.Metrics, source Source, log *slog.Logger) error {
	if !c.Listen.IsValid() {
		<-ctx.Done()
		return nil
	}
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", c.Listen.String())
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return serve(ctx, listener, c, source, log)
}

// serve answers on the listener, and closes it.
func serve(ctx context.Context, listener net.Listener, c config.Metrics, source Source, log *slog.Logger) error {
	server := &http.Server{
		Handler:           newHandler(c, source, log),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Info("metrics are told", "listen", listener.Addr().String(), "path", Path)
	select {
	case err := <-failed:
		return fmt.Errorf("metrics: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if err := server.Shutdown(ending); err != nil {
		_ = server.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
