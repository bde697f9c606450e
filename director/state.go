package director

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// Set is a set of comparable values.
type Set[T comparable] map[T]struct{}

// SetOf returns a set of the given values.
func SetOf[T comparable](values ...T) Set[T] {
	s := make(Set[T], len(values))
	for _, v := range values {
		s[v] = struct{}{}
	}
	return s
}

// Has reports whether v is in the set.
func (s Set[T]) Has(v T) bool {
	_, ok := s[v]
	return ok
}

// Add puts v into the set.
func (s Set[T]) Add(v T) { s[v] = struct{}{} }

// State is the part of the kernel that belongs to lvsd, either as it should be
// or as it is.
type State struct {
	Services map[ipvs.ServiceKey]Service
	VIPs     Set[netif.VIP]
	// Routes and Rules are the virtual ones. Those that bear lvsd's tag and are
	// in no configuration are in the observed State as the kernel lists them.
	Routes    Set[netif.Route]
	Rules     Set[netif.Rule]
	Redirects Set[iptables.Redirect]
	// Marks and SNATs are the other rules that bear lvsd's tag.
	Marks Set[iptables.Mark]
	SNATs Set[iptables.SNAT]
	// Mutes are those that keep this node's TCP from resetting connections that
	// IPVS is about to know.
	Mutes Set[iptables.Mute]
	// Strays are rules that bear lvsd's tag and are copies, or of a form that
	// this version does not write; none is ever wanted.
	Strays Set[string]
	// Conntrack holds connection tracking on: without it the kernel forgets
	// the connections that a rule accepted when the last rule goes, and they
	// are reset as soon as the node becomes MASTER.
	Conntrack Set[iptables.Hold]
	// Timeouts are those of idle connections; what a wanted State does not
	// name is left as it is.
	Timeouts map[Timeout]time.Duration
	// Daemons are the synchronisation daemons, at most one of each state. A
	// wanted one may have zeros for the kernel's defaults.
	Daemons map[ipvs.DaemonState]ipvs.Daemon
	// Decapsulations are the tunnels that this node takes packets out of.
	Decapsulations Set[netif.Decapsulation]
	// Sysctls are kernel parameters by dotted name. One that the kernel does
	// not have is not there.
	Sysctls map[string]string
}

// Service is a virtual service with its real servers, which are sorted by
// address and each there once.
type Service struct {
	ipvs.Service
	RealServers []ipvs.Destination
}

// equal reports whether the kernel need not be told of anything to make of one
// the other.
func (s Service) equal(other Service) bool {
	return s.Service == other.Service && slices.Equal(s.RealServers, other.RealServers)
}

// find returns where the real server is, or where it would be.
func (s Service) find(address netip.AddrPort) (i int, there bool) {
	return slices.BinarySearchFunc(s.RealServers, address, func(d ipvs.Destination, a netip.AddrPort) int {
		return d.Address.Compare(a)
	})
}

// realServer returns the real server with the address, if there is one.
func (s Service) realServer(address netip.AddrPort) (server ipvs.Destination, there bool) {
	if i, there := s.find(address); there {
		return s.RealServers[i], true
	}
	return ipvs.Destination{}, false
}

// sortServers puts real servers into the order of Service. Of several with one
// address the first one stays.
func sortServers(servers []ipvs.Destination) []ipvs.Destination {
	byAddress := func(a, b ipvs.Destination) int { return a.Address.Compare(b.Address) }
	if !slices.IsSortedFunc(servers, byAddress) {
		slices.SortStableFunc(servers, byAddress)
	}
	return slices.CompactFunc(servers, func(a, b ipvs.Destination) bool { return a.Address == b.Address })
}

// Timeout is one of the kernel's timeouts of idle connections (ip_vs_timeout_user).
type Timeout string

// The timeouts: of an established TCP connection, of one after a FIN, of UDP.
const (
	TimeoutTCP    Timeout = "tcp"
	TimeoutTCPFin Timeout = "tcpfin"
	TimeoutUDP    Timeout = "udp"
)

// NewState returns a State that holds nothing.
func NewState() State {
	return State{
		Services:       map[ipvs.ServiceKey]Service{},
		VIPs:           Set[netif.VIP]{},
		Routes:         Set[netif.Route]{},
		Rules:          Set[netif.Rule]{},
		Redirects:      Set[iptables.Redirect]{},
		Marks:          Set[iptables.Mark]{},
		SNATs:          Set[iptables.SNAT]{},
		Mutes:          Set[iptables.Mute]{},
		Strays:         Set[string]{},
		Conntrack:      Set[iptables.Hold]{},
		Timeouts:       map[Timeout]time.Duration{},
		Daemons:        map[ipvs.DaemonState]ipvs.Daemon{},
		Decapsulations: Set[netif.Decapsulation]{},
		Sysctls:        map[string]string{},
	}
}

// Clone returns a State that shares nothing with s.
func (s State) Clone() State {
	c := State{
		Services:       make(map[ipvs.ServiceKey]Service, len(s.Services)),
		VIPs:           maps.Clone(s.VIPs),
		Routes:         maps.Clone(s.Routes),
		Rules:          maps.Clone(s.Rules),
		Redirects:      maps.Clone(s.Redirects),
		Marks:          maps.Clone(s.Marks),
		SNATs:          maps.Clone(s.SNATs),
		Mutes:          maps.Clone(s.Mutes),
		Timeouts:       maps.Clone(s.Timeouts),
		Daemons:        maps.Clone(s.Daemons),
		Decapsulations: maps.Clone(s.Decapsulations),
		Strays:         maps.Clone(s.Strays),
		Conntrack:      maps.Clone(s.Conntrack),
		Sysctls:        maps.Clone(s.Sysctls),
	}
	for key, service := range s.Services {
		service.RealServers = slices.Clone(service.RealServers)
		c.Services[key] = service
	}
	return c
}

// String prints the State as the commands that would make it, one a line, in a
// fixed order.
func (s State) String() string {
	var b strings.Builder
	nothing := NewState()
	for name := range s.Sysctls {
		nothing.Sysctls[name] = ""
	}
	for _, op := range Diff(nothing, s) {
		fmt.Fprintln(&b, op)
	}
	return b.String()
}

// compareKeys orders services for people: by family, mark, protocol, address.
func compareKeys(a, b ipvs.ServiceKey) int {
	switch {
	case a.Family != b.Family:
		return cmp.Compare(a.Family, b.Family)
	case a.Mark != b.Mark:
		return cmp.Compare(a.Mark, b.Mark)
	case a.Protocol != b.Protocol:
		return cmp.Compare(a.Protocol, b.Protocol)
	default:
		return a.Address.Compare(b.Address)
	}
}

func compareVIPs(a, b netif.VIP) int {
	return cmp.Or(
		a.Addr.Compare(b.Addr),
		cmp.Compare(a.Interface, b.Interface),
		cmp.Compare(a.Bits, b.Bits),
		cmp.Compare(a.Label, b.Label),
		cmp.Compare(a.Scope, b.Scope),
		a.Broadcast.Compare(b.Broadcast),
	)
}

func compareRoutes(a, b netif.Route) int {
	return cmp.Or(
		cmp.Compare(a.Table, b.Table),
		a.Destination.Compare(b.Destination),
		cmp.Compare(a.Metric, b.Metric),
		strings.Compare(routeArguments(a), routeArguments(b)),
	)
}

func compareRules(a, b netif.Rule) int {
	return cmp.Or(
		compareBool(a.IPv6, b.IPv6),
		cmp.Compare(a.Priority, b.Priority),
		strings.Compare(ruleArguments(a), ruleArguments(b)),
	)
}

// compareRedirects puts a rule for every packet before that for requests only.
func compareRedirects(a, b iptables.Redirect) int {
	return cmp.Or(
		a.VIP.Compare(b.VIP),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Port, b.Port),
		compareBool(a.NewOnly, b.NewOnly),
	)
}

// compareHolds puts IPv4 first.
func compareHolds(a, b iptables.Hold) int {
	return strings.Compare(a.Chain().String(), b.Chain().String())
}

func compareMarks(a, b iptables.Mark) int {
	return cmp.Or(
		a.VIP.Compare(b.VIP),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.First, b.First),
		cmp.Compare(a.Last, b.Last),
		cmp.Compare(a.Mark, b.Mark),
	)
}

func compareSNATs(a, b iptables.SNAT) int {
	return cmp.Or(
		a.VIP.Compare(b.VIP),
		cmp.Compare(a.Protocol, b.Protocol),
		cmp.Compare(a.Port, b.Port),
		a.Source.Compare(b.Source),
	)
}

func compareMutes(a, b iptables.Mute) int { return a.VIP.Compare(b.VIP) }

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// sorted returns the keys of m in the order of compare.
func sorted[K comparable, V any](m map[K]V, compare func(a, b K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
