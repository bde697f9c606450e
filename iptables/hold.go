package iptables

import "strings"

// Hold is a rule that makes the kernel go on tracking connections when the last
// REDIRECT rule goes, so that the connections which that rule accepted stay
// translated. It has no target and so no effect on any packet: it counts, in a
// chain that only forwarded packets reach, but its conntrack match keeps
// tracking on. It stands outside the nat table, so that a flush of that table
// does not end connections either. It is comparable.
type Hold struct {
	// IPv6 tells connections of IPv6 from those of IPv4, which the kernel tracks
	// apart.
	IPv6 bool
}

// Validate implements Rule.
func (Hold) Validate() error { return nil }

// Chain implements Rule.
func (h Hold) Chain() Chain { return Chain{h.IPv6, "mangle", "FORWARD"} }

// String is the rule as an operator would write it, without table and chain.
func (h Hold) String() string { return strings.Join(h.spec(), " ") }

func (Hold) leads() bool { return false }

// holdTag is the comment of a Hold, which tells the operator what it is for.
const holdTag = tag + ": keeps conntrack on"

func (Hold) spec() []string {
	return []string{"-m", "conntrack", "--ctstate", "INVALID", "-m", "comment", "--comment", holdTag}
}
