package iptables

import (
	"fmt"
	"net/netip"
	"strings"
)

// Mute is one rule in mangle OUTPUT: resets from VIP to packets in the middle of
// connections that this host does not know are dropped. Who sent the packet hears
// nothing and sends it again. It is comparable.
//
// Resets by which a connection request is refused carry an acknowledgement, and
// pass.
type Mute struct {
	// VIP is an IPv4 or IPv6 address.
	VIP netip.Addr
}

// Validate says why no rule can be written for m.
func (m Mute) Validate() error {
	if !plain(m.VIP) {
		return fmt.Errorf("mute %q: not an IPv4 or IPv6 address", m.VIP)
	}
	return nil
}

// Chain implements Rule.
func (m Mute) Chain() Chain { return Chain{m.VIP.Is6(), "mangle", "OUTPUT"} }

// String is the rule as an operator would write it, without table and chain.
func (m Mute) String() string { return strings.Join(m.spec(), " ") }

// leads is false: it drops, wherever in the chain that is.
func (m Mute) leads() bool { return false }

// resetFlags is a reset without an acknowledgement: the flags examined and those
// set.
var resetFlags = []string{"--tcp-flags", "RST,ACK", "RST"}

func (m Mute) spec() []string { return muteSpec(wholeLength(m.VIP)) }

func muteSpec(source string) []string {
	args := append([]string{"-s", source, "-p", "tcp", "-m", "tcp"}, resetFlags...)
	return append(args, "-m", "comment", "--comment", tag, "-j", "DROP")
}

func readMute(o options) Rule { return Mute{o.address("-s")} }
