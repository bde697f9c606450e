package main

import (
	"context"
	"log/slog"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/alert"
	"github.com/lvsd/lvsd/director/cluster"
	"github.com/lvsd/lvsd/director/metrics"
	"github.com/lvsd/lvsd/director/web"
)

// running is all of a daemon: the director, and what stands around it. It is what
// the control socket, the page and the metrics ask.
type running struct {
	planner
	*reloader
	channel *cluster.Channel
	beside  companions
}

// newRunning puts a daemon together. The channel is told by the director, which is
// made with the channel's Spread.
func newRunning(d *director.Director, channel *cluster.Channel, flags runFlags, files *config.Cache, log *slog.Logger) *running {
	r := &running{planner: planner{d, flags.file}, channel: channel, beside: companions{log: log}}
	r.reloader = &reloader{flags: flags, files: files, director: d, log: log}
	r.beside.all = []companion{
		{
			"cluster", func(c *config.Config) any { return c.Cluster },
			func(ctx context.Context, c *config.Config) error { return channel.Run(ctx, c.Cluster) },
		},
		{
			"metrics", func(c *config.Config) any { return c.Metrics },
			func(ctx context.Context, c *config.Config) error { return metrics.Serve(ctx, c.Metrics, r, log) },
		},
		{
			"web", func(c *config.Config) any { return c.Web },
			func(ctx context.Context, c *config.Config) error { return web.Serve(ctx, c.Web, r, log) },
		},
		{
			"alerts", func(c *config.Config) any { return c.Alerts },
			func(ctx context.Context, c *config.Config) error { return alert.Run(ctx, c.Alerts, 0, r, log) },
		},
	}
	return r
}

// Status is the director's, with what the other nodes tell.
func (r *running) Status() director.Status {
	status := r.Director.Status()
	status.Nodes = r.channel.Nodes()
	return status
}

// self is the node as the cluster knows it. The channel is made before the director,
// which fills it in.
type self struct{ *director.Director }
