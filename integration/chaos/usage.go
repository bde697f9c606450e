package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the kernel's USER_HZ.
const ticksPerSecond = 100

// usage is what the daemons of all nodes use together now.
func (s *Site) usage() (Usage, error) {
	var all Usage
	var errs []error
	for _, n := range s.Nodes {
		u, err := n.usage()
		errs = append(errs, err)
		all.Resident += u.Resident
		all.CPU += u.CPU
		all.Descriptors += u.Descriptors
		all.Goroutines += u.Goroutines
		all.Processes += u.Processes
	}
	return all, errors.Join(errs...)
}

func (n *Node) usage() (Usage, error) {
	var u Usage
	for _, pid := range n.Processes() {
		resident, err := pss(pid)
		if err != nil {
			continue // it has ended
		}
		u.Processes++
		u.Resident += resident
		u.CPU += cpu(pid)
		if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
			u.Descriptors += len(entries)
		}
	}
	if u.Processes == 0 {
		return u, nil
	}
	var err error
	u.Goroutines, err = n.Site.Contestant.Goroutines(n)
	return u, err
}

// pss is a process's proportional share of memory in bytes: pages that several
// share count once (proc_pid_smaps_rollup(5)).
func pss(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kilobytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("no Pss")
}

// cpu is the time that a process has used (proc_pid_stat(5)).
func cpu(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name may have anything in it but ends with the last bracket.
	const user, system = 11, 12
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= system {
		return 0
	}
	var ticks int64
	for _, field := range []string{fields[user], fields[system]} {
		number, _ := strconv.ParseInt(field, 10, 64)
		ticks += number
	}
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

// What a daemon may have more of after a fault than before: a heap that has grown
// is given back late, and a connection that was just answered still has its
// goroutine.
const (
	residentFactor   = 1.5
	residentSlack    = 10 << 20
	descriptorSlack  = 4
	goroutineSlack   = 6
	usagePollSeconds = 1
)

// grown says what is more than it may be after a fault, for so many nodes.
func grown(before, after Usage, nodes int) []string {
	var all []string
	more := func(what string, had, has, most int64) {
		if has > most {
			all = append(all, fmt.Sprintf("%s: %d before, %d after", what, had, has))
		}
	}
	n := int64(nodes)
	more("memory", before.Resident, after.Resident, int64(float64(before.Resident)*residentFactor)+n*residentSlack)
	more("descriptors", int64(before.Descriptors), int64(after.Descriptors), int64(before.Descriptors)+n*descriptorSlack)
	more("goroutines", int64(before.Goroutines), int64(after.Goroutines), int64(before.Goroutines)+n*goroutineSlack)
	more("processes", int64(before.Processes), int64(after.Processes), int64(before.Processes))
	return all
}

// usageAfter waits for the usage to come back to where it was, and returns what it
// is then.
func (s *Site) usageAfter(before Usage) (after Usage, err error) {
	_ = s.awaitWithin(s.Lab.Scaled(15*time.Second), "usage", func() error {
		if after, err = s.usage(); err != nil {
			return err
		}
		if more := grown(before, after, len(s.Nodes)); len(more) > 0 {
			s.Pause(usagePollSeconds * time.Second)
			return errors.New(more[0])
		}
		return nil
	})
	return after, err
}
