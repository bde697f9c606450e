package track

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/command"
)

const (
	// fileInterval is between two looks at a file whose changes are also told by
	// the kernel: the directory may be absent, on a network, or behind a link.
	fileInterval = 2 * time.Second
	// fileDelay is how long a writer gets between emptying a file and filling it.
	fileDelay = 50 * time.Millisecond
	// maxFileSize bounds a file, and maxValue what is in it, both ways.
	maxFileSize = 64
	maxValue    = 1_000_000
)

// trackFile reports what is in a file, until ctx ends.
func trackFile(ctx context.Context, path string, report func(found)) {
	w := newFileWatch(path)
	defer w.close()
	for {
		f := readFile(path)
		if f.reason == reasonEmpty {
			// Perhaps it is just being written.
			if !pause(ctx, fileDelay) {
				return
			}
			f = readFile(path)
		}
		report(f)
		if !w.wait(ctx) || !pause(ctx, fileDelay) {
			return
		}
	}
}

// pause returns false if ctx ended before d had passed.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// The reasons of a file without a number.
const (
	reasonAbsent = "no file"
	reasonEmpty  = "empty"
)

// readFile reads a file's value.
func readFile(path string) found {
	// A FIFO must not make it wait.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return found{state: Up, reason: reasonAbsent}
	}
	if err != nil {
		return found{state: Down, reason: command.Printable(err.Error())}
	}
	defer func() { _ = file.Close() }()
	text, err := readSmall(file)
	if err != nil {
		return found{state: Down, reason: command.Printable(fmt.Sprintf("%s: %v", path, err))}
	}
	value, err := parseValue(text)
	switch {
	case err != nil:
		return found{state: Down, reason: err.Error()}
	case strings.TrimSpace(text) == "":
		return found{state: Up, reason: reasonEmpty}
	}
	return found{state: Up, value: value, reason: fmt.Sprintf("value %d", value)}
}

// readSmall reads a regular file, and one byte more than may be in it.
func readSmall(file *os.File) (string, error) {
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	return string(text), err
}

// parseValue reads a decimal integer, perhaps with a sign and space around it;
// nothing is 0.
func parseValue(text string) (int, error) {
	if len(text) > maxFileSize {
		return 0, fmt.Errorf("longer than %d bytes", maxFileSize)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, nil
	}
	value, err := strconv.Atoi(text)
	if errors.Is(err, strconv.ErrRange) || err == nil && (value < -maxValue || value > maxValue) {
		return 0, fmt.Errorf("%s is out of range", command.Printable(text))
	}
	if err != nil {
		return 0, fmt.Errorf("%q is not a number", command.Printable(text))
	}
	return value, nil
}

// fileWatch waits for changes of a file. It watches the directory: the file may
// come, go, or be replaced.
type fileWatch struct {
	path    string
	watcher *fsnotify.Watcher // nil if the kernel has none to spare
}

func newFileWatch(path string) *fileWatch {
	w := &fileWatch{path: filepath.Clean(path)}
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		w.watcher = watcher
		w.add()
	}
	return w
}

// add watches the directory, again if it is another one by now.
func (w *fileWatch) add() {
	// It fails while the directory is absent; then the interval has to do.
	_ = w.watcher.Add(filepath.Dir(w.path))
}

func (w *fileWatch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close()
	}
}

// wait returns when it is time to read the file; false if ctx ended.
func (w *fileWatch) wait(ctx context.Context) bool {
	var events <-chan fsnotify.Event
	var lost <-chan error
	if w.watcher != nil {
		events, lost = w.watcher.Events, w.watcher.Errors
	}
	timer := time.NewTimer(fileInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
			if w.watcher != nil {
				w.add()
			}
			return true
		case e, ok := <-events:
			if !ok {
				events = nil
			} else if e.Name == w.path {
				return true
			}
		case _, ok := <-lost:
			if !ok {
				lost = nil
				continue
			}
			return true
		}
	}
}
