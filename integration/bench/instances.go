package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// instances is the most virtual routers that one interface can have.
const instances = 255

// clockTick is the unit of CPU times in /proc (USER_HZ).
const clockTick = 10 * time.Millisecond

// usage is what the two nodes of a contestant took while they were watched.
type usage struct {
	contestant  string
	cpu         [2]time.Duration // of the MASTER of all, and of the BACKUP
	memory      [2]int64         // resident, in bytes
	transitions int
}

// benchInstances watches 255 virtual routers at 1 s on two nodes.
func benchInstances(t lab.TB, o options, w io.Writer) {
	l := lab.StartBusy()
	var all []usage
	for _, c := range contestants() {
		u := measureInstances(t, o, c)
		t.Logf("%+v", u)
		all = append(all, u)
	}
	printInstances(w, o, all, l.Percent())
}

// measureInstances runs one contestant.
func measureInstances(t lab.TB, o options, c contestant) usage {
	l := lab.New(t)
	var routers []virtualRouter
	for vrid := 1; vrid <= instances; vrid++ {
		routers = append(routers, virtualRouter{
			name: fmt.Sprintf("VI_%d", vrid), vrid: vrid, protocol: protocol{3, time.Second},
			vips: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 1, byte(vrid)})},
		})
	}
	var nodes [2]*node
	for i, name := range []string{"a", "b"} {
		h := l.Host(name, fmt.Sprintf("10.0.0.%d/16", i+1))
		nodes[i] = newNode(t, l, h, c, routers)
	}
	nodes[0].start()
	l.WaitFor("a to be MASTER of all", func() error { return nodes[0].entered("MASTER", instances) })
	nodes[1].start()
	l.WaitFor("b to be BACKUP of all", func() error { return nodes[1].entered("BACKUP", instances) })
	u := usage{contestant: c.name}
	before := [2]time.Duration{nodes[0].cpu(), nodes[1].cpu()}
	changes := nodes[0].changes() + nodes[1].changes()
	select {
	case <-time.After(o.last):
	case <-t.Context().Done():
	}
	for i, n := range nodes {
		u.cpu[i], u.memory[i] = n.cpu()-before[i], n.memory()
	}
	u.transitions = nodes[0].changes() + nodes[1].changes() - changes
	for _, n := range nodes {
		_ = n.daemon.Stop()
	}
	return u
}

// entered is nil when the daemon has entered the state so many times.
func (n *node) entered(state string, times int) error {
	if have := strings.Count(n.daemon.Output(), "Entering "+state+" STATE"); have < times {
		return fmt.Errorf("%s is %s of %d of %d", n.Name, state, have, times)
	}
	return nil
}

// changes counts the changes of role so far.
func (n *node) changes() int { return strings.Count(n.daemon.Output(), "Entering ") }

// cpu is the CPU time of the daemon and its children.
func (n *node) cpu() time.Duration {
	var total time.Duration
	for _, pid := range append(children(n.daemon.PID()), n.daemon.PID()) {
		total += cpuTime(pid)
	}
	return total
}

// cpuTime is the CPU time of a process, zero if there is no such process.
func cpuTime(pid int) time.Duration {
	// After the name, which may have spaces, come state and numbers: utime and
	// stime are the 14th and 15th field (proc(5)).
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	var total time.Duration
	for _, field := range fields[11:13] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		total += time.Duration(ticks) * clockTick
	}
	return total
}

// memory is the resident memory of the daemon and its children.
func (n *node) memory() int64 {
	var pages int64
	for _, pid := range append(children(n.daemon.PID()), n.daemon.PID()) {
		data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if fields := strings.Fields(string(data)); len(fields) > 1 {
			resident, _ := strconv.ParseInt(fields[1], 10, 64)
			pages += resident
		}
	}
	return pages * int64(os.Getpagesize())
}

func printInstances(w io.Writer, o options, all []usage, busy float64) {
	fmt.Fprintf(w, "%d virtual routers, version 3, 1 s, on two nodes, watched for %v. Processes of this machine waited for a\n", instances, o.last)
	fmt.Fprintf(w, "CPU for %.0f %% of the time.\n\n", busy)
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "\tCPU of MASTER\tof BACKUP\tmemory of MASTER\tof BACKUP\tchanges of role\t")
	for _, u := range all {
		fmt.Fprintf(table, "%s\t%.2f %%\t%.2f %%\t%.1f MB\t%.1f MB\t%d\t\n", u.contestant,
			percent(u.cpu[0], o.last), percent(u.cpu[1], o.last),
			float64(u.memory[0])/1e6, float64(u.memory[1])/1e6, u.transitions)
	}
	_ = table.Flush()
}

func percent(part, whole time.Duration) float64 { return 100 * float64(part) / float64(whole) }
