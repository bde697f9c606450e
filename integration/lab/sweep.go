package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// namePrefix marks a lab's namespaces, lvsd-lab.PID.START.N.HOST, and
	// directory: with the process that made it and when that was started, for
	// process ids are used again.
	namePrefix = "lvsd-lab."
	netnsDir   = "/run/netns"
	// sweepLock is held by the process that removes what others left: of two at
	// once, one would find namespaces that are half removed.
	sweepLock = "/run/lvsd-lab.lock"
)

func newPrefix(n int32) string {
	pid := os.Getpid()
	return fmt.Sprintf("%s%d.%s.%d.", namePrefix, pid, startTime(pid), n)
}

// sweep removes the labs of processes that are gone: namespaces with what runs
// in them, and directories.
func sweep() error {
	lock, err := os.OpenFile(sweepLock, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	// Closing the file unlocks it.
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", sweepLock, err)
	}
	var errs []error
	for _, path := range abandoned(netnsDir) {
		name := filepath.Base(path)
		errs = append(errs, killInside(name), removeNamed(name))
	}
	for _, path := range abandoned(os.TempDir()) {
		errs = append(errs, os.RemoveAll(path))
	}
	return errors.Join(errs...)
}

// removeNamed deletes a namespace's name, which may be a mere file: a process that
// was killed while it made or removed one leaves that. Where ip-netns has mounted the
// directory over itself since, the file is busy below that mount; it stays, and
// disturbs nobody.
func removeNamed(name string) error {
	err := netns.DeleteNamed(name)
	if errors.Is(err, unix.EINVAL) {
		err = os.Remove(filepath.Join(netnsDir, name))
	}
	if err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	return nil
}

// abandoned lists what a directory has of labs whose process is gone.
func abandoned(dir string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, namePrefix+"*"))
	return slices.DeleteFunc(paths, func(path string) bool { return ownerAlive(filepath.Base(path)) })
}

// ownerAlive tells whether the process that made a namespace still runs.
func ownerAlive(name string) bool {
	fields := strings.Split(strings.TrimPrefix(name, namePrefix), ".")
	if len(fields) < 3 {
		return true // not a name of ours after all
	}
	pid, err := strconv.Atoi(fields[0])
	return err == nil && startTime(pid) == fields[1]
}

// startTime is field 22 of /proc/PID/stat, or empty for no such process.
func startTime(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is a name in parentheses and may hold anything.
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	const afterName = 22 - 3
	if fields := strings.Fields(rest); len(fields) > afterName {
		return fields[afterName]
	}
	return ""
}

// killInside kills every process whose network namespace is the named one.
// They are a lab's: nothing else could have entered it. Processes of this very
// process are spared: the lab's own threads live there.
func killInside(name string) error {
	var ns unix.Stat_t
	if err := unix.Stat(filepath.Join(netnsDir, name), &ns); err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	paths, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Ino != ns.Ino || st.Dev != ns.Dev {
			continue
		}
		pid, err := strconv.Atoi(strings.Split(path, "/")[2])
		if err != nil || pid == os.Getpid() {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && err != unix.ESRCH {
			errs = append(errs, fmt.Errorf("process %d: kill: %w", pid, err))
		}
	}
	return errors.Join(errs...)
}
