package hook

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests run real scripts and wait for what they do: on a FIFO, opening
// one end blocks until the other is open.

// script writes an executable shell script and returns its path.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func fifo(t *testing.T, dir, name string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// receive returns what a script writes to a FIFO, once it has.
func receive(t *testing.T, fifo string) string {
	t.Helper()
	text, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// release lets a script go on that reads from a FIFO.
func release(t *testing.T, fifo string) {
	t.Helper()
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
}

// waitGone returns when the process has ended.
func waitGone(t *testing.T, pid string) {
	t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.PidfdOpen(number, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	const minutes = 2 * 60 * 1000
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, minutes)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || n == 0:
			t.Errorf("process %s still runs", pid)
			_ = unix.Kill(number, unix.SIGKILL)
		}
		return
	}
}

// bench is a Runner at work and what it reports.
type bench struct {
	*Runner
	results chan Result
}

func newBench(t *testing.T, c Commands) *bench {
	t.Helper()
	b := newUnstarted(c)
	b.start(t)
	return b
}

// newUnstarted is a bench whose Runner does not run yet.
func newUnstarted(c Commands) *bench {
	results := make(chan Result, 1000)
	return &bench{New(c, func(r Result) { results <- r }), results}
}

func (b *bench) start(t *testing.T) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- b.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.Finish(ctx)
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// finish waits for all that was notified and returns what has not been read of
// the results.
func (b *bench) finish(t *testing.T) []Result {
	t.Helper()
	if err := b.Finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	var rest []Result
	for {
		select {
		case r := <-b.results:
			rest = append(rest, r)
		default:
			return rest
		}
	}
}

// runOne runs one command for one event.
func runOne(t *testing.T, c Commands) Result {
	t.Helper()
	b := newBench(t, c)
	b.Notify(Event{Instance: "relay", State: Master, Priority: 150})
	return <-b.results
}

func event(state string) Event {
	return Event{
		Instance: "relay", Interface: "eth0", RouterID: "mx1", VRID: 51,
		State: state, Previous: Backup, Priority: 150,
		Reason: "master down", VIPs: []string{"192.0.2.100", "192.0.2.101"},
	}
}

func states(results []Result) string {
	var all []string
	for _, r := range results {
		all = append(all, r.Event.State)
	}
	return strings.Join(all, " ")
}

// eventually is the longest a test waits for what must come.
const eventually = 5 * time.Minute
