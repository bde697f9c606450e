package iptables

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// SNAT is one rule in nat POSTROUTING: connections that IPVS sends to a real
// server by NAT get an address of this host as source, so that the reply comes
// back through it although the client and the real server share a network, or
// the real server's gateway is another. It needs net.ipv4.vs.conntrack = 1. It
// is comparable.
type SNAT struct {
	// VIP, Protocol and Port are those of the virtual service; port 0 is every
	// port, an empty protocol every protocol.
	VIP      netip.Addr
	Protocol string
	Port     uint16
	// Source is the new source address; zero is that of the outgoing interface
	// (MASQUERADE).
	Source netip.Addr
}

// Validate says why no rule can be written for s.
func (s SNAT) Validate() error {
	switch {
	case !plain(s.VIP):
		return fmt.Errorf("SNAT %q: not an IPv4 or IPv6 address", s.VIP)
	case s.Protocol != "" && !hasPorts(s.Protocol):
		return fmt.Errorf("SNAT %s: protocol %q is none of tcp, udp and sctp", s.VIP, s.Protocol)
	case s.Protocol == "" && s.Port != 0:
		return fmt.Errorf("SNAT %s: a port needs a protocol: tcp, udp or sctp", s.VIP)
	case s.Source.IsValid() && (!plain(s.Source) || s.Source.Is4() != s.VIP.Is4()):
		return fmt.Errorf("SNAT %s: source %s is not an address of its family", s.VIP, s.Source)
	}
	return nil
}

// Chain implements Rule.
func (s SNAT) Chain() Chain { return Chain{s.VIP.Is6(), "nat", "POSTROUTING"} }

// String is the rule as an operator would write it, without table and chain.
func (s SNAT) String() string { return strings.Join(s.spec(), " ") }

// leads is true: of several rules that translate a connection only the first
// counts, and many hosts masquerade all that leaves by an interface.
func (s SNAT) leads() bool { return true }

func (s SNAT) spec() []string {
	var args []string
	if s.Protocol != "" {
		args = append(args, "-p", s.Protocol)
	}
	args = append(args, "-m", "ipvs", "--vaddr", wholeLength(s.VIP))
	if s.Port != 0 {
		args = append(args, "--vport", strconv.Itoa(int(s.Port)))
	}
	args = append(args, "--vmethod", "masq", "-m", "comment", "--comment", tag)
	if s.Source.IsValid() {
		return append(args, "-j", "SNAT", "--to-source", s.Source.String())
	}
	return append(args, "-j", "MASQUERADE")
}

func readSNAT(o options) Rule {
	s := SNAT{VIP: o.address("--vaddr"), Protocol: o["-p"], Source: o.address("--to-source")}
	s.Port, _ = o.ports("--vport")
	return s
}
