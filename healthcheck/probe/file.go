package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxFile is how much may be in a file, in bytes.
	maxFile = 4 << 10
	// rewriting is how long a writer gets between emptying a file and filling
	// it, as "echo up > file" does.
	rewriting = 50 * time.Millisecond
	// maxThreads is far above what a director needs, and far below the 10000 at
	// which the Go runtime gives up.
	maxThreads = 1000
)

// File reads a file of this host that says how the server is: "up" or "down",
// or a number, which is the server's weight, 0..65535; 0 drains it. It fails
// when the file says down or something else, is empty, or cannot be read: an
// operator's word that is missing is not a word for the server. Space around the
// word does not matter, nor do capitals.
//
// It does not wait for a FIFO. What reads a file of a network that does not
// answer cannot be ended: the probe is over at its timeout, and its reader stays
// behind, with a thread, until the file system does answer. So that these do not
// use up the process, no file is read while it has maxThreads.
type File struct {
	// Path is absolute. It is that of a regular file of at most 4 KiB.
	Path string
}

// Type is "file".
func (File) Type() string { return "file" }

func (File) portless() {}

// Validate returns what is wrong with the path. Whether the file exists is not
// asked: that may change.
func (k File) Validate() error {
	if !filepath.IsAbs(k.Path) || strings.Contains(k.Path, "\x00") {
		return fmt.Errorf("path %q must be absolute, without zero bytes", k.Path)
	}
	return nil
}

func (k File) ask(ctx context.Context, d dialer, _ netip.AddrPort) (answer, error) {
	d.said.did("read %s", k.Path)
	text, err := k.read(ctx)
	if err != nil {
		return answer{}, k.failed(err)
	}
	d.said.received(text)
	found, err := parseFile(text)
	var f *failure
	if errors.As(err, &f) {
		f.reason = k.Path + " " + f.reason
	}
	return found, err
}

func (k File) failed(err error) error {
	if own := (*failure)(nil); errors.As(err, &own) {
		return &failure{own.code, k.Path + ": " + own.reason}
	}
	return dialogueFailed(k.Path, err)
}

// read reads the file, and once more if it is empty: perhaps it is just being
// written.
func (k File) read(ctx context.Context) (string, error) {
	text, err := within(ctx, k.readRegular)
	if err != nil || text != "" {
		return text, err
	}
	again := time.NewTimer(rewriting)
	defer again.Stop()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-again.C:
	}
	return within(ctx, k.readRegular)
}

// within is what read returns, or the context's error if that ends first: then
// read goes on alone.
func within(ctx context.Context, read func() (string, error)) (string, error) {
	if threads() > maxThreads {
		return "", &failure{SOCKERR, fmt.Sprintf("not read: this process has more than %d threads, which wait for file systems", maxThreads)}
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// threads is how many this process has; 0 if that cannot be told.
func threads() uint64 {
	var tasks unix.Stat_t
	if err := unix.Stat("/proc/self/task", &tasks); err != nil || tasks.Nlink < 2 {
		return 0
	}
	return uint64(tasks.Nlink) - 2 // "." and its parent's
}

// readRegular reads a regular file of at most maxFile.
func (k File) readRegular() (string, error) {
	// A FIFO or a terminal must not make it wait, nor become this process's.
	file, err := os.OpenFile(k.Path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("longer than %d bytes", maxFile)
	}
	return string(text), err
}

// parseFile is what a file says.
func parseFile(text string) (answer, error) {
	word := strings.TrimSpace(text)
	switch strings.ToLower(word) {
	case "up":
		return answer{seen: "says up"}, nil
	case "down":
		return answer{}, &failure{L7STS, "says down"}
	case "":
		return answer{}, &failure{L7RSP, `is empty, expected "up", "down" or a weight (0..65535)`}
	}
	// Without a sign, which ParseUint does not take either.
	weight, err := strconv.ParseUint(word, 10, 16)
	if err != nil {
		return answer{}, &failure{L7RSP, fmt.Sprintf(`says %q, expected "up", "down" or a weight (0..65535)`, word[:min(len(word), maxQuoted)])}
	}
	return answer{seen: fmt.Sprintf("says weight %d", weight), weight: Weight{Known: true, Value: int(weight)}}, nil
}
