package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// grave is how grave something is, as a monitoring plugin's exit code.
type grave int

// The codes of monitoring plugins.
const (
	graveOK grave = iota
	graveWarning
	graveCritical
	graveUnknown
)

func (g grave) String() string { return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[g] }

// nagios prints the state in one line for Icinga, Nagios and the like, and returns
// their exit code as an outcome.
func nagios(ctx context.Context, socket string, w io.Writer, now time.Time) error {
	var text string
	worst := graveOK
	status, err := control.Status(ctx, socket)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		worst, text = graveCritical, err.Error()
	case err != nil:
		worst, text = graveUnknown, err.Error()
	default:
		worst, text = nagiosLine(status, now)
	}
	if _, err := fmt.Fprintf(w, "LVSD %s: %s\n", worst, text); err != nil {
		return err
	}
	if worst == graveOK {
		return nil
	}
	return outcome(worst)
}

// nagiosUnknown prints in one line why nothing can be told.
func nagiosUnknown(w io.Writer, err error) int {
	text, _, _ := strings.Cut(err.Error(), "\n")
	fmt.Fprintf(w, "LVSD %s: %s\n", graveUnknown, pluginText(text))
	return int(graveUnknown)
}

// pluginText is text that ends neither the line nor the text before the performance
// data, whatever servers and other nodes say.
func pluginText(text string) string {
	return strings.ReplaceAll(strings.Map(printable, text), "|", "/")
}

// nagiosLine is the worst of what is the matter, all of it in words, and performance
// data.
func nagiosLine(s director.Status, now time.Time) (worst grave, text string) {
	t := troubles{now: now}
	t.daemon(s)
	t.instances(s.Instances)
	t.services(s.Services)
	t.nodes(s)
	t.tell(s)
	parts := slices.Concat(t.critical, t.warning)
	switch {
	case len(t.critical) > 0:
		worst = graveCritical
	case len(t.warning) > 0:
		worst = graveWarning
	default:
		parts = []string{healthy(s)}
	}
	summary := strings.Join(append(parts, t.told...), "; ")
	return worst, pluginText(summary) + " | " + performance(s)
}

// troubles collects what is the matter.
type troubles struct {
	now               time.Time
	critical, warning []string
	// told is worth knowing and no trouble.
	told []string
}

func (t *troubles) critically(format string, args ...any) {
	t.critical = append(t.critical, fmt.Sprintf(format, args...))
}

func (t *troubles) warn(format string, args ...any) {
	t.warning = append(t.warning, fmt.Sprintf(format, args...))
}

func (t *troubles) daemon(s director.Status) {
	if s.Reconcile.Error != "" {
		t.critically("kernel not as planned: %s", s.Reconcile.Error)
	}
	for _, c := range s.Conflicts {
		if !c.Ended {
			t.critically("address conflict: %s is also at %s", c.VIP, c.MAC)
		}
	}
	if s.Reload.Error != "" {
		t.warn("last reload %s: %s", reloadOutcomeWord(s.Reload), s.Reload.Error)
	}
	if s.FileDiffers {
		t.warn("the file is not what runs")
	}
	for _, beside := range s.Beside {
		t.warn("%s does not work: %s", beside.Name, beside.Error)
	}
	if s.OverrideTrouble != "" {
		t.warn("what was ordered before the start is not known: %s", s.OverrideTrouble)
	}
	if !s.Ready {
		t.warn("waiting for the first answers of the checks")
	}
	for _, n := range s.CheckNotices {
		t.warn("checks are %s: %s", n.Kind, n.Reason)
	}
	if len(s.Drift) > 0 {
		t.warn("%s by somebody else, left alone", count(len(s.Drift), "change"))
	}
	if s.Maintenance != nil {
		t.warn("in maintenance %s", orderedBy(*s.Maintenance, t.now))
	}
	if !s.Confirm.IsZero() {
		t.warn("a reload waits to be confirmed")
	}
}

func (t *troubles) instances(instances []director.InstanceStatus) {
	for _, i := range instances {
		switch {
		case i.State == "fault":
			t.critically("instance %s is FAULT: %s", i.Name, strings.Join(i.Faults, ", "))
		case i.State == "backup" && i.Master == "" && !i.Settling && i.Waiting == "":
			t.critically("instance %s: no MASTER is heard", i.Name)
		}
		for _, n := range i.Notices {
			t.warn("instance %s: %s: %s: %s", i.Name, n.Kind, n.Peer, n.Detail)
		}
	}
}

func (t *troubles) services(services []director.ServiceStatus) {
	seen := map[string]bool{}
	for _, s := range services {
		if seen[s.Name] {
			continue // one service on several addresses
		}
		seen[s.Name] = true
		switch {
		case s.Quorum.Needed > 0 && !s.Quorum.Quorate:
			t.critically("service %s has no quorum: weight %d is up, %d needed", s.Name, s.Quorum.Up, s.Quorum.Needed)
		case s.Sorry:
			t.critically("service %s: the sorry server serves", s.Name)
		}
		for _, r := range s.RealServers {
			if r.State == "down" && r.Admin != director.Disabled {
				t.warn("server %s in %s is down: %s", name(r), s.Name, lastResult(r))
			}
		}
	}
}

func (t *troubles) nodes(s director.Status) {
	for _, n := range s.Nodes {
		switch {
		case !n.Reachable:
			t.warn("node %s is not reachable: %s", n.Name, n.Error)
		case differs(s, n):
			t.warn("node %s has another configuration", n.Name)
		}
	}
}

// nagiosLists is how many of a kind a line tells one by one.
const nagiosLists = 3

// tell adds the orders that stand, and what other nodes see otherwise.
func (t *troubles) tell(s director.Status) {
	var orders, opinions []string
	for _, o := range standing(s) {
		orders = append(orders, fmt.Sprintf("order: %s is %s", o.Target.String(), overrideState(o)))
	}
	for _, d := range s.Disagreements() {
		for _, other := range d.Others {
			opinions = append(opinions, fmt.Sprintf("node %s sees %s in %s %s, here it is %s", other.Node, d.Address, d.Service, other.State, d.State))
		}
	}
	for _, all := range [][]string{orders, opinions} {
		shown := all[:min(len(all), nagiosLists)]
		t.told = append(t.told, shown...)
		if more := len(all) - len(shown); more > 0 {
			t.told = append(t.told, fmt.Sprintf("and %d more", more))
		}
	}
}

// healthy is what is told when nothing is the matter.
func healthy(s director.Status) string {
	var parts []string
	for _, i := range s.Instances {
		parts = append(parts, fmt.Sprintf("%s is %s", i.Name, strings.ToUpper(i.State)))
	}
	up, all := serversUp(s)
	return strings.Join(append(parts, fmt.Sprintf("%d of %d real servers up", up, all)), ", ")
}

// serversUp counts real servers, each of them once in a service.
func serversUp(s director.Status) (up, all int) {
	type member struct{ service, address string }
	seen := map[member]bool{}
	for _, service := range s.Services {
		for _, r := range service.RealServers {
			if key := (member{service.Name, r.Address}); !seen[key] {
				seen[key] = true
				all++
				if r.State == "up" {
					up++
				}
			}
		}
	}
	return up, all
}

// performance is the performance data: label=value;warn;crit;min;max.
func performance(s director.Status) string {
	up, all := serversUp(s)
	masters, active := 0, 0
	for _, i := range s.Instances {
		if i.State == "master" {
			masters++
		}
	}
	for _, service := range s.Services {
		for _, r := range service.RealServers {
			active += int(r.Active)
		}
	}
	return fmt.Sprintf("servers_up=%d;;;0;%d masters=%d;;;0;%d active_connections=%d;;;0;", up, all, masters, len(s.Instances), active)
}
