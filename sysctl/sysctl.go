package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotExist means that the kernel has no such parameter: its module is not
// loaded or its version does not know it.
var ErrNotExist = errors.New("no such kernel parameter")

// Tree is a tree of parameters, /proc/sys unless Root says otherwise. Names are
// those of sysctl(8): parts separated by dots, a dot inside a part (of an
// interface name) written as a slash: "net.ipv4.conf.eth0/100.rp_filter".
type Tree struct {
	Root string
}

// GetAll returns the values of the named parameters that the kernel has.
func (t Tree) GetAll(names []string) (map[string]string, error) {
	values := make(map[string]string, len(names))
	for _, name := range names {
		value, err := t.Get(name)
		switch {
		case err == nil:
			values[name] = value
		case !errors.Is(err, ErrNotExist):
			return nil, err
		}
	}
	return values, nil
}

// Get returns the value, with single spaces between its fields. The error is
// ErrNotExist if the kernel has no such parameter.
func (t Tree) Get(name string) (string, error) {
	path, err := t.path(name)
	if err != nil {
		return "", err
	}
	value, err := read(path)
	if err != nil {
		return "", explain(name, err)
	}
	return Normal(value), nil
}

// Normal is a value as Get returns it: two values that the kernel takes for the
// same because only the space between their fields differs are equal then.
func Normal(value string) string { return strings.Join(strings.Fields(value), " ") }

// read reads a parameter. Nearly all are shorter than its buffer, so that three
// system calls do; os.ReadFile, which asks for the size first and for the file's
// end last, and has the runtime watch the file, makes nine.
func read(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer func() { _ = unix.Close(fd) }()
	var buffer [256]byte
	n, err := unix.Read(fd, buffer[:])
	switch {
	case err != nil:
		return "", err
	case n == len(buffer):
		whole, err := os.ReadFile(path)
		return string(whole), err
	}
	return string(buffer[:n]), nil
}

// Set gives the parameter a value.
func (t Tree) Set(name, value string) error {
	path, err := t.path(name)
	if err != nil {
		return err
	}
	// No O_CREATE: a parameter that the kernel lacks must stay absent.
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return explain(name, err)
	}
	_, err = file.WriteString(value)
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("set %s to %q: %w", name, value, err)
	}
	return nil
}

// path turns a name into a file, which is always below the root.
func (t Tree) path(name string) (string, error) {
	root := t.Root
	if root == "" {
		root = "/proc/sys"
	}
	parts := strings.Split(name, ".")
	for i, part := range parts {
		parts[i] = strings.ReplaceAll(part, "/", ".")
		if parts[i] == "" || parts[i] == "." || parts[i] == ".." {
			return "", fmt.Errorf("kernel parameter %q: not a name", name)
		}
	}
	return filepath.Join(append([]string{root}, parts...)...), nil
}

func explain(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, ErrNotExist)
	}
	return fmt.Errorf("%s: %w", name, err)
}
