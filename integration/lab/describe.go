package lab

import (
	"fmt"
	"slices"
	"strings"
)

// describeTail is how many lines of a daemon's output are shown.
const describeTail = 40

// describeCommands show a host; one that is not installed is left out.
var describeCommands = [][]string{
	{"ip", "-br", "addr"},
	{"ip", "neigh"},
	{"iptables-save", "-t", "nat"},
	{"ipvsadm", "-Ln"},
	{"ipvsadm", "-Lnc"},
	{"conntrack", "-L"},
}

// Describe tells what every host looks like, for a person who wonders why a
// test failed.
func (l *Lab) Describe() string {
	var b strings.Builder
	for _, h := range l.hosts {
		fmt.Fprintf(&b, "=== host %s (%s)\n", h.Name, h.Namespace())
		for _, c := range describeCommands {
			if program(c[0]) != nil {
				continue
			}
			out, err := h.Try(c[0], c[1:]...)
			if err != nil {
				continue
			}
			fmt.Fprintf(&b, "--- %s\n%s", strings.Join(c, " "), out)
		}
		h.mu.Lock()
		daemons := slices.Clone(h.daemons)
		h.mu.Unlock()
		for _, d := range daemons {
			d.describe(&b)
		}
	}
	return b.String()
}

func (d *Daemon) describe(b *strings.Builder) {
	state := "running"
	if !d.Running() {
		state = fmt.Sprintf("ended: %v", d.err)
	}
	fmt.Fprintf(b, "--- %s (%s)\n%s", d.Name, state, tail(d.Output(), describeTail))
	if d.out.more != nil {
		b.WriteString(tail(d.out.more(), describeTail))
	}
}

func tail(text string, lines int) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(all[max(0, len(all)-lines-1):], "")
}
