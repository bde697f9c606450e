// Package iptables owns the REDIRECT rules that let a node which is not MASTER
// accept the packets that the MASTER forwards to it. It knows rules, their tag
// and the iptables command; it must not know VRRP, roles or why a rule is
// wanted.
//
// A rule translates only the first packet of a connection; the others are
// translated by connection tracking. The kernel tracks connections in a network
// namespace only while some rule there needs it, so deleting the last REDIRECT
// rule would end the tracking and with it the translation: every connection
// that the rule had accepted is then reset at its next packet. Table therefore
// keeps one more rule, which matches nothing that matters and only holds
// connection tracking: see Table.HoldConntrack.
package iptables

import (
	"fmt"
	"net/netip"
	"strings"
)

// Redirect is one rule in nat PREROUTING: packets to VIP are accepted by this
// host's own sockets. It is comparable.
type Redirect struct {
	VIP netip.Addr
	// Protocol is "tcp" or "udp".
	Protocol string
	// Port is the destination port, or 0 for every port of the protocol.
	Port uint16
	// NewOnly limits a TCP rule to connection requests (--syn). Packets in the
	// middle of a connection then never open a translation of their own, see
	// docs/relay-mode.md.
	NewOnly bool
}

// Validate says why no rule can be written for r.
func (r Redirect) Validate() error {
	switch {
	case !r.VIP.Is4():
		return fmt.Errorf("redirect %q: not an IPv4 address", r.VIP)
	case r.Protocol != "tcp" && r.Protocol != "udp":
		return fmt.Errorf("redirect %s: protocol %q is neither tcp nor udp", r.VIP, r.Protocol)
	case r.NewOnly && r.Protocol != "tcp":
		return fmt.Errorf("redirect %s: connection requests are TCP's, not %s's", r.VIP, r.Protocol)
	}
	return nil
}

// String is the rule as an operator would write it, without table and chain.
func (r Redirect) String() string { return strings.Join(r.spec(), " ") }
