package hook

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// MaxOutput is the longest Output of a Result, in bytes.
const MaxOutput = 4096

// capture keeps the beginning of what is written to a pipe and discards the
// rest, so that a writer never waits.
type capture struct {
	read, write *os.File
	kept        []byte        // owned by the reading goroutine until ended
	ended       chan struct{} // closed when nothing more will be read
}

func newCapture() (*capture, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	return &capture{read: read, write: write}, nil
}

// start begins to read. The write end must be with the command by now: here it
// is closed, so that the command's end is the end of the output.
func (c *capture) start() {
	_ = c.write.Close()
	c.ended = make(chan struct{})
	go func() {
		defer close(c.ended)
		if _, err := io.Copy(c, c.read); errors.Is(err, os.ErrDeadlineExceeded) {
			c.readRest()
		}
	}()
}

// end stops reading, even if some process still holds the write end, and
// returns the output. Everything written before is in it.
func (c *capture) end() string {
	if c.ended == nil {
		_ = c.write.Close()
	} else {
		_ = c.read.SetReadDeadline(time.Now())
		<-c.ended
	}
	_ = c.read.Close()
	return sanitise(string(c.kept))
}

// Write keeps what there is room for.
func (c *capture) Write(p []byte) (int, error) {
	room := MaxOutput - len(c.kept)
	c.kept = append(c.kept, p[:min(room, len(p))]...)
	return len(p), nil
}

// readRest takes what is in the pipe without waiting for more. One read is
// enough: it gets all that may be kept.
func (c *capture) readRest() {
	_ = c.read.SetReadDeadline(time.Time{})
	raw, err := c.read.SyscallConn()
	if err != nil {
		return
	}
	rest := make([]byte, MaxOutput)
	_ = raw.Read(func(fd uintptr) bool {
		n, err := unix.Read(int(fd), rest)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Read(int(fd), rest)
		}
		_, _ = c.Write(rest[:max(n, 0)])
		return true
	})
}

// sanitise makes text fit for logs and terminals: what is not printable becomes
// "?", so that the text does not grow.
func sanitise(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, strings.TrimSpace(text))
}
