package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

// TB is what a lab needs of a test; *testing.T has it.
type TB interface {
	Helper()
	Name() string
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Failed() bool
	Cleanup(func())
	Context() context.Context
}

// Run calls f with a TB outside of go test: the demo is such a program. It
// returns what Fatalf was told, after all cleanups have run. Logf writes lines
// to w.
func Run(ctx context.Context, name string, w io.Writer, f func(TB)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r := &runner{ctx: ctx, name: name, w: w}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.cleanup()
		defer cancel()
		f(r)
	}()
	<-done
	return r.err
}

// runner is the TB of Run. Its Fatalf may only be called by f's goroutine.
type runner struct {
	ctx  context.Context
	name string

	mu       sync.Mutex
	w        io.Writer
	err      error
	cleanups []func()
}

func (r *runner) Helper() {}

func (r *runner) Name() string { return r.name }

func (r *runner) Context() context.Context { return r.ctx }

func (r *runner) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err != nil
}

func (r *runner) Logf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.w, format+"\n", args...)
}

func (r *runner) Fatalf(format string, args ...any) {
	r.mu.Lock()
	r.err = errors.Join(r.err, fmt.Errorf(format, args...))
	r.mu.Unlock()
	runtime.Goexit()
}

// Skipf is a failure: nothing else would run what a program leaves out.
func (r *runner) Skipf(format string, args ...any) { r.Fatalf(format, args...) }

func (r *runner) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *runner) cleanup() {
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return
		}
		f := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		f()
	}
}
