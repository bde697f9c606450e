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

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// subject is what an explanation is asked about.
type subject string

// The subjects.
const (
	aServer    subject = "real server"
	aService   subject = "virtual service"
	anInstance subject = "VRRP instance"
)

// subjectOf decides by what there is what the name means.
func subjectOf(s director.Status, name string) (subject, error) {
	var meant []subject
	var flags []string
	if slices.ContainsFunc(s.Instances, func(i director.InstanceStatus) bool { return i.Name == name }) {
		meant, flags = append(meant, anInstance), append(flags, "--instance "+name)
	}
	if slices.ContainsFunc(s.Services, func(v director.ServiceStatus) bool { return v.Name == name }) {
		meant, flags = append(meant, aService), append(flags, "--service "+name)
	}
	for _, v := range s.Services {
		if slices.ContainsFunc(v.RealServers, func(r director.RealServerStatus) bool { return isServer(r, name) }) {
			meant, flags = append(meant, aServer), append(flags, name+" --service "+v.Name)
			break
		}
	}
	switch len(meant) {
	case 0:
		return unclearSubject(s, name)
	case 1:
		return meant[0], nil
	default:
		return "", usageError{fmt.Errorf("%q is a %s and a %s: want one of lvsd explain %s",
			name, meant[0], meant[1], strings.Join(flags, ", lvsd explain "))}
	}
}

// unclearSubject is a real server if the name is an address, or the beginning of one's
// name, which the daemon knows best.
func unclearSubject(s director.Status, name string) (subject, error) {
	if _, err := netip.ParseAddr(addressOf(name)); err == nil {
		return aServer, nil
	}
	known := namesOfStatus(s)
	all := slices.Concat(known.instances, known.services)
	for _, service := range slices.Sorted(maps.Keys(known.servers)) {
		all = append(all, known.servers[service]...)
		begins := func(server string) bool { return strings.HasPrefix(server, strings.ToLower(name)) }
		if name != "" && slices.ContainsFunc(known.servers[service], begins) {
			return aServer, nil
		}
	}
	return "", usageError{fmt.Errorf("no instance, service or server %q%s", name, director.NearestName(name, distinct(all)))}
}

// subject is what the command line asks about, and its name.
func (f *explainFlags) subject(ctx context.Context, arguments []string) (what subject, name string, err error) {
	switch {
	case f.instance != "" && (f.service != "" || len(arguments) > 0):
		return "", "", usageError{fmt.Errorf("--instance %s: want nothing else beside it", f.instance)}
	case f.instance != "":
		return anInstance, f.instance, nil
	case f.service != "" && len(arguments) == 0:
		return aService, f.service, nil
	case f.service != "":
		return aServer, arguments[0], nil
	}
	status, err := f.status(ctx)
	if err != nil {
		return "", "", err
	}
	what, err = subjectOf(status, arguments[0])
	return what, arguments[0], err
}

// explain asks about the subject, and prints the answer.
func (f *explainFlags) explain(ctx context.Context, socket string, what subject, name string, w io.Writer) error {
	colors, err := newPalette(f.color, w)
	if err != nil {
		return err
	}
	x := func(at time.Time) explainer {
		return explainer{now: at.Local(), verbose: f.verbose, palette: colors}
	}
	switch what {
	case anInstance:
		e, err := control.ExplainInstance(ctx, socket, name)
		if err != nil || f.asJSON {
			return orJSON(w, e, err)
		}
		return writeInstanceExplanation(w, e, x(e.At))
	case aService:
		e, err := control.ExplainService(ctx, socket, name)
		if err != nil || f.asJSON {
			return orJSON(w, e, err)
		}
		return writeServiceExplanation(w, e, x(e.At))
	default:
		e, err := control.Explain(ctx, socket, name, f.service)
		if err != nil || f.asJSON {
			return orJSON(w, e, err)
		}
		return writeExplanation(w, e, x(e.At))
	}
}

// orJSON prints the value unless there is an error.
func orJSON(w io.Writer, value any, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, value)
}

// writeInstanceExplanation prints why an instance stands as it does.
func writeInstanceExplanation(w io.Writer, e director.InstanceExplanation, x explainer) error {
	i := e.Instance
	fmt.Fprintf(&x, "%s: %s%s\n", x.paint(bold, i.Name), x.paint(roleColor(i.State), strings.ToUpper(i.State)), x.since(i.Since))
	x.line(1, "because: %s", i.Reason)
	x.line(1, "virtual router %d, VRRP version %d on %s, adverts every %s", i.VRID, i.Version, i.Interface, i.Interval)
	x.priority(i)
	switch {
	case i.State == "master":
		x.line(1, "this node is MASTER")
	case i.Master == "":
		x.line(1, "no MASTER is heard")
	default:
		x.line(1, "MASTER is %s with priority %d", i.Master, i.MasterPriority)
	}
	x.waits(i)
	for _, vip := range i.VIPs {
		x.line(1, "VIP %s: %s", vip.Address, describeVIP(vip))
	}
	x.group(e.Group)
	x.trackers(e.Trackers)
	x.peers(i.Peers)
	for _, n := range i.Notices {
		x.line(1, "%s: %s: %s, for %s, %s", n.Kind, n.Peer, n.Detail, ago(x.now, n.First), times(n.Count))
	}
	x.line(1, "adverts: %d sent, %d received; %s, %d of them to MASTER", i.Sent, i.Received,
		count(int(i.Transitions), "change")+" of state", i.MasterTransitions)
	x.events(e.Events)
	_, err := io.WriteString(w, x.String())
	return err
}

// priority says how the priority comes about.
func (x *explainer) priority(i director.InstanceStatus) {
	if i.Explanation == "" || i.Explanation == fmt.Sprint(i.Priority) {
		x.line(1, "priority: %d", i.Priority)
	} else {
		x.line(1, "priority: %s", i.Explanation)
	}
	for _, c := range i.Contributions {
		effect := fmt.Sprintf("adds %+d now (%+d configured)", c.Applied, c.Weight)
		if c.Fault {
			effect = "keeps it in FAULT"
		}
		x.line(2, "tracker %s is %s%s: %s", c.Tracker, c.State, x.since(c.Since), effect)
		if c.Reason != "" {
			x.line(3, "%s", c.Reason)
		}
	}
}

// waits says what the instance waits for, and what keeps it down.
func (x *explainer) waits(i director.InstanceStatus) {
	for _, fault := range i.Faults {
		x.line(1, "fault: %s", fault)
	}
	if i.Waiting != "" {
		x.line(1, "waiting for %s", i.Waiting)
	}
	if i.Settling {
		x.line(1, "settling: it only listens yet")
	}
	if i.Yielded {
		x.line(1, "gave up MASTER, and leaves its successor in peace")
	}
	if i.Held {
		x.line(1, "held, BACKUP until: lvsd vrrp release %s", i.Name)
	}
}

func (x *explainer) group(g *director.GroupStatus) {
	if g != nil {
		x.line(1, "sync group %s: %s%s; %s move together", g.Name, strings.ToUpper(g.State), x.since(g.Since), strings.Join(g.Instances, ", "))
	}
}

func (x *explainer) trackers(trackers []director.TrackerStatus) {
	for _, t := range trackers {
		text := fmt.Sprintf("depends on %s %s: %s%s", t.Kind, t.Name, t.State, x.since(t.Since))
		if t.Reason != "" {
			text += ": " + t.Reason
		}
		x.line(1, "%s", text)
	}
}

func (x *explainer) peers(peers []director.PeerStatus) {
	for _, p := range peers {
		text := fmt.Sprintf("hears %s: priority %d, version %d, last %s ago", p.Address, p.Priority, p.Version, ago(x.now, p.Last))
		if p.Discard != "" {
			text += "; not accepted: " + p.Discard
		}
		x.line(1, "%s", text)
	}
}

// events prints the last ones, the newest last.
func (x *explainer) events(events []director.Event) {
	if len(events) == 0 {
		return
	}
	shown := events
	if !x.verbose {
		shown = events[max(0, len(events)-shownLines):]
	}
	x.line(1, "the last %s:", count(len(shown), "event"))
	for _, e := range shown {
		x.line(2, "%s  %s", x.clock(e.At), e.Text)
	}
}

// writeServiceExplanation prints why a service stands as it does.
func writeServiceExplanation(w io.Writer, e director.ServiceExplanation, x explainer) error {
	if len(e.Services) > 0 {
		x.service(together(e.Services), where(e.Services))
	}
	for i := range e.Servers {
		s := &e.Servers[i]
		x.line(1, "%s: %s%s: %s", serverName(s), strings.ToUpper(s.State), x.since(s.Since), because(s))
	}
	x.events(e.Events)
	if len(e.Servers) > 0 {
		x.line(1, "more of one real server: lvsd explain %s --service %s", e.Servers[0].Address, e.Servers[0].Service)
	}
	_, err := io.WriteString(w, x.String())
	return err
}

func (x *explainer) service(s director.ServiceStatus, where string) {
	word, color := fmt.Sprintf("%d OF %d UP", s.Up, len(s.RealServers)), green
	switch {
	case !s.Quorum.Quorate && s.Quorum.Needed > 0:
		word, color = word+", NO QUORUM", red
	case s.Up < len(s.RealServers):
		color = yellow
	}
	fmt.Fprintf(x, "%s: %s\n", x.paint(bold, s.Name), x.paint(color, word))
	x.line(1, "%s, scheduler %s, forwarding %s", where, s.Scheduler, s.Forwarding)
	if q := s.Quorum; q.Needed > 0 {
		x.line(1, "quorum: weight %d is up, %d needed%s", q.Up, q.Needed, x.since(q.Since))
	}
	if s.Override != nil && !s.Override.Cleared {
		x.line(1, "%s %s", overrideState(*s.Override), orderedBy(*s.Override, x.now))
	}
	switch {
	case s.Sorry:
		x.line(1, "the sorry server %s is in use", s.SorryServer)
	case s.SorryServer != "":
		x.line(1, "the sorry server %s is not needed", s.SorryServer)
	}
}

// serverName is the address, and the host name if it has one.
func serverName(s *director.ServerExplanation) string {
	if s.Host == "" {
		return s.Address
	}
	return s.Address + " (" + s.Host + ")"
}

// roleColor is that of an instance's state.
func roleColor(state string) string {
	switch state {
	case "master":
		return green
	case "fault":
		return red
	default:
		return yellow
	}
}
