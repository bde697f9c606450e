package main

import (
	"context"
	"log/slog"
	"sync"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/alert"
	"github.com/lvsd/lvsd/director/cluster"
	"github.com/lvsd/lvsd/director/control"
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
	// alerted is how far alerts came. It is for who runs them, one after the other.
	alerted alert.Told
}

// newRunning puts a daemon together. The channel is told by the director, which is
// made with the channel's Spread.
func newRunning(d *director.Director, channel *cluster.Channel, flags runFlags, files *config.Cache, log *slog.Logger) *running {
	r := &running{planner: planner{d, flags.file}, channel: channel, beside: companions{log: log}}
	r.reloader = &reloader{
		flags: flags, files: files, director: d, log: log,
		preview: r.planner.preview, again: make(chan struct{}, 1), edited: make(chan struct{}, 1),
	}
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
			func(ctx context.Context, c *config.Config) error {
				r.alerted = alert.Run(ctx, c.Alerts, r.alerted, r, log)
				return nil
			},
		},
		{
			"watch", func(c *config.Config) any { return c.Reload.Watch },
			func(ctx context.Context, c *config.Config) error { return r.watch(ctx, c) },
		},
	}
	return r
}

// begin begins what stands around the director, by the configuration that it starts
// with. All ends with ctx, and work waits for it, except what beside waits for.
func (r *running) begin(ctx context.Context, work *sync.WaitGroup, c *config.Config) {
	r.reloader.background, r.reloader.work = ctx, work
	ctx = control.WithDaemon(ctx)
	r.reloaded = func(c *config.Config) { r.beside.follow(ctx, c) }
	r.follow(c)
	work.Go(func() { r.reloader.run(ctx) })
}

// Status is the director's, with what the other nodes tell, and how the file and what
// runs beside the director stand.
func (r *running) Status() director.Status {
	status := r.Director.Status()
	status.Nodes = r.channel.Nodes()
	status.Confirm = r.confirmUntil()
	hash, err := hashOf(r.reloader.flags.file.path)
	status.FileDiffers = err != nil || hash != status.ConfigHash
	status.Beside = r.beside.troubles()
	return status
}

// self is the node as the cluster knows it. The channel is made before the director,
// which fills it in.
type self struct{ *director.Director }
