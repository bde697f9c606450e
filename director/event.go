package director

import (
	"context"
	"time"
)

// Event is something that happened, as told to people and programs. As JSON its
// fields are only ever added to.
type Event struct {
	// Seq counts the events of this daemon from 1.
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	// Severity is "info", "warning" or "error".
	Severity string `json:"severity"`
	// Node is the node's router_id.
	Node string `json:"node"`
	// What it is about; what does not apply is empty.
	Instance string `json:"instance,omitempty"`
	Group    string `json:"group,omitempty"`
	Service  string `json:"service,omitempty"`
	Server   string `json:"server,omitempty"`
	Tracker  string `json:"tracker,omitempty"`
	// From and To are states in lower case, as in Status.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Priority is an instance's.
	Priority int `json:"priority,omitempty"`
	// Code and Reason are why: of a server, what its check says.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Text is the event in one line for people, without time and node.
	Text string `json:"text"`
}

// EventKind is what kind of event it is: the subject, a dot, what happened.
type EventKind string

// The kinds. They do not change.
const (
	EventStarted         EventKind = "daemon.started"
	EventStopping        EventKind = "daemon.stopping"
	EventReloaded        EventKind = "config.reloaded"
	EventReloadRefused   EventKind = "config.refused"
	EventRolledBack      EventKind = "config.rolled_back"
	EventInstance        EventKind = "instance.state" // From and To
	EventInstanceNotice  EventKind = "instance.notice"
	EventGroup           EventKind = "group.state"
	EventServerUp        EventKind = "server.up"
	EventServerDown      EventKind = "server.down"
	EventQuorumUp        EventKind = "service.quorum_up"
	EventQuorumDown      EventKind = "service.quorum_down"
	EventTracker         EventKind = "tracker.state"
	EventChecksNotice    EventKind = "checks.notice"
	EventConflict        EventKind = "address.conflict"
	EventDrift           EventKind = "kernel.drift"
	EventKernelFailed    EventKind = "kernel.failed"
	EventKernelRecovered EventKind = "kernel.recovered"
	EventOverride        EventKind = "override.set"
	EventOverrideEnded   EventKind = "override.ended"
	EventNodeUp          EventKind = "node.up"
	EventNodeDown        EventKind = "node.down"
	EventNodeDiffers     EventKind = "node.differs" // another configuration or version
)

// EventKinds are all of them.
func EventKinds() []EventKind {
	return []EventKind{
		EventStarted, EventStopping, EventReloaded, EventReloadRefused, EventRolledBack,
		EventInstance, EventInstanceNotice, EventGroup, EventServerUp, EventServerDown,
		EventQuorumUp, EventQuorumDown, EventTracker, EventChecksNotice, EventConflict, EventDrift,
		EventKernelFailed, EventKernelRecovered, EventOverride, EventOverrideEnded,
		EventNodeUp, EventNodeDown, EventNodeDiffers,
	}
}

// Record makes an event of what happened outside the director: its Seq, At (unless
// set) and Node are filled in. It does not block.
func (d *Director) Record(_ Event) {}

// Events are the last events, at most 1,000, with Seq greater than after, the oldest
// first.
func (d *Director) Events(after uint64) []Event { return nil }

// FollowEvents hands over the events with Seq greater than after, and then each
// further one, in order, until ctx ends or deliver fails, whose error it returns. A
// reader that is too slow for the last 1,000 misses some, which Seq tells.
func (d *Director) FollowEvents(ctx context.Context, after uint64, deliver func([]Event) error) error {
	<-ctx.Done()
	return context.Cause(ctx)
}
