package vrrp

import (
	"net/netip"
	"time"
)

// The versions of the protocol.
const (
	V2 Version = 2 // RFC 3768
	V3 Version = 3 // RFC 5798, RFC 9568
)

// Owner is the priority of the router that owns the addresses (RFC 5798
// section 5.2.4). Tracking never gives or takes it.
const Owner = 255

// The bounds of the advert interval, and its unit in version 3: version 2
// counts whole seconds in 8 bits, version 3 centiseconds in 12.
const (
	MaxIntervalV2 = 255 * time.Second
	MaxIntervalV3 = 4095 * centisecond

	centisecond = 10 * time.Millisecond
)

// MaxPassword is the longest password of version 2, in bytes (RFC 2338 section
// 5.3.10).
const MaxPassword = 8

// Version is the version of the protocol: 2 or 3.
type Version uint8

// SkewTime is Skew_Time for a router of this priority, given the interval of
// the MASTER's adverts. Version 2 does not scale it with the interval (RFC 3768
// section 6.1), version 3 does (RFC 5798 section 6.1).
func (v Version) SkewTime(priority uint8, interval time.Duration) time.Duration {
	if v == V2 {
		interval = time.Second
	}
	return (256 - time.Duration(priority)) * interval / 256
}

// MasterDownInterval is Master_Down_Interval: how long a BACKUP of this
// priority hears nothing before it takes the MASTER for dead, given the interval
// of the MASTER's adverts.
func (v Version) MasterDownInterval(priority uint8, interval time.Duration) time.Duration {
	return 3*interval + v.SkewTime(priority, interval)
}

// Config is what Step needs to know of one virtual router.
type Config struct {
	// Name labels the router in reports.
	Name string
	// Version is 2 (RFC 3768) or 3 (RFC 5798, RFC 9568).
	Version Version
	// VRID is 1..255.
	VRID uint8
	// Priority is 1..254, or 255 for the owner of the addresses.
	Priority uint8
	// Interval is the time between adverts: whole seconds 1s..255s in version
	// 2, centiseconds 10ms..40.95s in version 3.
	Interval time.Duration
	// Preempt lets a BACKUP replace a MASTER of lower priority, PreemptDelay
	// after it first hears it. The owner always does, without delay.
	Preempt      bool
	PreemptDelay time.Duration
	// Source is the address adverts are sent from; it decides between equal
	// priorities. Zero lets Dial take the interface's first address that is
	// not a VIP.
	Source netip.Addr
	// VIPs are the addresses that an advert lists, at most 255.
	VIPs []netip.Addr
	// Password authenticates version 2 adverts (auth type 1) when set: at most
	// 8 bytes. It crosses the wire in the clear.
	Password string
	// HMAC, unless it has no keys, authenticates adverts of either version.
	HMAC HMAC
	// PlainChecksum sends version 3 adverts over IPv4 with the checksum of RFC
	// 9568 instead of that of RFC 5798; both are accepted.
	PlainChecksum bool
	// Group is where multicast adverts go; zero is 224.0.0.18 or ff02::12.
	Group netip.Addr
	// Peers, when set, makes the router unicast to them instead of multicast,
	// and accept adverts from them only unless AnySource is set.
	Peers     []netip.Addr
	AnySource bool
	// MinTTL is the least TTL or hop limit of adverts that are accepted from
	// Peers, at least 1; 0 is 255. Multicast is always 255.
	MinTTL uint8
	// Settle is how long the router only listens, in addition to
	// Master_Down_Interval, after it entered the election: its link may not
	// pass packets yet. The first advert it hears ends it. Resume does without.
	Settle time.Duration
	// LinkDownDelay is how long the interface may be down before the router
	// goes to Fault.
	LinkDownDelay time.Duration
}

// HMAC authenticates adverts with HMAC-SHA256, in keepalived 2.4's format.
type HMAC struct {
	// Keys are the secrets by key id, 1..255. An advert with any of them is
	// accepted, so that keys are rotated without a gap.
	Keys map[uint8][]byte
	// Active is the key to send with. 0, which wants Permissive, sends without a
	// trailer: for the time when some routers do not know any.
	Active uint8
	// Window is how far the time in an advert may be from this node's; 0 looks
	// only at the order of one sender's adverts.
	Window time.Duration
	// Permissive accepts adverts without a trailer too, for the time of a
	// change. One that is wrong is never accepted.
	Permissive bool
}

// Enabled reports whether there are keys.
func (h *HMAC) Enabled() bool { return len(h.Keys) > 0 }

// Unicast reports whether adverts go to Peers instead of the group.
func (c Config) Unicast() bool { return len(c.Peers) > 0 }

// Is6 reports whether the router speaks IPv6: the family of its addresses.
func (c Config) Is6() bool {
	switch {
	case len(c.VIPs) > 0:
		return c.VIPs[0].Is6()
	case c.Unicast():
		return c.Peers[0].Is6()
	case c.Source.IsValid():
		return c.Source.Is6()
	}
	return c.Group.Is6()
}

// MulticastGroup is where multicast adverts go: Group or the family's default.
func (c Config) MulticastGroup() netip.Addr {
	switch {
	case c.Group.IsValid():
		return c.Group
	case c.Is6():
		return Group6
	}
	return Group
}

// MasterDownInterval is Master_Down_Interval by the configured priority and
// interval.
func (c Config) MasterDownInterval() time.Duration {
	return c.Version.MasterDownInterval(c.Priority, c.Interval)
}
