package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/config"
)

// TestCompanionsFollow: what stands around the director runs by the part of the file
// that it depends on, and by no other.
func TestCompanionsFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		var began []bool
		ended := 0
		c := &companions{log: slog.New(slog.NewTextHandler(&log, nil)), all: []companion{{
			"watch", func(c *config.Config) any { return c.Reload.Watch },
			func(ctx context.Context, c *config.Config) error {
				began = append(began, c.Reload.Watch)
				<-ctx.Done()
				ended++
				return context.Cause(ctx)
			},
		}}}
		c.follow(t.Context(), &config.Config{})
		c.follow(t.Context(), &config.Config{Web: config.Web{Admin: true}})
		synctest.Wait()
		if len(began) != 1 || ended != 0 {
			t.Fatalf("began %v, ended %d: another part changed", began, ended)
		}
		c.follow(t.Context(), &config.Config{Reload: config.Reload{Watch: true}})
		synctest.Wait()
		if len(began) != 2 || !began[1] || ended != 1 {
			t.Fatalf("began %v, ended %d", began, ended)
		}
		c.end()
		if ended != 2 || log.Len() != 0 {
			t.Errorf("ended %d, log %q", ended, &log)
		}
	})
}

// TestCompanionsTryAgain: an address may come later than the daemon, a port be free.
func TestCompanionsTryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		began := 0
		c := &companions{log: slog.New(slog.NewTextHandler(&log, nil)), all: []companion{{
			"web", func(*config.Config) any { return nil },
			func(ctx context.Context, _ *config.Config) error {
				if began++; began <= 3 {
					return errors.New("no such address")
				}
				<-ctx.Done()
				return nil
			},
		}}}
		c.follow(t.Context(), &config.Config{})
		<-time.After(time.Hour)
		synctest.Wait()
		if began != 4 || strings.Count(log.String(), "no such address") != 1 || !strings.Contains(log.String(), "what=web") {
			t.Errorf("begun %d times, log:\n%s", began, &log)
		}
		c.end()
	})
}

// TestCompanionsTellOfTroubles: what does not work is told until it works again, or is
// not wanted any more.
func TestCompanionsTellOfTroubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Bool
		c := &companions{log: slog.New(slog.DiscardHandler), all: []companion{{
			"web", func(c *config.Config) any { return c.Web.Admin },
			func(ctx context.Context, c *config.Config) error {
				if c.Web.Admin && !free.Load() {
					return errors.New("in use")
				}
				<-ctx.Done()
				return nil
			},
		}}}
		began := time.Now()
		wanted, unwanted := &config.Config{Web: config.Web{Admin: true}}, &config.Config{}
		c.follow(t.Context(), wanted)
		<-time.After(10 * time.Second)
		if got := c.troubles(); len(got) != 1 || got[0].Name != "web" || got[0].Error != "in use" || !got[0].Since.Equal(began) {
			t.Errorf("while it is in use: %+v", got)
		}
		c.follow(t.Context(), unwanted)
		synctest.Wait()
		if got := c.troubles(); len(got) != 0 {
			t.Errorf("when it is not wanted any more: %+v", got)
		}
		c.follow(t.Context(), wanted)
		synctest.Wait()
		if got := c.troubles(); len(got) != 1 {
			t.Errorf("when it is wanted again: %+v", got)
		}
		free.Store(true)
		<-time.After(time.Minute)
		if got := c.troubles(); len(got) != 0 {
			t.Errorf("when it is free: %+v", got)
		}
		c.end()
	})
}

// TestCompanionsTakeTurns: who has one begun anew does not wait for the former to end,
// the latter does.
func TestCompanionsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running, most, last := 0, 0, false
		c := &companions{log: slog.New(slog.DiscardHandler), all: []companion{{
			"alerts", func(c *config.Config) any { return c.Web.Admin },
			func(ctx context.Context, c *config.Config) error {
				running++
				most, last = max(most, running), c.Web.Admin
				<-ctx.Done()
				<-time.After(5 * time.Second)
				running--
				return nil
			},
		}}}
		began := time.Now()
		for _, admin := range []bool{false, true, false, true} {
			c.follow(t.Context(), &config.Config{Web: config.Web{Admin: admin}})
			synctest.Wait()
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("a reload waits %s", took)
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if most != 1 || running != 1 || !last {
			t.Errorf("%d at a time, %d run now, the last one: %v", most, running, last)
		}
		c.end()
		if running != 0 {
			t.Error("one has not ended")
		}
	})
}
