package alert

import (
	"errors"
	"io/fs"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/director"
)

// fifo writes keepalived's lines to a named pipe. It never waits for a reader: a line
// that nobody takes is counted and gone.
type fifo struct {
	path string
	log  *slog.Logger
	// fd is open for a reader; -1 if there is none.
	fd   int
	lost int
	// trouble is what is wrong with the pipe beside that nobody reads; it is told of
	// once.
	trouble string
}

// newFIFO makes the pipe if it is missing. An empty path is none.
func newFIFO(path string, log *slog.Logger) *fifo {
	f := &fifo{path: path, log: log, fd: -1}
	if path == "" {
		return f
	}
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, unix.EEXIST) {
		f.complain(&fs.PathError{Op: "make named pipe", Path: path, Err: err})
	}
	return f
}

// tell writes what keepalived would write of the event.
func (f *fifo) tell(e director.Event) {
	if f.path == "" {
		return
	}
	for _, line := range fifoLines(e) {
		f.write(line)
	}
}

func (f *fifo) write(line string) {
	if f.fd < 0 && !f.open() {
		f.lost++
		return
	}
	_, err := unix.Write(f.fd, []byte(line))
	if errors.Is(err, unix.EPIPE) { // another reader may have come already
		f.close()
		if f.open() {
			_, err = unix.Write(f.fd, []byte(line))
		}
	}
	switch {
	case err == nil:
		if f.lost > 0 {
			f.log.Info("named pipe is read again", "path", f.path, "lines_lost", f.lost)
			f.lost = 0
		}
	case errors.Is(err, unix.EAGAIN): // the reader is stuck
		f.lost++
	default:
		f.lost++
		f.close()
		if !errors.Is(err, unix.EPIPE) {
			f.complain(&fs.PathError{Op: "write", Path: f.path, Err: err})
		}
	}
}

// open opens the pipe for a reader that is there.
func (f *fifo) open() bool {
	// The path may be other than what it was: only what is open is sure.
	fd, err := unix.Open(f.path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
	if errors.Is(err, unix.ENOENT) {
		if err = unix.Mkfifo(f.path, 0o600); err == nil {
			return false
		}
	}
	var stat unix.Stat_t
	if err == nil {
		if err = unix.Fstat(fd, &stat); err == nil && stat.Mode&unix.S_IFMT != unix.S_IFIFO {
			err = errors.New("is no named pipe")
		}
		if err != nil {
			_ = unix.Close(fd)
		}
	}
	if err == nil {
		f.fd, f.trouble = fd, ""
		return true
	}
	if !errors.Is(err, unix.ENXIO) { // that is: nobody reads
		f.complain(&fs.PathError{Op: "open", Path: f.path, Err: err})
	}
	return false
}

func (f *fifo) complain(err error) {
	if text := err.Error(); text != f.trouble {
		f.trouble = text
		f.log.Error("named pipe gets no lines", "err", err)
	}
}

func (f *fifo) close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd = -1
	}
}
