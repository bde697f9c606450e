// Package netif is the director's view of network interfaces: which addresses
// they carry, adding and removing the VIPs, link and address events, and the
// gratuitous ARP that tells the neighbours. It must not know roles or
// configuration.
package netif

import "net/netip"

// Address is a host address (/32 or /128) on an interface. It is comparable.
type Address struct {
	Interface string
	Addr      netip.Addr
}
