package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lvsd/lvsd/integration/lab"
)

// copies are the contestants' programs and their libraries in a directory of
// this machine: a virtual machine has them from its host, by a file system that
// is slow and keeps little in memory.
type copies struct{ dir string }

// copyPrograms copies programs, which go when the benchmark ends.
func copyPrograms(t lab.TB, programs ...string) copies {
	dir, err := os.MkdirTemp("", "bench-programs-")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c := copies{dir}
	for _, program := range programs {
		if err := c.add(program); err != nil {
			t.Fatalf("copy %s: %v", program, err)
		}
	}
	return c
}

// path is where the copy of a program is.
func (c copies) path(program string) string { return filepath.Join(c.dir, filepath.Base(program)) }

// environment lets the copies find their libraries.
func (c copies) environment() []string { return append(os.Environ(), "LD_LIBRARY_PATH="+c.dir) }

func (c copies) add(program string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	files := []string{path}
	// ldd fails for a static program, which needs no more.
	libraries, _ := exec.Command("ldd", path).Output()
	for line := range strings.Lines(string(libraries)) {
		if _, rest, found := strings.Cut(line, "=> /"); found {
			file, _, _ := strings.Cut("/"+rest, " ")
			files = append(files, file)
		}
	}
	for _, file := range files {
		if err := copyFile(file, c.path(file)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close()
		return fmt.Errorf("%s: %w", to, err)
	}
	return out.Close()
}
