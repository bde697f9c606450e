package director

import "time"

// Event is something that happened, as told to people and programs. As JSON its
// fields are only ever added to.
type Event struct {
	// Seq counts the events of this daemon from 1.
	Seq  uint64    `json:"seq"`
	At   time.Time `json:"at"`
	Kind EventKind `json:"kind"`
	// Severity is SeverityInfo, SeverityWarning or SeverityError.
	Severity string `json:"severity"`
	// Node is the node's router_id.
	Node string `json:"node"`
	// What it is about; what does not apply is empty.
	Instance string `json:"instance,omitempty"`
	Group    string `json:"group,omitempty"`
	Service  string `json:"service,omitempty"`
	Server   string `json:"server,omitempty"`
	Tracker  string `json:"tracker,omitempty"`
	// Addresses are the kernel's virtual services of Service's name, in file order:
	// "tcp 192.0.2.100:25", "fwmark 7".
	Addresses []string `json:"addresses,omitempty"`
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

// The severities, the least first.
const (
	SeverityInfo    = "info"
	SeverityWarning = "warning" // somebody should look when there is time
	SeverityError   = "error"   // something does not work
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
