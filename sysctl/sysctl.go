package sysctl

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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

// Get returns the value, with single spaces between its fields. The error is
// ErrNotExist if the kernel has no such parameter.
func (t Tree) Get(name string) (string, error) {
	path, err := t.path(name)
	if err != nil {
		return "", err
	}
	value, err := os.ReadFile(path)
	if err != nil {
		return "", explain(name, err)
	}
	return strings.Join(strings.Fields(string(value)), " "), nil
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
