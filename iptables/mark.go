package iptables

import "net/netip"

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

// SNAT is one rule in nat POSTROUTING: connections that IPVS sends to a real
// server by NAT get an address of this host as source, so that the reply comes
// back through it although the client and the real server share a network, or
// the real server's gateway is another. It needs net.ipv4.vs.conntrack = 1. It
// is comparable.
type SNAT struct {
	// VIP, Protocol and Port are those of the virtual service; port 0 is every
	// port.
	VIP      netip.Addr
	Protocol string
	Port     uint16
	// Source is the new source address; zero is that of the outgoing interface
	// (MASQUERADE).
	Source netip.Addr
}
