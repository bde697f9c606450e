package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// MaxOutput and MaxLine are the longest Output and LastLine of a Result, in
// bytes.
const (
	MaxOutput = 4096
	MaxLine   = 200
)

// pipeSize is what a pipe holds unless told otherwise, see pipe(7).
const pipeSize = 65536

// capture keeps the beginning and the last line of what is written to a pipe
// and discards the rest, so that a writer never waits.
type capture struct {
	read, write *os.File
	// kept is the beginning and tail the end; both belong to the reading
	// goroutine until ended.
	kept, tail []byte
	ended      chan struct{} // closed when nothing more will be read
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

// end stops reading, even if some process still holds the write end. Everything
// written before has been read then.
func (c *capture) end() {
	if c.ended == nil {
		_ = c.write.Close()
	} else {
		_ = c.read.SetReadDeadline(time.Now())
		<-c.ended
	}
	_ = c.read.Close()
}

// output is the beginning of what was written.
func (c *capture) output() string { return Printable(string(c.kept)) }

// lastLine is the last line that was written, or its beginning if it is too
// long to keep.
func (c *capture) lastLine() string {
	text := strings.TrimSpace(string(c.tail))
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		text = text[i+1:]
	}
	text = Printable(text)
	for len(text) > MaxLine {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// Write keeps what there is room for.
func (c *capture) Write(p []byte) (int, error) {
	room := MaxOutput - len(c.kept)
	c.kept = append(c.kept, p[:min(room, len(p))]...)
	c.tail = append(c.tail, p[max(len(p)-MaxOutput, 0):]...)
	c.tail = c.tail[max(len(c.tail)-MaxOutput, 0):]
	return len(p), nil
}

// readRest takes what is in the pipe without waiting for more. One read is
// enough: it gets all that there can be.
func (c *capture) readRest() {
	_ = c.read.SetReadDeadline(time.Time{})
	raw, err := c.read.SyscallConn()
	if err != nil {
		return
	}
	rest := make([]byte, pipeSize)
	_ = raw.Read(func(fd uintptr) bool {
		n, err := unix.Read(int(fd), rest)
		for errors.Is(err, unix.EINTR) {
			n, err = unix.Read(int(fd), rest)
		}
		_, _ = c.Write(rest[:max(n, 0)])
		return true
	})
}

// Printable makes text fit for logs and terminals: what is not printable becomes
// "?", so that the text does not grow.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, strings.TrimSpace(text))
}
