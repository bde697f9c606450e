package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
)

const (
	// drainTimeout is the default of how long --wait waits.
	drainTimeout = 10 * time.Minute
	// pollDrain is how often the daemon is asked how many connections are left.
	pollDrain = time.Second
)

// waitFlags are the flags of what may wait for connections to end.
type waitFlags struct {
	wait    bool
	timeout time.Duration
}

func (f *waitFlags) register(command *cobra.Command) {
	command.Flags().BoolVar(&f.wait, "wait", false, "wait until the connections have ended")
	command.Flags().DurationVar(&f.timeout, "timeout", drainTimeout, "with --wait, wait no longer than this")
}

func (f *waitFlags) check() error {
	if f.wait && f.timeout <= 0 {
		return usageError{fmt.Errorf("--timeout %v: want more than 0", f.timeout)}
	}
	return nil
}

// timedOut is that something waited for did not happen in time.
type timedOut struct{ error }

// drained is how far the connections of something have ended.
type drained struct {
	// left are the active connections by node; this node's name is empty.
	left map[string]int
	// unheard are the nodes that did not answer, or did not tell of what is meant: how
	// many connections they have is not known.
	unheard []string
}

// done reports whether it is known that none is left.
func (d drained) done() bool { return d.sum() == 0 && len(d.unheard) == 0 }

// sum is how many are left.
func (d drained) sum() int {
	sum := 0
	for _, n := range d.left {
		sum += n
	}
	return sum
}

// String is as "3 connections left, 2 of them on relay2".
func (d drained) String() string {
	text := count(d.sum(), "active connection") + " left"
	for _, node := range slices.Sorted(maps.Keys(d.left)) {
		if n := d.left[node]; node != "" && n > 0 {
			text += fmt.Sprintf(", %d of them on %s", n, node)
		}
	}
	if len(d.unheard) > 0 {
		text += "; not heard of: " + strings.Join(d.unheard, ", ")
	}
	return text
}

// drainedOf is how many connections of the targets are left.
func drainedOf(status director.Status, targets []director.Target) drained {
	meant := func(service, server string) bool {
		return slices.ContainsFunc(targets, func(t director.Target) bool {
			return t.Service == service && (t.Server == "" || t.Server == server)
		})
	}
	return drainedWhere(status, meant)
}

// drainedWhere is how many connections are left of the servers that are meant.
func drainedWhere(status director.Status, meant func(service, server string) bool) drained {
	type member struct{ service, address string }
	d, here := drained{left: map[string]int{}}, map[member]bool{}
	for _, s := range status.Services {
		for _, r := range s.RealServers {
			if meant(s.Name, r.Address) {
				d.left[""] += int(r.Active)
				here[member{s.Name, r.Address}] = true
			}
		}
	}
	for _, node := range status.Nodes {
		told := map[member]bool{}
		for _, r := range node.Servers {
			if meant(r.Service, r.Address) {
				d.left[node.Name] += int(r.Active)
				told[member{r.Service, r.Address}] = true
			}
		}
		omitted := node.UpOmitted && slices.ContainsFunc(slices.Collect(maps.Keys(here)), func(m member) bool { return !told[m] })
		if !node.Reachable || omitted {
			d.unheard = append(d.unheard, node.Name)
		}
	}
	return d
}

// until looks until it is known that nothing is left, and tells of every change. The
// error is timedOut if that is not so after the timeout.
func (f *waitFlags) until(ctx context.Context, w io.Writer, look func(context.Context) (drained, error)) (now drained, err error) {
	deadline := time.NewTimer(f.timeout)
	defer deadline.Stop()
	poll := time.NewTicker(pollDrain)
	defer poll.Stop()
	told := ""
	for {
		next, err := look(ctx)
		if err != nil {
			return now, err
		}
		now = next
		if text := now.String(); text != told {
			fmt.Fprintln(w, printableLine("  %s", text))
			told = text
		}
		if now.done() {
			return now, nil
		}
		select {
		case <-ctx.Done():
			return now, context.Cause(ctx)
		case <-deadline.C:
			return now, timedOut{fmt.Errorf("after %s: %s; the order stands", f.timeout, now)}
		case <-poll.C:
		}
	}
}

// stillOrdered is the order that keeps the target from serving as configured; nil if
// there is none.
func stillOrdered(status director.Status, target director.Target) *director.Override {
	for _, s := range status.Services {
		if s.Name != target.Service {
			continue
		}
		if target.Server == "" {
			return s.Override
		}
		for _, r := range s.RealServers {
			if r.Address == target.Server && r.Override != nil {
				return r.Override
			}
		}
	}
	return nil
}

// addressOf is the address of ADDRESS:PORT.
func addressOf(server string) string {
	if parsed, err := netip.ParseAddrPort(server); err == nil {
		return parsed.Addr().String()
	}
	return server
}

// distinct are the texts without repetitions, sorted.
func distinct(texts []string) []string { return slices.Compact(slices.Sorted(slices.Values(texts))) }
