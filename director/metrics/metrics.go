// Package metrics tells Prometheus what the daemon tells of itself. It must not know
// how anything is found out: all is taken from the director's status.
package metrics

import (
	"context"
	"log/slog"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// Source is what the metrics are of.
type Source interface {
	Status() director.Status
	Traffic(ctx context.Context) (director.Traffic, error)
}

// Serve answers on c.Listen until ctx ends. The error is that it cannot listen.
func Serve(ctx context.Context, _ config.Metrics, _ Source, _ *slog.Logger) error {
	<-ctx.Done()
	return nil
}
