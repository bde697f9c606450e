package director

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp"
)

// because ends a text with the reason, if there is one.
func because(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + ": " + reason
}

// sentence joins the words that there are.
func sentence(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// roleName is the role as in Status.
func roleName(r vrrp.Role) string { return strings.ToLower(r.String()) }

func transitionEvent(t vrrp.Transition) Event {
	text := fmt.Sprintf("%s is %s with priority %d, was %s", t.Name, t.To, t.Priority, t.From)
	return Event{
		Kind: EventInstance, Instance: t.Name, From: roleName(t.From), To: roleName(t.To),
		Priority: int(t.Priority), Reason: t.Why(), Text: because(text, t.Why()),
	}
}

func agreementEvent(group string, from, to vrrp.Role, why string) Event {
	return Event{
		Kind: EventGroup, Group: group, From: roleName(from), To: roleName(to), Reason: why,
		Text: because(fmt.Sprintf("sync group %s is %s, was %s", group, to, from), why),
	}
}

// The words of From and To of what is no state.
const (
	eventBegun = "begun"
	eventOver  = "over"
)

func (n notice) event() Event {
	e := Event{
		Kind: EventInstanceNotice, Instance: n.instance, To: eventBegun, Code: n.Kind.String(), Reason: n.Detail,
		Text: because(fmt.Sprintf("%s hears %s from %v", n.instance, n.Kind, n.Peer), n.Detail),
	}
	if n.over {
		e.From, e.To, e.Severity = eventBegun, eventOver, SeverityInfo
		e.Text = fmt.Sprintf("%s hears %s from %v no more", n.instance, n.Kind, n.Peer)
	}
	return e
}

func checksEvent(n healthcheck.Notice) Event {
	e := Event{
		Kind: EventChecksNotice, To: eventBegun, Code: string(n.Kind), Reason: n.Text,
		Text: because("checks "+string(n.Kind), n.Text),
	}
	if n.Over {
		e.From, e.To, e.Severity = eventBegun, eventOver, SeverityInfo
		e.Text = because("checks go on as usual", n.Text)
	}
	return e
}

// conflictEvent is of one host and the VIPs that it claims.
func conflictEvent(of []claimant, over bool) Event {
	e := Event{
		Kind: EventConflict, To: eventBegun,
		Text: fmt.Sprintf("another host, %v on %s, has VIPs of this MASTER: %s", of[0].mac, of[0].ifname, vipsOf(of)),
	}
	if over {
		e.From, e.To, e.Severity = eventBegun, eventOver, SeverityInfo
		e.Text = fmt.Sprintf("%v on %s has VIPs of this node no more: %s", of[0].mac, of[0].ifname, vipsOf(of))
	}
	return e
}

// driftEvent is of what is left as somebody else changed it.
func driftEvent(s DriftStatus, over bool) Event {
	e := Event{
		Kind: EventDrift, To: eventBegun,
		Text: fmt.Sprintf("somebody else changed the kernel, left alone: found %s, would repair by %s", s.Found, s.Op),
	}
	if over {
		e.From, e.To, e.Severity = eventBegun, eventOver, SeverityInfo
		e.Text = fmt.Sprintf("no longer otherwise than left: %s", s.Op)
	}
	return e
}

// repairEvent is of all that one pass put right: a table that somebody flushed is
// one story.
func repairEvent(done []Op, have State) Event {
	text := fmt.Sprintf("repaired what somebody else changed: found %s, did %s", found(have, done[0]), done[0])
	if more := len(done) - 1; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return Event{Kind: EventDrift, To: eventOver, Text: text}
}

func trackerEvent(t config.Tracker, from, to finding) Event {
	text := fmt.Sprintf("tracker %s is %s", t.Name, to.State)
	if t.Kind == config.TrackFile {
		text += fmt.Sprintf(" with value %d", to.Value)
	}
	return Event{
		Kind: EventTracker, Tracker: t.Name, From: from.State.String(), To: to.State.String(), Reason: to.Reason,
		Text: because(text, to.Reason),
	}
}

// recordKernel tells when the kernel begins and ceases to be other than planned; that
// the error is another one meanwhile is for the log.
func (d *Director) recordKernel(was, is error) {
	switch {
	case was == nil && is != nil:
		d.Record(Event{
			Kind: EventKernelFailed, Reason: is.Error(),
			Text: because("the kernel is not as planned, trying again", is.Error()),
		})
	case was != nil && is == nil:
		d.Record(Event{Kind: EventKernelRecovered, Text: "the kernel is as planned again"})
	}
}

func refusedEvent(err error) Event {
	return Event{
		Kind: EventReloadRefused, Reason: err.Error(),
		Text: because("reload refused, nothing changed", err.Error()),
	}
}

func rolledBackEvent(cause error) Event {
	return Event{
		Kind: EventRolledBack, Reason: cause.Error(),
		Text: because("rolled back to the configuration before", cause.Error()),
	}
}

func (d *Director) recordReload() {
	d.Record(Event{Kind: EventReloaded, Text: sentence("went over to another configuration", d.ConfigPath)})
}

func (d *Director) recordStart(m Memory) {
	e := Event{Kind: EventStarted, Text: sentence("lvsd", d.Version, "started")}
	if len(m.Instances) > 0 {
		e.Reason = "goes on where a predecessor left off"
	}
	e.Text = because(e.Text, e.Reason)
	d.Record(e)
}

func (d *Director) recordStop(cause error) {
	e := Event{Kind: EventStopping, Text: "lvsd stops and gives up what it holds"}
	switch {
	case errors.Is(cause, ErrHandOver):
		e.Text = "lvsd stops and leaves everything to a successor"
	case cause != nil && !errors.Is(cause, context.Canceled):
		e.Reason = cause.Error()
	}
	e.Text = because(e.Text, e.Reason)
	d.Record(e)
}
