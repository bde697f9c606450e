package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lvsd/lvsd/integration/lab"
)

// contestant is a daemon under measurement.
type contestant struct {
	name string
	// config is the text of its file for some virtual routers.
	config func([]virtualRouter) string
	// command runs it with a file, in a directory of its own.
	command func(file, dir string) []string
}

// virtualRouter is one instance, the same for both daemons.
type virtualRouter struct {
	name     string
	vrid     int
	protocol protocol
	vips     []netip.Addr
}

// contestants returns the daemons in the order of the tables.
func contestants() []contestant {
	return []contestant{
		{name: "lvsd", config: lvsdConfig, command: func(file, dir string) []string {
			return []string{os.Getenv(binaryVariable), "run", "-c", file, "--run-dir", dir, "--state-dir", dir}
		}},
		{name: "keepalived", config: keepalivedConfig, command: func(file, dir string) []string {
			return []string{
				"keepalived", "-n", "-P", "-l", "-f", file,
				"-p", filepath.Join(dir, "keepalived.pid"), "-r", filepath.Join(dir, "vrrp.pid"),
				"-c", filepath.Join(dir, "checkers.pid"),
			}
		}},
	}
}

// lvsdConfig says equal priorities, so that nobody preempts; and no settling,
// which keepalived has not.
func lvsdConfig(routers []virtualRouter) string {
	var b strings.Builder
	for _, r := range routers {
		fmt.Fprintf(&b, "[[vrrp]]\nname = %q\ninterface = %q\nvrid = %d\nversion = %d\nadvert_interval = %q\n",
			r.name, lab.LinkName, r.vrid, r.protocol.version, r.protocol.interval)
		fmt.Fprintf(&b, "preempt = false\nsettle = \"0s\"\nvips = [\n")
		for _, vip := range r.vips {
			fmt.Fprintf(&b, "  %q,\n", vip)
		}
		b.WriteString("]\n\n")
	}
	return b.String()
}

func keepalivedConfig(routers []virtualRouter) string {
	var b strings.Builder
	b.WriteString("global_defs {\n router_id bench\n}\n")
	for _, r := range routers {
		fmt.Fprintf(&b, "vrrp_instance %s {\n state BACKUP\n nopreempt\n priority 100\n interface %s\n", r.name, lab.LinkName)
		fmt.Fprintf(&b, " virtual_router_id %d\n version %d\n advert_int %g\n virtual_ipaddress {\n",
			r.vrid, r.protocol.version, r.protocol.interval.Seconds())
		for _, vip := range r.vips {
			fmt.Fprintf(&b, "  %s\n", vip)
		}
		b.WriteString(" }\n}\n")
	}
	return b.String()
}

// node is one of the two hosts of a contestant.
type node struct {
	*lab.Host
	mac    string
	dir    string
	argv   []string
	daemon *lab.Daemon
}

// newNode writes the file of a node; start runs the daemon.
func newNode(t lab.TB, l *lab.Lab, h *lab.Host, c contestant, routers []virtualRouter) *node {
	dir := l.Dir(h.Name)
	file := filepath.Join(dir, c.name+".conf")
	if err := os.WriteFile(file, []byte(c.config(routers)), 0o600); err != nil {
		t.Fatalf("bench: %v", err)
	}
	return &node{Host: h, mac: h.MAC(), dir: dir, argv: c.command(file, dir)}
}

// start runs the daemon. keepalived takes the pid files of a killed one for a
// daemon that runs.
func (n *node) start() {
	stale, _ := filepath.Glob(filepath.Join(n.dir, "*.pid")) // the pattern is sound
	for _, file := range stale {
		_ = os.Remove(file)
	}
	n.daemon = n.Start(lab.Command{Args: n.argv})
}

// is reports whether the daemon has entered the state as its last one: both
// write the same words.
func (n *node) is(state string) error {
	const entering = "Entering "
	log := n.daemon.Output()
	last := log[max(0, strings.LastIndex(log, entering)):]
	if !strings.HasPrefix(last, entering+state) {
		return fmt.Errorf("%s is not %s: %.100q", n.Name, state, last)
	}
	return nil
}

// kill ends the daemon and its children with SIGKILL, the children first: they
// would take their parent's death for a request to stop.
func (n *node) kill() {
	for _, pid := range append(children(n.daemon.PID()), n.daemon.PID()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-n.daemon.Done()
}

// stop asks the daemon to end and does not wait.
func (n *node) stop() { n.daemon.Signal(syscall.SIGTERM) }

// children are the processes that a process has started.
func children(pid int) []int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, field := range strings.Fields(string(data)) {
		if child, err := strconv.Atoi(field); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
