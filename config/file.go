package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFile is the most that a file named by the configuration may have, in
// bytes: a key is much shorter.
const maxFile = 4096

// readSmallFile is a regular file's content. It never waits: a pipe in place of
// a key must not hold up a reload.
func readSmallFile(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", path, maxFile)
	}
	return data, err
}

// filePath is the absolute path of a file: a daemon has no directory of its own
// to start from.
func filePath() kind[string] {
	return text("an absolute path", "an absolute path in quotes", func(s string) error {
		if !filepath.IsAbs(s) || strings.ContainsRune(s, 0) {
			return fmt.Errorf("%q is not an absolute path, expected one that starts with /", s)
		}
		return nil
	})
}
