package iptables

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Mark is one rule in mangle PREROUTING: packets to VIP get a firewall mark, by
// which IPVS selects a virtual service. It is comparable.
type Mark struct {
	// VIP is an IPv4 or IPv6 address.
	VIP netip.Addr
	// Protocol is "tcp", "udp" or "sctp"; empty is every protocol.
	Protocol string
	// First and Last are the destination ports, both included; 0 and 0 is
	// every port.
	First, Last uint16
	// Mark is not 0.
	Mark uint32
}

// Validate says why no rule can be written for m.
func (m Mark) Validate() error {
	switch {
	case !plain(m.VIP):
		return fmt.Errorf("mark %q: not an IPv4 or IPv6 address", m.VIP)
	case m.Protocol != "" && !hasPorts(m.Protocol):
		return fmt.Errorf("mark %s: protocol %q is none of tcp, udp and sctp", m.VIP, m.Protocol)
	case m.Protocol == "" && (m.First != 0 || m.Last != 0):
		return fmt.Errorf("mark %s: ports need a protocol: tcp, udp or sctp", m.VIP)
	case m.First > m.Last || m.First == 0 && m.Last != 0:
		return fmt.Errorf("mark %s: ports %d to %d are no range", m.VIP, m.First, m.Last)
	case m.Mark == 0:
		return fmt.Errorf("mark %s: 0 is no mark", m.VIP)
	}
	return nil
}

// Chain implements Rule.
func (m Mark) Chain() Chain { return Chain{m.VIP.Is6(), "mangle", "PREROUTING"} }

// String is the rule as an operator would write it, without table and chain.
func (m Mark) String() string { return strings.Join(m.spec(), " ") }

// leads is false: of several rules that give a mark the last one counts.
func (m Mark) leads() bool { return false }

func (m Mark) spec() []string {
	args := []string{"-d", wholeLength(m.VIP)}
	if m.Protocol != "" {
		args = append(args, "-p", m.Protocol)
	}
	if m.First != 0 {
		args = append(args, "-m", m.Protocol, "--dport", portRange(m.First, m.Last))
	}
	return append(args, "-m", "comment", "--comment", tag, "-j", "MARK", "--set-mark", strconv.FormatUint(uint64(m.Mark), 10))
}

func readMark(o options) Rule {
	m := Mark{VIP: o.address("-d"), Protocol: o["-p"]}
	m.First, m.Last = o.ports("--dport")
	mark, _ := strconv.ParseUint(o["--set-mark"], 10, 32)
	m.Mark = uint32(mark)
	return m
}

func portRange(first, last uint16) string {
	if first == last {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d:%d", first, last)
}

// hasPorts reports whether the protocol is one whose ports a rule can name.
func hasPorts(protocol string) bool {
	return protocol == "tcp" || protocol == "udp" || protocol == "sctp"
}

// plain reports whether the address can stand in a rule of its family.
func plain(a netip.Addr) bool { return a.IsValid() && !a.Is4In6() && a.Zone() == "" }

// wholeLength is the address as a prefix of one address.
func wholeLength(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
