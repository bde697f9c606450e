package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tracefs is where the kernel's tracing is mounted.
const tracefs = "/sys/kernel/tracing"

const (
	probeGroup = "lvsdbench"
	// changeEvent counts the calls that may change IPVS: every generic netlink
	// command but the ones that read comes through its function.
	changeEvent = "change"
	// syscallEvent is the kernel's own.
	syscallEvent = "raw_syscalls/sys_enter"
)

// tracer counts in the kernel what processes do, whoever they are. It costs them
// time: what is counted is not timed, but for a rack that dies.
type tracer struct{}

// change is one changing call.
type change struct {
	at      time.Duration // on the monotonic clock
	process string
}

// newTracer sets up a probe on the changing calls.
func newTracer() (tracer, error) {
	if _, err := os.Stat(filepath.Join(tracefs, "kprobe_events")); err != nil {
		if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil {
			return tracer{}, fmt.Errorf("tracefs: %w", err)
		}
	}
	t := tracer{}
	probe := fmt.Sprintf("p:%s/%s ip_vs_genl_set_cmd", probeGroup, changeEvent)
	return t, errors.Join(t.write("tracing_on", "0"), t.write("kprobe_events", probe),
		t.write("trace_clock", "mono"), t.write("buffer_size_kb", "8192"))
}

func (tracer) write(file, text string) error {
	f, err := os.OpenFile(filepath.Join(tracefs, file), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func (tracer) changesFile(name string) string {
	return filepath.Join("events", probeGroup, changeEvent, name)
}

// startChanges records every changing call from now on.
func (t tracer) startChanges() error {
	return errors.Join(t.write("trace", ""), t.write(t.changesFile("enable"), "1"), t.write("tracing_on", "1"))
}

// stopChanges ends that and returns the calls in their order.
func (t tracer) stopChanges() ([]change, error) {
	if err := errors.Join(t.write("tracing_on", "0"), t.write(t.changesFile("enable"), "0")); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(tracefs, "trace"))
	if err != nil {
		return nil, err
	}
	return parseChanges(string(text))
}

// parseChanges reads lines like
//
//	lvsd-123     [000] .....  1234.567890: change: (ip_vs_genl_set_cmd+0x0/0x770 [ip_vs])
func parseChanges(text string) ([]change, error) {
	var all []change
	for line := range strings.Lines(text) {
		before, _, found := strings.Cut(line, ": "+changeEvent+": ")
		if !found {
			continue
		}
		fields := strings.Fields(before)
		at, err := time.ParseDuration(fields[len(fields)-1] + "s")
		if err != nil {
			return nil, fmt.Errorf("trace: %q: %w", line, err)
		}
		name := fields[0]
		all = append(all, change{at, name[:max(0, strings.LastIndex(name, "-"))]})
	}
	return all, nil
}

// syscallTrigger counts the system calls of every thread.
const syscallTrigger = "hist:keys=common_pid:size=4096"

// startSyscalls counts the system calls of all threads from now on.
func (t tracer) startSyscalls() error {
	return errors.Join(t.write("tracing_on", "1"), t.write(filepath.Join("events", syscallEvent, "trigger"), syscallTrigger))
}

// stopSyscalls ends that and returns how many were made by the threads that
// began with a process or later, this program's own left out.
func (t tracer) stopSyscalls(first int) (int, error) {
	dir := filepath.Join("events", syscallEvent)
	text, readErr := os.ReadFile(filepath.Join(tracefs, dir, "hist"))
	if err := errors.Join(readErr, t.write("tracing_on", "0"), t.write(filepath.Join(dir, "trigger"), "!"+syscallTrigger)); err != nil {
		return 0, err
	}
	counts, err := parseSyscalls(string(text))
	if err != nil {
		return 0, err
	}
	own, err := os.ReadDir("/proc/self/task")
	for _, thread := range own {
		id, _ := strconv.Atoi(thread.Name()) // it is one
		delete(counts, id)
	}
	total := 0
	for thread, count := range counts {
		if thread >= first {
			total += count
		}
	}
	return total, err
}

// parseSyscalls reads lines like
//
//	{ common_pid:        123 } hitcount:       4711
func parseSyscalls(text string) (map[int]int, error) {
	counts := map[int]int{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "{ common_pid:") {
			continue
		}
		var thread, count int
		if _, err := fmt.Sscanf(line, "{ common_pid: %d } hitcount: %d", &thread, &count); err != nil {
			return nil, fmt.Errorf("trace: %q: %w", line, err)
		}
		counts[thread] = count
	}
	return counts, nil
}

// monotonic is the time on the clock that changes are stamped with.
func monotonic() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
