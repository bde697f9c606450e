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
)

// File reads a file of this host that says how the server is: "up" or "down",
// or a number, which is the server's weight, 0..65535; 0 drains it. It fails
// when the file says down or something else, is empty, or cannot be read: an
// operator's word that is missing is not a word for the server. Space around the
// word does not matter, nor do capitals.
//
// It does not wait for a FIFO, but it does for a network's file system.
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
		return answer{}, dialogueFailed(k.Path, err)
	}
	d.said.received(text)
	found, err := parseFile(text)
	var f *failure
	if errors.As(err, &f) {
		f.reason = k.Path + " " + f.reason
	}
	return found, err
}

// read reads the file, and once more if it is empty: perhaps it is just being
// written.
func (k File) read(ctx context.Context) (string, error) {
	text, err := readRegular(k.Path)
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
	return readRegular(k.Path)
}

// readRegular reads a regular file of at most maxFile.
func readRegular(path string) (string, error) {
	// A FIFO or a terminal must not make it wait, nor become this process's.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
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
