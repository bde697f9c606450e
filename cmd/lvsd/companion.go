package main

import (
	"context"
	"log/slog"
	"reflect"
	"sync"

	"github.com/lvsd/lvsd/config"
)

// companion runs beside the director, by a part of the configuration. When a reload
// changes that part it ends and begins anew; the director never waits for it.
type companion struct {
	name string
	// part is what it depends on.
	part func(*config.Config) any
	// run works until ctx ends. An error is logged; it is not begun again before
	// part changes.
	run func(ctx context.Context, c *config.Config) error
}

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
		if err := one.run(ctx, file); err != nil && ctx.Err() == nil {
			c.log.Error("goes on without", "what", one.name, "err", err)
		}
	}()
	return func() {
		cancel()
		<-ended
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
