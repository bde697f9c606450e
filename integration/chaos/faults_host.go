package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// hostFaults are those of the machine that daemons run on.
func hostFaults() []Fault {
	all := []Fault{
		{
			Name: "disk-full", What: "the disk of run and state directory full on every node, at a failover", Number: "F9",
			Hold: pastElection, Inject: fillDisks, Want: Promise{KeepsHeld: true},
		},
		{
			Name: "descriptors", What: "two descriptors left to each process of every node", Number: "F8",
			Hold: longHold, Inject: limitDescriptors, Want: Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "cpu-starved", What: "two busy processes of a higher priority for each core", Number: "F5",
			Alone: true, Hold: longHold, Inject: starve, Want: Promise{Two: true},
		},
	}
	if disposable() {
		all = append(all, Fault{
			Name: "clock-steps", What: "the clock an hour ahead, an hour behind, and right again; adverts signed", Number: "F6",
			Alone: true, Edit: func(c *Config) { c.Key = "0123456789abcdef" },
			Hold: pastElection, Inject: stepClock, Want: Promise{Lossless: true, KeepsMaster: true},
		})
	}
	return all
}

// disposable tells whether the machine is one of integration/vm: nobody else goes by
// its clock, or uses its modules.
func disposable() bool {
	first, err := os.ReadFile("/proc/1/cmdline")
	return err == nil && string(first) == "/init\x00"
}

// longHold is long enough for every check and every advert to come several times.
func longHold(s *Site) time.Duration { return 2 * pastElection(s) }

// diskSize is that of a disk that is full, in bytes.
const diskSize = 64 << 10

// fillDisks puts a full disk in the place of the daemons' directories, and takes the
// MASTER's link away, so that there is something to remember.
func fillDisks(s *Site) (func() error, error) {
	mend := func() error {
		s.Nodes[0].SetLink(true)
		var errs []error
		for _, n := range s.Nodes {
			errs = append(errs, n.Do(func() error { return unix.Unmount(n.Dir, unix.MNT_DETACH) }))
		}
		return errors.Join(errs...)
	}
	for _, n := range s.Nodes {
		if err := n.Do(n.fillDisk); err != nil {
			return mend, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	s.Nodes[0].SetLink(false)
	return mend, nil
}

func (n *Node) fillDisk() error {
	if err := unix.Mount("tmpfs", n.Dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		return err
	}
	err := os.WriteFile(filepath.Join(n.Dir, "filler"), make([]byte, 2*diskSize), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("fill %s: %w", n.Dir, err)
	}
	return nil
}

// spareDescriptors is how many more a process may open.
const spareDescriptors = 2

// limitDescriptors lets each process open hardly more than it has open.
func limitDescriptors(s *Site) (func() error, error) {
	old := map[int]unix.Rlimit{}
	mend := func() error {
		for pid, limit := range old {
			_ = unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil) // it may have ended
		}
		return nil
	}
	for _, n := range s.Nodes {
		for _, pid := range n.Processes() {
			highest, err := highestDescriptor(pid)
			if err != nil {
				continue // it has ended
			}
			var was unix.Rlimit
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
				return mend, fmt.Errorf("%s: %w", n.Name, err)
			}
			limit := unix.Rlimit{Cur: uint64(highest + 1 + spareDescriptors), Max: was.Max}
			if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
				return mend, fmt.Errorf("%s: %w", n.Name, err)
			}
			old[pid] = was
		}
	}
	return mend, nil
}

func highestDescriptor(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	highest := 0
	for _, entry := range entries {
		if number, err := strconv.Atoi(entry.Name()); err == nil {
			highest = max(highest, number)
		}
	}
	return highest, err
}

// starvers is how many busy processes there are for a core, niceness what they have.
const (
	starvers = 2
	niceness = "-10"
)

// starve keeps every core busy with what goes before the daemons.
func starve(s *Site) (func() error, error) {
	var all []*lab.Daemon
	for range starvers * runtime.NumCPU() {
		all = append(all, s.Client.Start(lab.Command{
			Name: "busy", Args: []string{"nice", "-n", niceness, "/bin/sh", "-c", "while :; do :; done"},
		}))
	}
	return func() error {
		for _, busy := range all {
			busy.Kill()
		}
		return nil
	}, nil
}

// stepClock steps the machine's clock, which all nodes have, there and back.
func stepClock(s *Site) (func() error, error) {
	if err := stepBy(time.Hour); err != nil {
		return nil, err
	}
	s.Pause(pastElection(s))
	if err := stepBy(-2 * time.Hour); err != nil {
		return nil, err
	}
	return func() error { return stepBy(time.Hour) }, nil
}

func stepBy(by time.Duration) error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	now.Sec += int64(by / time.Second)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("step the clock by %v: %w", by, err)
	}
	return nil
}
