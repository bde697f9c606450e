package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// ErrInsecure is the error of a command whose file, or a directory above it,
// others may change than root, this process's user and the command's.
var ErrInsecure = errors.New("refused as insecure")

const (
	// groupOrOthers are the permissions to write that a command's file and the
	// directories above it must not give.
	groupOrOthers = 0o022
	// maxLinks bounds the symbolic links on the way, as the kernel does.
	maxLinks = 40
)

// checkFile refuses what is not a regular file under an absolute path, or may
// be changed or replaced by others than the owners: the commands have this
// process's privileges. It is done at every run because files change while the
// daemon runs.
func checkFile(name string, owners []uint32) error {
	if !filepath.IsAbs(name) {
		return fmt.Errorf("%q is not an absolute path: %w", name, ErrInsecure)
	}
	path, rest, links := "/", name, 0
	for {
		info, err := os.Lstat(path)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := checkEntry(path, info, owners); err != nil {
			return err
		}
		if info.Mode().Type() == fs.ModeSymlink {
			target, err := os.Readlink(path)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if links++; links > maxLinks {
				return fmt.Errorf("%s: too many symbolic links", name)
			}
			path, rest = filepath.Dir(path), target+"/"+rest
			if filepath.IsAbs(target) {
				path = "/"
			}
		}
		if rest = strings.Trim(rest, "/"); rest == "" {
			if !info.Mode().IsRegular() {
				return fmt.Errorf("%s is not a regular file", path)
			}
			return nil
		}
		var next string
		next, rest, _ = strings.Cut(rest, "/")
		path = filepath.Join(path, next)
	}
}

// checkEntry refuses a file, directory or symbolic link that others may change.
// A directory where everyone may write is safe if it is sticky, as /tmp is: an
// entry in it can be replaced only by its owner, which is checked in turn.
func checkEntry(path string, info fs.FileInfo, owners []uint32) error {
	mode := info.Mode()
	sticky := mode.IsDir() && mode&fs.ModeSticky != 0
	if mode.Type() != fs.ModeSymlink && !sticky && mode.Perm()&groupOrOthers != 0 {
		return fmt.Errorf("%s may be written by group or others (mode %04o): %w", path, mode.Perm(), ErrInsecure)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: owner unknown: %w", path, ErrInsecure)
	}
	if !slices.Contains(owners, stat.Uid) {
		return fmt.Errorf("%s belongs to user %d, expected one of %d: %w", path, stat.Uid, slices.Compact(owners), ErrInsecure)
	}
	return nil
}
