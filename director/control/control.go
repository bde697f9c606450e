// Package control is the daemon's API: HTTP and JSON, version 1, for the lvsd
// command and for programs. It must not decide anything: it asks the director.
//
// It serves the API on a unix socket. There only root may ask, and the daemon's own
// user: the socket has mode 0600 in a directory of the daemon's own, and the kernel is
// asked who has connected. Another server may answer the same routes: Reading to whom
// it lets look, Changing to callers that it knows.
package control

import (
	"context"
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
	// requestTimeout bounds every exchange, so that a stuck client costs
	// nothing.
	requestTimeout = 5 * time.Second
	// headerLimit bounds a request's header, in bytes.
	headerLimit = 8 << 10
)

// Source is what the API tells of, and whom it asks.
type Source interface {
	Status() director.Status
	// Explain says why a real server stands as it does. The error is
	// director.ErrUnknownServer or director.ErrUnknownService.
	Explain(server, service string) (director.Explanation, error)
	// GiveUp makes this node BACKUP and waits until another node is MASTER,
	// whose address it returns. The error is director.ErrUnknownInstance, or
	// director.ErrNoTakeover when ctx ended first.
	GiveUp(ctx context.Context, instance string) (master string, err error)
	// Hold keeps the instance BACKUP until Release. The error is
	// director.ErrUnknownInstance, of both.
	Hold(ctx context.Context, instance string) error
	Release(ctx context.Context, instance string) error
	// SetPriority sets the priority that tracking starts from, 1..254; 0 is as
	// configured.
	SetPriority(ctx context.Context, instance string, priority int) error
	// Plan is what a reload would change. The error is *Error with CodeInvalidFile
	// where the file is not valid.
	Plan(ctx context.Context, request PlanRequest) (director.Preview, error)
	// ExplainInstance and ExplainService say why an instance or a service stands as
	// it does. The errors are director.ErrUnknownInstance and ErrUnknownService.
	ExplainInstance(name string) (director.InstanceExplanation, error)
	ExplainService(name string) (director.ServiceExplanation, error)
	// Order, Clear, Maintenance and CheckNow are as in director.Director.
	Order(ctx context.Context, order director.Order) (director.Spread, error)
	Clear(ctx context.Context, target director.Target, by string) (director.Spread, error)
	Maintenance(ctx context.Context, order director.MaintenanceOrder) (director.Spread, error)
	CheckNow(ctx context.Context, server, service string) (director.Explanation, error)
	// Traffic, Events and FollowEvents likewise.
	Traffic(ctx context.Context) (director.Traffic, error)
	Events(after uint64) []director.Event
	FollowEvents(ctx context.Context, after uint64, deliver func([]director.Event) error) error
	// Reload goes over to the file as it is now and waits until the kernel is as it
	// says; if it cannot be, all is as before. The error is *Error with
	// CodeInvalidFile, CodeRolledBack or CodeBusy.
	Reload(ctx context.Context, request ReloadRequest) (ReloadAnswer, error)
	// Confirm keeps what a reload with Confirm brought. The error is *Error with
	// CodeNothingToConfirm.
	Confirm(ctx context.Context) error
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
	return serve(ctx, l, source, requestTimeout)
}

func serve(ctx context.Context, l net.Listener, source Source, timeout time.Duration) error {
	mux := http.NewServeMux()
	for _, one := range routes(source) {
		mux.Handle(one.Pattern(), one.Handler)
	}
	server := &http.Server{
		Handler:        admit(Known(mux)),
		ReadTimeout:    timeout,
		WriteTimeout:   timeout,
		IdleTimeout:    timeout,
		MaxHeaderBytes: headerLimit,
		BaseContext:    func(net.Listener) context.Context { return WithDaemon(ctx) },
		ConnContext:    withPeer,
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		stopped <- server.Shutdown(grace)
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("control socket: %w", err)
	}
	return <-stopped
}
