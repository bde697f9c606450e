package main

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
)

// companion runs beside the director, by a part of the configuration. When a reload
// changes that part it ends and begins anew; the director never waits for it.
type companion struct {
	name string
	// part is what it depends on.
	part func(*config.Config) any
	// run works until ctx ends. After an error it is begun again: what it lacks, such
	// as an address to listen on, may come.
	run func(ctx context.Context, c *config.Config) error
}

// firstRetry and slowestRetry bound the pause before a companion that failed is begun
// again.
const (
	firstRetry   = time.Second
	slowestRetry = time.Minute
)

// companions are those that run now.
type companions struct {
	log     *slog.Logger
	all     []companion
	mu      sync.Mutex
	running map[string]runningCompanion
}

type runningCompanion struct {
	part any
	end  func()
}

// follow begins and ends companions so that they run by c. They end with ctx, or
// with end.
func (c *companions) follow(ctx context.Context, file *config.Config) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		c.running = map[string]runningCompanion{}
	}
	for _, one := range c.all {
		part := one.part(file)
		before, runs := c.running[one.name]
		if runs && reflect.DeepEqual(before.part, part) {
			continue
		}
		if runs {
			before.end()
		}
		c.running[one.name] = runningCompanion{part, c.begin(ctx, one, file)}
	}
}

// begin runs a companion. The returned function ends it and waits for that.
func (c *companions) begin(ctx context.Context, one companion, file *config.Config) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.keep(ctx, one, file)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// keep runs a companion, again and again if it fails, until ctx ends or it has nothing
// to do.
func (c *companions) keep(ctx context.Context, one companion, file *config.Config) {
	told := ""
	for pause := firstRetry; ; pause = min(2*pause, slowestRetry) {
		err := one.run(ctx, file)
		if err == nil || ctx.Err() != nil {
			return
		}
		if err.Error() != told {
			told = err.Error()
			c.log.Error("goes on without", "what", one.name, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// end ends all of them and waits for that.
func (c *companions) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.running {
		one.end()
	}
	c.running = nil
}
