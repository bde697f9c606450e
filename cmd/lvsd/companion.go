package main

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// companion runs beside the director, by a part of the configuration. When a reload
// changes that part it ends and begins anew; neither the director nor a reload waits
// for it.
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
	// worksAfter is when a companion works that has not failed since it was begun.
	worksAfter = time.Second
)

// companions are those that run now.
type companions struct {
	log     *slog.Logger
	all     []companion
	mu      sync.Mutex
	running map[string]runningCompanion

	// failing guards failed, what does not work now, by name.
	failing sync.Mutex
	failed  map[string]director.BesideStatus
}

// runningCompanion ends with cancel; ended is closed when it has, and those that ran
// in its place before.
type runningCompanion struct {
	part   any
	cancel context.CancelFunc
	ended  chan struct{}
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
		next := runningCompanion{part: part, ended: make(chan struct{})}
		var began context.Context
		began, next.cancel = context.WithCancel(ctx)
		if runs {
			before.cancel()
		}
		go func() {
			defer close(next.ended)
			if runs {
				<-before.ended
			}
			if began.Err() == nil { // another may have taken its place already
				c.keep(began, one, file)
			}
			c.works(one.name)
		}()
		c.running[one.name] = next
	}
}

// keep runs a companion, again and again if it fails, until ctx ends or it has nothing
// to do.
func (c *companions) keep(ctx context.Context, one companion, file *config.Config) {
	told := ""
	for pause := firstRetry; ; pause = min(2*pause, slowestRetry) {
		working := time.AfterFunc(worksAfter, func() { c.works(one.name) })
		err := one.run(ctx, file)
		working.Stop()
		if err == nil || ctx.Err() != nil {
			return
		}
		c.fails(one.name, err)
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
		one.cancel()
	}
	for _, one := range c.running {
		<-one.ended
	}
	c.running = nil
}

// fails notes that a companion does not work, and why now.
func (c *companions) fails(name string, err error) {
	c.failing.Lock()
	defer c.failing.Unlock()
	if c.failed == nil {
		c.failed = map[string]director.BesideStatus{}
	}
	trouble, before := c.failed[name]
	if !before {
		trouble = director.BesideStatus{Name: name, Since: time.Now()}
	}
	trouble.Error = err.Error()
	c.failed[name] = trouble
}

// works notes that a companion works, or is not wanted any more.
func (c *companions) works(name string) {
	c.failing.Lock()
	defer c.failing.Unlock()
	delete(c.failed, name)
}

// troubles are the companions that do not work.
func (c *companions) troubles() []director.BesideStatus {
	c.failing.Lock()
	defer c.failing.Unlock()
	var all []director.BesideStatus
	for _, one := range c.all {
		if trouble, fails := c.failed[one.name]; fails {
			all = append(all, trouble)
		}
	}
	return all
}
