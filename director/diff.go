package director

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// Diff returns the operations that turn have into want, in an order that keeps
// every address served at every step. A VIP that was local or redirected before
// and will be after is one of the two at all times in between, so that no
// packet to it is refused, or forwarded in a circle:
//
//	 1  sysctls           before the traffic that needs them; and connection
//	                      tracking held on, before a rule may go
//	 2  request rules     a node that gives up a VIP first catches connection
//	                      requests; packets of established connections still go
//	                      to IPVS, which knows their real servers. Where a rule
//	                      for every packet is wanted, a guard for requests comes
//	                      before it
//	 3  virtual rules and routes that must go, while their addresses are there
//	 4  leaving VIPs      the address is no longer ours
//	 5  other rules       now every packet to it may be accepted locally
//	 6  guards away
//	 7  services and real servers, added and edited
//	 8  coming VIPs       the rule still serves the address meanwhile
//	 9  virtual routes    which may have a VIP as source, then the virtual rules
//	                      that lead to them. A route that replaces another comes
//	                      right after it
//	10  rules away        from here IPVS balances; strays with them
//	11  VIPs that moved to another interface leave the old one
//	12  real servers and services deleted, connection tracking let go
//
// The rules of steps 2, 5, 6 and 10 are REDIRECT rules. docs/relay-mode.md says
// what was measured, and when neighbours are told.
func Diff(have, want State) []Op {
	vips, routes := diffVIPs(have, want), diffRoutes(have, want)
	var ops []Op
	ops = append(ops, sysctlOps(have, want)...)
	for range missing(have.Conntrack, want.Conntrack, compareHolds) {
		ops = append(ops, HoldConntrack{})
	}
	requests, all := addedRedirects(have, want)
	guards := guardRedirects(have, want, vips.leaving)
	for _, rule := range slices.Concat(guards, requests) {
		ops = append(ops, AddRedirect{rule})
	}
	for _, rule := range missing(want.Rules, have.Rules, compareRules) {
		ops = append(ops, DeleteRule{rule})
	}
	ops = append(ops, routes.deleted...)
	ops = append(ops, deleteVIPs(vips.leaving)...)
	for _, rule := range all {
		ops = append(ops, AddRedirect{rule})
	}
	for _, guard := range guards {
		ops = append(ops, DeleteRedirect{guard})
	}
	ops = append(ops, addedServiceOps(have, want)...)
	ops = append(ops, vips.coming...)
	ops = append(ops, routes.added...)
	for _, rule := range missing(have.Rules, want.Rules, compareRules) {
		ops = append(ops, AddRule{rule})
	}
	for _, rule := range missing(want.Redirects, have.Redirects, compareRedirects) {
		ops = append(ops, DeleteRedirect{rule})
	}
	for _, rule := range missing(want.Strays, have.Strays, strings.Compare) {
		ops = append(ops, DeleteStray{rule})
	}
	ops = append(ops, deleteVIPs(vips.moving)...)
	ops = append(ops, deletedServiceOps(have, want)...)
	for range missing(want.Conntrack, have.Conntrack, compareHolds) {
		ops = append(ops, ReleaseConntrack{})
	}
	return ops
}

func compareHolds(Hold, Hold) int { return 0 }

// addedRedirects splits the rules to add into those that catch connection requests
// only and those that catch every packet.
func addedRedirects(have, want State) (requests, all []iptables.Redirect) {
	for _, rule := range missing(have.Redirects, want.Redirects, compareRedirects) {
		if rule.NewOnly {
			requests = append(requests, rule)
		} else {
			all = append(all, rule)
		}
	}
	return requests, all
}

// guardRedirects returns the rules that catch connection requests to a leaving VIP
// until its lasting rules, which catch every packet, may be added.
func guardRedirects(have, want State, leaving []netif.VIP) []iptables.Redirect {
	left := Set[netip.Addr]{}
	for _, address := range leaving {
		left.Add(address.Addr)
	}
	var guards []iptables.Redirect
	for _, rule := range missing(have.Redirects, want.Redirects, compareRedirects) {
		if !left.Has(rule.VIP) || rule.Protocol != "tcp" {
			continue
		}
		rule.NewOnly = true
		if !have.Redirects.Has(rule) && !want.Redirects.Has(rule) {
			guards = append(guards, rule)
		}
	}
	return guards
}

// sysctlOps leaves out what this kernel does not have.
func sysctlOps(have, want State) []Op {
	var ops []Op
	for _, name := range slices.Sorted(maps.Keys(want.Sysctls)) {
		if value, there := have.Sysctls[name]; there && value != want.Sysctls[name] {
			ops = append(ops, SetSysctl{name, want.Sysctls[name]})
		}
	}
	return ops
}

func addedServiceOps(have, want State) []Op {
	var ops []Op
	for _, key := range sorted(want.Services, compareKeys) {
		wanted := want.Services[key]
		present, ok := have.Services[key]
		switch {
		case !ok:
			ops = append(ops, AddService{wanted.Service})
		case present.Service != wanted.Service:
			ops = append(ops, EditService{wanted.Service})
		}
		for _, address := range sorted(wanted.RealServers, netip.AddrPort.Compare) {
			server := wanted.RealServers[address]
			switch old, ok := present.RealServers[address]; {
			case !ok:
				ops = append(ops, AddRealServer{key, server})
			case old != server:
				ops = append(ops, EditRealServer{key, server})
			}
		}
	}
	return ops
}

func deletedServiceOps(have, want State) []Op {
	var ops []Op
	for _, key := range sorted(have.Services, compareKeys) {
		wanted, ok := want.Services[key]
		if !ok {
			ops = append(ops, DeleteService{key})
			continue
		}
		for _, address := range missing(wanted.RealServers, have.Services[key].RealServers, netip.AddrPort.Compare) {
			ops = append(ops, DeleteRealServer{key, address})
		}
	}
	return ops
}

// missing returns the keys of all that from lacks, in the order of compare.
func missing[K comparable, V, W any](from map[K]V, all map[K]W, compare func(a, b K) int) []K {
	var keys []K
	for key := range all {
		if _, ok := from[key]; !ok {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compare)
	return keys
}

// With returns the State after op.
func (s State) With(op Op) State {
	c := s.Clone()
	op.applyTo(c)
	return c
}
