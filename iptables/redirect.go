// Package iptables owns lvsd's rules in the kernel's packet filter: the REDIRECT
// rules that let a node which is not MASTER accept the packets that the MASTER
// forwards to it, those that give packets a firewall mark, those that give NAT
// connections a source of this node, and those that keep a new MASTER from
// resetting connections that it has not been told of yet. It knows rules, their tag, the commands
// iptables and ip6tables, and the kernel's events of changed rules; it must not
// know VRRP, roles or why a rule is wanted.
//
// A REDIRECT rule translates only the first packet of a connection; the others are
// translated by connection tracking. The kernel tracks connections in a network
// namespace only while some rule there needs it, so deleting the last REDIRECT
// rule would end the tracking and with it the translation: every connection
// that the rule had accepted is then reset at its next packet. Table therefore
// keeps one more rule, which matches nothing that matters and only holds
// connection tracking: see Hold.
package iptables

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Redirect is one rule in nat PREROUTING: packets to VIP are accepted by this
// host's own sockets. It is comparable.
type Redirect struct {
	// VIP is an IPv4 or IPv6 address.
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
	case !plain(r.VIP):
		return fmt.Errorf("redirect %q: not an IPv4 or IPv6 address", r.VIP)
	case r.Protocol != "tcp" && r.Protocol != "udp":
		return fmt.Errorf("redirect %s: protocol %q is neither tcp nor udp", r.VIP, r.Protocol)
	case r.NewOnly && r.Protocol != "tcp":
		return fmt.Errorf("redirect %s: connection requests are TCP's, not %s's", r.VIP, r.Protocol)
	}
	return nil
}

// Chain implements Rule.
func (r Redirect) Chain() Chain { return Chain{r.VIP.Is6(), "nat", "PREROUTING"} }

// String is the rule as an operator would write it, without table and chain.
func (r Redirect) String() string { return strings.Join(r.spec(), " ") }

// leads is true: of several rules that translate a connection only the first
// counts.
func (r Redirect) leads() bool { return true }

func (r Redirect) spec() []string {
	args := []string{"-d", wholeLength(r.VIP), "-p", r.Protocol}
	if r.Port != 0 || r.NewOnly {
		args = append(args, "-m", r.Protocol)
	}
	if r.Port != 0 {
		args = append(args, "--dport", strconv.Itoa(int(r.Port)))
	}
	if r.NewOnly {
		args = append(args, "--syn")
	}
	return append(args, "-m", "comment", "--comment", tag, "-j", "REDIRECT")
}

func readRedirect(o options) Rule {
	r := Redirect{VIP: o.address("-d"), Protocol: o["-p"]}
	r.Port, _ = o.ports("--dport")
	_, r.NewOnly = o["--syn"]
	return r
}
