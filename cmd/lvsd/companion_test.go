package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
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
