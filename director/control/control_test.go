package control

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/lvsd/lvsd/director"
)

type source struct{ status director.Status }

func (s source) Status() director.Status { return s.status }

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

	listener, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("socket has mode %o, want 600", mode)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, source{director.Status{Schema: "lvsd.status/1", PID: 7}}) }()
	status, err := Status(t.Context(), path)
	if err != nil || status.PID != 7 || status.Schema != "lvsd.status/1" {
		t.Errorf("status %+v, %v", status, err)
	}
	cancel()
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serve: %v", err)
	}
}
