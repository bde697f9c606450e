package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The capabilities that the daemon needs, as capabilities(7) writes them.
const (
	capNetAdmin = "CAP_NET_ADMIN"
	capNetRaw   = "CAP_NET_RAW"
)

// processes looks for other directors in this network namespace, and for what the
// daemon and this process may do.
func (g *gathering) processes() {
	namespace, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		g.unchecked("other directors", err)
		return
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		g.unchecked("other directors", err)
		return
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		name := programName(pid)
		if !slices.Contains(rivalNames(), name) {
			continue
		}
		switch other, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)); {
		case errors.Is(err, fs.ErrNotExist): // it has ended
		case err != nil:
			g.unchecked(fmt.Sprintf("whether %s, pid %d, is in this network namespace", name, pid), err)
		case other == namespace:
			g.facts.Rivals = append(g.facts.Rivals, Process{pid, name})
		}
	}
	if g.Status == nil {
		return
	}
	if g.facts.DaemonMay, err = capabilities(g.Status.PID); err != nil {
		g.unchecked("what the daemon may do", err)
	}
}

// programName is the name of the process's program; empty if it has ended, is a
// thread of the kernel, or is an lvsd that is no daemon.
func programName(pid int) string {
	dir := fmt.Sprintf("/proc/%d", pid)
	text, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return ""
	}
	name := strings.TrimSpace(string(text))
	if exe, err := os.Readlink(dir + "/exe"); err == nil && slices.Contains(rivalNames(), filepath.Base(exe)) {
		name = filepath.Base(exe)
	}
	if name != "lvsd" {
		return name
	}
	arguments, err := os.ReadFile(dir + "/cmdline")
	if err != nil || !slices.Contains(strings.Split(string(arguments), "\x00"), "run") {
		return ""
	}
	return name
}

// capabilities are those of the process that a daemon needs.
func capabilities(pid int) (map[string]bool, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		value, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("capabilities of pid %d: %w", pid, err)
		}
		return map[string]bool{
			capNetAdmin: bits&(1<<unix.CAP_NET_ADMIN) != 0,
			capNetRaw:   bits&(1<<unix.CAP_NET_RAW) != 0,
		}, nil
	}
	return nil, fmt.Errorf("capabilities of pid %d: no CapEff in its status", pid)
}

// countLines counts the lines of a file after its heading.
func countLines(path string) (int, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }()
	n := -1
	reader := bufio.NewReaderSize(file, 1<<16)
	block := make([]byte, 1<<16)
	for {
		size, err := reader.Read(block)
		n += bytes.Count(block[:size], []byte{'\n'})
		if errors.Is(err, io.EOF) {
			return max(n, 0), nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
	}
}
