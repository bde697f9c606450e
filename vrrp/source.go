package vrrp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
)

// pickSource is c.Source, which must be among the interface's addresses, or
// else the first IPv4 address that is not one of the VIPs: those may be left
// from a crash and belong to whoever is MASTER.
func pickSource(addrs []net.Addr, c Config) (netip.Addr, error) {
	var have []netip.Addr
	for _, a := range addrs {
		prefix, err := netip.ParsePrefix(a.String())
		if err == nil && prefix.Addr().Is4() {
			have = append(have, prefix.Addr())
		}
	}
	if c.Source.IsValid() {
		if !slices.Contains(have, c.Source) {
			return netip.Addr{}, fmt.Errorf("source %v: not an IPv4 address of this interface", c.Source)
		}
		return c.Source, nil
	}
	for _, a := range have {
		if !slices.Contains(c.VIPs, a) {
			return a, nil
		}
	}
	return netip.Addr{}, errors.New("no IPv4 address of its own to send adverts from")
}
