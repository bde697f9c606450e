package doctor

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/segment"
)

// Facts are what is known of the host and of its neighbours. A zero field is not
// known, and says nothing.
type Facts struct {
	// Lacks are what the host does not have.
	Lacks []director.Lack
	// Status is what the daemon says of itself; nil if none runs.
	Status *director.Status
	// DaemonMay are the capabilities of the daemon that it should have, by name,
	// and whether it has them.
	DaemonMay map[string]bool
	// Rivals are other directors' processes in this network namespace.
	Rivals []Process
	// Services and Daemons are the kernel's, whoever made them.
	Services []ipvs.ServiceKey
	Daemons  []ipvs.Daemon
	// Buckets is the size of IPVS's connection table, Connections counts its
	// entries.
	Buckets, Connections int
	// Sysctls holds the parameters that the kernel has, of those that matter.
	Sysctls map[string]string
	// Links are the interfaces by name, Addresses those that they carry.
	Links     map[string]Link
	Addresses []netif.Address
	// Routes are where packets to an address go. The unspecified address stands
	// for clients anywhere: the default route.
	Routes map[netip.Addr]Route
	// Answers are the other hosts that answered for an address; one that was
	// asked for and has no answer is there without any.
	Answers map[Place][]netif.MAC
	// Adverts is what was heard of VRRP; nil if nobody listened.
	Adverts *segment.Report
	// Rulesets are the rules of each backend of iptables and family; NFTables
	// tells that the command iptables writes to nf_tables.
	Rulesets []Ruleset
	NFTables bool
	// Clock tells whether the kernel's clock is kept in time.
	Clock ClockState
	// Unchecked is what could not be found out.
	Unchecked []Unchecked
}

// Process is a program that runs.
type Process struct {
	PID  int
	Name string
}

// Link is an interface.
type Link struct {
	// MTU in bytes.
	MTU int
	// Up tells that it is set up, Silent that nobody can be asked for addresses
	// there.
	Up, Silent bool
	// LRO tells that it merges packets that it receives (large receive offload).
	LRO bool
}

// Route is where packets to one address go.
type Route struct {
	// Missing: there is none. Local: to this host.
	Missing, Local bool
	// Gateway is zero on the link.
	Gateway   netip.Addr
	Interface string
	// MTU is what the route or else the interface takes, in bytes.
	MTU int
}

// Place is where an address is asked for.
type Place struct {
	Interface string
	Addr      netip.Addr
}

// ClockState is whether the clock is kept in time.
type ClockState int

// The states; the zero one is not known.
const (
	ClockUnknown ClockState = iota
	ClockInTime
	ClockFree
)

// holds reports whether the interface of this host has the address.
func (f *Facts) holds(ifname string, addr netip.Addr) bool {
	return slices.ContainsFunc(f.Addresses, func(a netif.Address) bool { return a.Interface == ifname && a.Addr == addr })
}

// network returns the network that an interface of this host and the address are
// in, and this host's address there.
func (f *Facts) network(addr netip.Addr) (network netip.Prefix, own netif.Address, ok bool) {
	for _, a := range f.Addresses {
		if a.Bits == a.Addr.BitLen() || a.Bits == 0 {
			continue
		}
		if p := netip.PrefixFrom(a.Addr, a.Bits).Masked(); p.Contains(addr) && (!ok || p.Bits() > network.Bits()) {
			network, own, ok = p, a, true
		}
	}
	return network, own, ok
}

// answersTo returns the hosts that answer for the address, in order.
func (f *Facts) answersTo(at Place) (macs []netif.MAC, asked bool) {
	macs, asked = f.Answers[at]
	return slices.SortedFunc(slices.Values(macs), func(a, b netif.MAC) int { return cmp.Compare(a.String(), b.String()) }), asked
}
