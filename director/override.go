package director

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// An Override is what an operator ordered at run time. It stands beside health and
// configuration: it outlives reloads and restarts, and reaches the other nodes,
// until it is cleared or its time is over.
//
// The overrides of all nodes are one set, with at most one of each Target; of two,
// the one with the later At stands, or at the same time that of the Node whose name
// is greater. So nodes that have been told the same in whatever order agree.
type Override struct {
	Target Target `json:"target"`
	// State is what the target is to be; empty where only Weight is ordered. A
	// weight stands for the configured one, of servers only.
	State  AdminState `json:"state,omitempty"`
	Weight *int       `json:"weight,omitempty"`
	// Addresses are those of a node: real servers on them are drained.
	Addresses []netip.Addr `json:"addresses,omitempty"`
	// Reason is the operator's own words, By who it was, as "root on relay1".
	Reason string `json:"reason,omitempty"`
	By     string `json:"by,omitempty"`
	// Node is where it was ordered, At when; At is later than that of every
	// override which the node knew, whatever its clock says.
	Node string    `json:"node"`
	At   time.Time `json:"at"`
	// Until is when it ends by itself; zero is never.
	Until time.Time `json:"until,omitzero"`
	// Cleared tells that it has been taken back: it stands only against older
	// ones that other nodes may still have, and goes after a week.
	Cleared bool `json:"cleared,omitempty"`
}

// Target is what an Override is about: one real server of one virtual service, a
// virtual service, or a node.
type Target struct {
	// Service is the service's name, Server the real server's address, as
	// "192.0.2.11:25"; empty is the service itself.
	Service string `json:"service,omitempty"`
	Server  string `json:"server,omitempty"`
	// Node is a node's name; then the others are empty.
	Node string `json:"node,omitempty"`
}

// AdminState is what an operator wants of a server, a service or a node.
type AdminState string

// The states.
const (
	// Enabled: as configuration and health have it. It is how everything is that
	// has no override.
	Enabled AdminState = "enabled"
	// Drain: no new connections; those that stand go on. A server has weight 0, a
	// service all its servers, a node's servers are drained in every service.
	Drain AdminState = "drain"
	// Disabled: not in the kernel's table; connections end.
	Disabled AdminState = "disabled"
)

// Order asks for an Override.
type Order struct {
	Target Target     `json:"target"`
	State  AdminState `json:"state,omitempty"`
	Weight *int       `json:"weight,omitempty"`
	Reason string     `json:"reason,omitempty"`
	By     string     `json:"by,omitempty"`
	// For is how long it is to stand; 0 is until it is cleared.
	For time.Duration `json:"for_ns,omitempty"`
}

// Spread says what became of an order at the other nodes. It has taken effect here
// in any case.
type Spread struct {
	// Override is what stands now.
	Override Override `json:"override"`
	// Told are the nodes that have taken it, Untold those that have not, with why;
	// they are told as soon as they answer.
	Told   []string          `json:"told"`
	Untold map[string]string `json:"untold,omitempty"`
}

var (
	// ErrUnknownNode means that no node has the name.
	ErrUnknownNode = errors.New("no such node")
	// ErrBadOrder means that an order makes no sense.
	ErrBadOrder = errors.New("no sensible order")
)

// SpreadFunc tells the other nodes of overrides, and returns which have taken them
// and which not, when all have answered or ctx ends.
type SpreadFunc func(ctx context.Context, overrides []Override) (told []string, untold map[string]string)

// MaintenanceOrder asks for maintenance of this node, or for its end.
type MaintenanceOrder struct {
	On     bool          `json:"on"`
	Reason string        `json:"reason,omitempty"`
	By     string        `json:"by,omitempty"`
	For    time.Duration `json:"for_ns,omitempty"`
}
