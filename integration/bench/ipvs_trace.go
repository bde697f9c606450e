package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
	// refuseEvent is a reset in reply to a packet of no connection: a connection
	// refused.
	refuseEvent = "refuse"
	// syscallEvent is the kernel's own.
	syscallEvent = "raw_syscalls/sys_enter"
)

// tracer counts in the kernel what processes do, whoever they are. It costs them
// time: what is counted is not timed, but for a rack that dies.
type tracer struct{}

// traced is one event.
type traced struct {
	event   string
	at      time.Duration // on the monotonic clock
	process string
}

// newTracer sets up probes on the changing calls and on what is refused.
func newTracer() (tracer, error) {
	if _, err := os.Stat(filepath.Join(tracefs, "kprobe_events")); err != nil {
		if err := unix.Mount("tracefs", tracefs, "tracefs", 0, ""); err != nil {
			return tracer{}, fmt.Errorf("tracefs: %w", err)
		}
	}
	t := tracer{}
	probes := fmt.Sprintf("p:%[1]s/%[2]s ip_vs_genl_set_cmd\np:%[1]s/%[3]s tcp_v4_send_reset\n", probeGroup, changeEvent, refuseEvent)
	return t, errors.Join(t.write("tracing_on", "0"), t.write("kprobe_events", probes),
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

func (t tracer) enable(event, value string) error {
	return t.write(filepath.Join("events", probeGroup, event, "enable"), value)
}

// start records the events of these names from now on.
func (t tracer) start(events ...string) error {
	err := t.write("trace", "")
	for _, event := range events {
		err = errors.Join(err, t.enable(event, "1"))
	}
	return errors.Join(err, t.write("tracing_on", "1"))
}

// stop ends that and returns the events in their order.
func (t tracer) stop(events ...string) ([]traced, error) {
	err := t.write("tracing_on", "0")
	for _, event := range events {
		err = errors.Join(err, t.enable(event, "0"))
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(tracefs, "trace"))
	if err != nil {
		return nil, err
	}
	return parseTrace(string(text))
}

// traceLine is a line like
//
//	lvsd-123     [000] .....  1234.567890: change: (ip_vs_genl_set_cmd+0x0/0x770 [ip_vs])
var traceLine = regexp.MustCompile(`^ *(.+)-\d+ .* (\d+\.\d+): (\w+): \(`)

func parseTrace(text string) ([]traced, error) {
	var all []traced
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		found := traceLine.FindStringSubmatch(line)
		if found == nil {
			return nil, fmt.Errorf("trace: %q is no event", line)
		}
		at, err := time.ParseDuration(found[2] + "s")
		if err != nil {
			return nil, fmt.Errorf("trace: %q: %w", line, err)
		}
		all = append(all, traced{found[3], at, found[1]})
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
