// Package input reads standard input without being held by it: a read of a
// terminal cannot be ended, so none is begun before there is something to read.
// It must not know what is read, or for whom.
package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// look is how many milliseconds pass before the context is looked at again.
const look = 100

// NewReader returns a reader of the file, whose reads end with the context and
// then return its cause.
func NewReader(ctx context.Context, f *os.File) io.Reader { return reader{ctx, f} }

type reader struct {
	ctx context.Context
	f   *os.File
}

// Read waits for what can be read, or the end of the file.
func (r reader) Read(p []byte) (int, error) {
	for r.ctx.Err() == nil {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(r.f.Fd()), Events: unix.POLLIN}}, look)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return 0, fmt.Errorf("%s: wait for input: %w", r.f.Name(), err)
		case ready > 0:
			return r.f.Read(p)
		}
	}
	return 0, context.Cause(r.ctx)
}
