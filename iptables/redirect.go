// Package iptables owns the REDIRECT rules that let a node which is not MASTER
// accept the packets that the MASTER forwards to it. It knows rules, their tag
// and the iptables command; it must not know VRRP, roles or why a rule is
// wanted.
package iptables

import "net/netip"

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
