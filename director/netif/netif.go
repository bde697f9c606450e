// Package netif is the director's view of network interfaces: which addresses
// they carry, adding and removing the VIPs, virtual routes and rules, events of
// all these, the gratuitous ARP and neighbour advertisements that tell the
// neighbours, and what other hosts claim in theirs. It must not know roles or
// configuration.
package netif

import "net/netip"

// Address is what tells one address in the kernel from another: interface,
// address and prefix length. It is comparable.
type Address struct {
	Interface string
	Addr      netip.Addr
	// Bits is the prefix length.
	Bits int
}

// HostAddress is an address of full prefix length.
func HostAddress(ifname string, addr netip.Addr) Address {
	return Address{Interface: ifname, Addr: addr, Bits: addr.BitLen()}
}

// VIP is an address with all that ip-address(8) would say of it. It is
// comparable.
type VIP struct {
	Address
	// Scope is the address's scope; the zero Scope is global.
	Scope Scope
	// Label is the address's label, "eth0:vip"; empty is the interface's name.
	// IPv6 has none.
	Label string
	// Broadcast is the broadcast address; zero is none.
	Broadcast netip.Addr
}

// HostVIP is a VIP of full prefix length without options. The scope of an IPv6
// address is that of the address itself.
func HostVIP(ifname string, addr netip.Addr) VIP {
	vip := VIP{Address: HostAddress(ifname, addr)}
	if addr.Is6() && addr.IsLinkLocalUnicast() {
		vip.Scope = ScopeLink
	}
	return vip
}

// Scope is the scope of an address or route (rtnetlink(7), enum rt_scope_t).
type Scope uint8

// The scopes.
const (
	ScopeGlobal Scope = 0
	ScopeSite   Scope = 200
	ScopeLink   Scope = 253
	ScopeHost   Scope = 254
)

// Route is a virtual route: it stands while its instance is MASTER. It is
// comparable.
type Route struct {
	// Destination is masked; 0.0.0.0/0 and ::/0 are the default route.
	Destination netip.Prefix
	// Type is unicast unless set.
	Type RouteType
	// Gateway is zero for a route on the link.
	Gateway netip.Addr
	// Interface is empty where Gateway or Type decides.
	Interface string
	// Source is the preferred source address; zero is the kernel's choice.
	Source netip.Addr
	// Scope is that of rtnetlink(7); the kernel's default for Type and Gateway
	// is filled in by the configuration.
	Scope Scope
	// Table is the routing table; 254 is main.
	Table uint32
	// Metric is the priority among equal destinations.
	Metric uint32
	// OnLink takes the gateway for reachable whatever the addresses say.
	OnLink bool
}

// Is reports whether a route that the kernel lists is r: where r leaves the
// interface to the kernel, any will do.
func (r Route) Is(listed Route) bool {
	if r.Interface == "" {
		listed.Interface = ""
	}
	return r == listed
}

// RouteType is what a route does with a packet (rtnetlink(7), rtm_type).
type RouteType uint8

// The types.
const (
	Unicast     RouteType = 0 // RTN_UNICAST on the wire
	Blackhole   RouteType = 6
	Unreachable RouteType = 7
	Prohibit    RouteType = 8
)

// Rule is a virtual rule: which packets look into which routing table. It is
// comparable.
type Rule struct {
	// IPv6 says which family's rules it is one of.
	IPv6 bool
	// Priority orders rules; 1..32765, smaller is earlier.
	Priority uint32
	// From and To select by address; zero selects all.
	From, To netip.Prefix
	// Incoming and Outgoing select by interface; empty selects all.
	Incoming, Outgoing string
	// Mark selects by firewall mark, under Mask; a zero Mask selects all.
	Mark, Mask uint32
	// Table is the table to look into.
	Table uint32
}

// Is reports whether a rule that the kernel lists is r: a prefix of all
// addresses, and a mark without a mask, are nothing to the kernel.
func (r Rule) Is(listed Rule) bool {
	for _, p := range []*netip.Prefix{&r.From, &r.To} {
		if p.Bits() == 0 {
			*p = netip.Prefix{}
		}
	}
	if r.Mask == 0 {
		r.Mark = 0
	}
	return r == listed
}
