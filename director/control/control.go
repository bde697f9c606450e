// Package control is the daemon's unix socket: HTTP and JSON, version 1, for
// the lvsd command and for programs. It must not decide anything: it asks the
// director.
//
// Only root may connect: the socket has mode 0600 in a directory of the
// daemon's own.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/director"
)

const (
	statusPath = "/v1/status"
	// requestTimeout bounds every exchange, so that a stuck client costs
	// nothing.
	requestTimeout = 5 * time.Second
	// headerLimit bounds a request's header, in bytes.
	headerLimit = 8 << 10
)

// ErrNotRunning means that nobody listens on the socket.
var ErrNotRunning = errors.New("lvsd is not running")

// Source is what the socket tells of.
type Source interface {
	Status() director.Status
}

// Listen creates the socket at path, replacing one that a killed daemon left.
// The caller makes sure that no other daemon uses it.
func Listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// The mode must be right from the first moment, not after a chmod.
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return l, nil
}

// Serve answers on l until ctx ends, and returns when the last answer is given.
func Serve(ctx context.Context, l net.Listener, source Source) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, source.Status())
	})
	server := &http.Server{
		Handler:        mux,
		ReadTimeout:    requestTimeout,
		WriteTimeout:   requestTimeout,
		IdleTimeout:    requestTimeout,
		MaxHeaderBytes: headerLimit,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("control socket: %w", err)
	}
	return <-stopped
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// A failed write means that the client has gone.
	_ = encoder.Encode(value)
}

// Status asks the daemon behind the socket at path. The error is ErrNotRunning
// if there is none, or fs.ErrPermission.
func Status(ctx context.Context, path string) (director.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true,
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://lvsd"+statusPath, nil)
	if err != nil {
		return director.Status{}, fmt.Errorf("status: %w", err)
	}
	response, err := client.Do(request)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return director.Status{}, fmt.Errorf("%w: nobody listens on %s", ErrNotRunning, path)
	}
	if err != nil {
		return director.Status{}, fmt.Errorf("status: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return director.Status{}, fmt.Errorf("status: the daemon answered %s", response.Status)
	}
	var status director.Status
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return director.Status{}, fmt.Errorf("status: %w", err)
	}
	return status, nil
}
