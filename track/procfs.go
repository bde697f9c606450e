package track

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// kernelThread is PF_KTHREAD of linux/sched.h in the flags of a process.
const kernelThread = 0x00200000

// stat is what matters of /proc/PID/stat, see proc_pid_stat(5).
type stat struct {
	comm string // at most 15 bytes
	// runs is false for kernel threads, and for zombies: processes without a
	// thread that goes on.
	runs bool
}

// parseStat reads a line "PID (COMM) STATE PPID PGRP SESSION TTY TPGID FLAGS
// ...". The name may hold anything, even parentheses and newlines.
func parseStat(line []byte) (stat, error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return stat{}, errors.New("no name in parentheses")
	}
	const state, flags, threads = 0, 6, 17 // proc_pid_stat(5) counts from 1, and two more
	fields := strings.Fields(string(line[end+1:]))
	if len(fields) <= threads {
		return stat{}, fmt.Errorf("%d fields after the name, expected more", len(fields))
	}
	bits, err := strconv.ParseUint(fields[flags], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("flags %q", fields[flags])
	}
	number, err := strconv.ParseInt(fields[threads], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("number of threads %q", fields[threads])
	}
	s := stat{comm: string(line[open+1 : end])}
	switch fields[state] {
	case "Z", "X", "x":
		// The first thread may end before the others.
		s.runs = number > 1
	default:
		s.runs = true
	}
	s.runs = s.runs && bits&kernelThread == 0
	return s, nil
}

// matching returns those of names that the process has: as the kernel knows it,
// or as its program is called by the process itself or in its directory. The
// kernel cuts a name to 15 bytes. A process that is gone, or is no running one,
// has none.
func matching(pid int, names []string) []string {
	dir := "/proc/" + strconv.Itoa(pid)
	line, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil
	}
	s, err := parseStat(line)
	if err != nil || !s.runs {
		return nil
	}
	called := []string{s.comm}
	if len(names) > 1 || names[0] != s.comm {
		called = append(called, programs(dir)...)
	}
	var all []string
	for _, name := range names {
		if slices.Contains(called, name) {
			all = append(all, name)
		}
	}
	return all
}

// programs returns the base names of a process's first argument and executable
// file.
func programs(dir string) []string {
	var names []string
	if arguments, err := os.ReadFile(dir + "/cmdline"); err == nil {
		names = append(names, firstArgument(arguments))
	}
	if file, err := os.Readlink(dir + "/exe"); err == nil {
		names = append(names, filepath.Base(strings.TrimSuffix(file, " (deleted)")))
	}
	return names
}

// firstArgument is the base name of the first of the arguments, each of which a
// zero byte ends.
func firstArgument(arguments []byte) string {
	first, _, _ := bytes.Cut(arguments, []byte{0})
	return filepath.Base(string(first))
}

// countProcesses returns the processes that have each of names, in order.
func countProcesses(names []string) (map[string][]int, error) {
	entries, err := readNames("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := make(map[string][]int, len(names))
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry)
		if err != nil {
			continue
		}
		for _, name := range matching(pid, names) {
			all[name] = append(all[name], pid)
		}
	}
	for _, pids := range all {
		slices.Sort(pids)
	}
	return all, nil
}

func readNames(dir string) ([]string, error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return file.Readdirnames(-1)
}
