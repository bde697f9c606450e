package hook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInsecure is the error of a command whose file others than root and this
// process's user may change.
var ErrInsecure = errors.New("refused as insecure")

// groupOrOthers are the permissions to write that a hook's file must not give.
const groupOrOthers = 0o022

// checkFile refuses what is not a regular file under an absolute path, or may
// be changed by others: the commands have this process's privileges. It is done
// at every run because files change while the daemon runs.
func checkFile(name string) error {
	if !filepath.IsAbs(name) {
		return fmt.Errorf("%q is not an absolute path: %w", name, ErrInsecure)
	}
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	info, err := os.Stat(target)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", target)
	}
	if mode := info.Mode().Perm(); mode&groupOrOthers != 0 {
		return fmt.Errorf("%s may be written by group or others (mode %04o): %w", target, mode, ErrInsecure)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: owner unknown: %w", target, ErrInsecure)
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, expected root or %d: %w", target, stat.Uid, os.Geteuid(), ErrInsecure)
	}
	return nil
}
