package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lvsd/lvsd/director"
)

// source answers as a director with the instance "mail" does.
type source struct {
	Source // what is not asked for here
	status director.Status
	// calls gets every call; GiveUp then waits for master, or for ctx.
	calls  chan string
	master chan string
}

func (s source) Status() director.Status { return s.status }

func (s source) Hold(_ context.Context, instance string) error { return s.call("hold", instance) }

func (s source) Release(_ context.Context, instance string) error { return s.call("release", instance) }

func (s source) call(what, instance string) error {
	if instance != "mail" {
		return unknown(instance)
	}
	s.calls <- what
	return nil
}

// serving serves the source on a socket until the test ends, or stop is called.
func serving(t *testing.T, serve func(ctx context.Context, l net.Listener) error) (path string, stop func()) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "lvsd.sock")
	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, listener) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(stop)
	return path, stop
}

func TestStatusOverTheSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lvsd.sock")
	if _, err := Status(t.Context(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a socket: %v, want %v", err, ErrNotRunning)
	}

	// A socket that a killed daemon left is in nobody's way.
	left, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	left.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Status(t.Context(), path); !errors.Is(err, ErrNotRunning) {
		t.Errorf("with a dead socket: %v, want %v", err, ErrNotRunning)
	}
	again, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}

	path, _ = serving(t, func(ctx context.Context, l net.Listener) error {
		return Serve(ctx, l, source{status: director.Status{Schema: "lvsd.status/1", PID: 7}})
	})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("socket has mode %o, want 600", mode)
	}
	status, err := Status(t.Context(), path)
	if err != nil || status.PID != 7 || status.Schema != "lvsd.status/1" {
		t.Errorf("status %+v, %v", status, err)
	}
}
