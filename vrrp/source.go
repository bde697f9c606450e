package vrrp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// pickSource is c.Source, which must be among the interface's addresses, or
// else the first one that fits and is not one of the VIPs: those may be left
// from a crash and belong to whoever is MASTER. In unicast mode it prefers the
// network of the first peer. An IPv6 address may not be usable yet.
func pickSource(addrs []net.Addr, c Config, usable func(netip.Addr) bool) (netip.Addr, error) {
	have := candidates(addrs, c)
	if c.Source.IsValid() {
		i := slices.IndexFunc(have, func(p netip.Prefix) bool { return p.Addr() == c.Source })
		if i < 0 {
			return netip.Addr{}, fmt.Errorf("source %v: not an %s of this interface", c.Source, c.addressKind())
		}
		have = have[i : i+1]
	}
	var tentative netip.Addr
	for _, p := range have {
		switch a := p.Addr(); {
		case slices.Contains(c.VIPs, a):
		case usable(a):
			return a, nil
		case !tentative.IsValid():
			tentative = a
		}
	}
	if tentative.IsValid() {
		return netip.Addr{}, fmt.Errorf(
			"%v is tentative: duplicate address detection has not ended, or found another host with it", tentative)
	}
	return netip.Addr{}, errors.New("no " + c.addressKind() + " of its own to send adverts from")
}

// candidates are the addresses that fit c's destinations, the best first.
func candidates(addrs []net.Addr, c Config) []netip.Prefix {
	var have []netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil, p.Addr().Is6() != c.Is6():
		case c.Is6() && p.Addr().IsLinkLocalUnicast() != c.linkLocal():
		default:
			have = append(have, p)
		}
	}
	if c.Unicast() {
		near := func(p netip.Prefix) int {
			if p.Contains(c.Peers[0]) {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(have, func(a, b netip.Prefix) int { return near(a) - near(b) })
	}
	return have
}

// linkLocal reports whether c sends from a link-local address: over IPv6 to a
// group (RFC 5798 section 5.1.2.1) and to link-local peers.
func (c Config) linkLocal() bool {
	return c.Is6() && (!c.Unicast() || c.Peers[0].IsLinkLocalUnicast())
}

func (c Config) addressKind() string {
	switch {
	case c.linkLocal():
		return "IPv6 link-local address"
	case c.Is6():
		return "IPv6 address"
	}
	return "IPv4 address"
}

// fits reports whether a Conn that was dialed for old, which found this source,
// serves c too.
func (c Config) fits(old Config, source netip.Addr) bool {
	return c.Source == old.Source && c.Unicast() == old.Unicast() && c.MulticastGroup() == old.MulticastGroup() &&
		c.linkLocal() == old.linkLocal() && !slices.Contains(c.VIPs, source)
}
