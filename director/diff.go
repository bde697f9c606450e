package director

import (
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
//	 1  timeouts, and sysctls that something needs: before the traffic that
//	                      needs them, and arp_ignore before a VIP is on lo.
//	                      Connection tracking held on, before a rule may go
//	 2  request rules     a node that gives up a VIP first catches connection
//	                      requests; packets of established connections still go
//	                      to IPVS, which knows their real servers. Where a rule
//	                      for every packet is wanted, a guard for requests comes
//	                      before it
//	 3  VIPs that come to lo, while no VIP has left; then the tunnels whose
//	                      packets are for them
//	 4  virtual rules and routes that must go, while their addresses are there
//	 5  leaving VIPs      the address is no longer ours, or only on lo; tunnels
//	                      before the VIPs that their packets are for
//	 6  other rules       now every packet to it may be accepted locally
//	 7  guards away
//	 8  services and real servers, added and edited; before them the SNAT rules,
//	                      which see only the first packet of a connection; after
//	                      them the marks, which mean nothing without a service
//	 9  mutes             before the VIP brings packets of connections that IPVS may
//	                      not have been told of yet
//	10  daemons           started when there are services, without which the
//	                      kernel hands no packet to IPVS, and before the VIP, so
//	                      that no connection goes untold. One that changes stops
//	                      right before
//	11  coming VIPs       the rule still serves the address meanwhile
//	12  virtual routes    which may have a VIP as source, then the virtual rules
//	                      that lead to them. A route that replaces another comes
//	                      right after it
//	13  rules away        from here IPVS balances; strays with them
//	14  VIPs that moved to another interface leave the old one
//	15  marks, then real servers and services deleted, then SNAT rules
//	16  mutes away, and daemons stop, after all that they might tell of or be told
//	                      of
//	17  connection tracking let go, and sysctls that nothing needs any more
//
// The rules of steps 2, 6, 7 and 13 are REDIRECT rules. docs/relay-mode.md says
// what was measured, and when neighbours are told.
//
// With KeepConnections a VIP stays on lo when it leaves its interface, and
// net.ipv4.vs.backup_only tells IPVS to leave packets alone. Whatever the order,
// a packet of the node's own connections ends at its own TCP: IPVS, if it looks,
// finds an entry whose real server is this host, or none, and lets it pass. A
// request is caught by the rule before IPVS looks. What remains are packets of
// connections that other nodes serve; only IPVS knows where they belong, and this
// host's TCP would reset them:
//
//	becoming MASTER   backup_only = 0 in step 1, before the VIP brings them in
//	                  step 11. Until then nobody sends them here
//	leaving           backup_only = 1 in step 17, after the VIP has left. Plan
//	                  puts it off for relayLinger, because neighbours send them
//	                  here until they hear of the new MASTER
func Diff(have, want State) []Op {
	vips, routes, tunnels := diffVIPs(have, want), diffRoutes(have, want), diffTunnels(have, want)
	needed, needless := diffSysctls(have, want)
	services, gone := diffServices(have.Services, want.Services)
	daemons, idle := diffDaemons(have, want)
	requests, all := addedRedirects(have, want)
	guards := guardRedirects(have, want, vips.leaving)

	ops := diffTimeouts(have, want)
	ops = append(ops, needed...)
	ops = appendMissing(ops, have.Conntrack, want.Conntrack, compareHolds, func(r iptables.Hold) Op { return HoldConntrack{r} })
	ops = appendOps(ops, slices.Concat(guards, requests), addRedirect)
	ops = appendOps(ops, vips.local, func(v netif.VIP) Op { return AddVIP{v} })
	ops = append(ops, tunnels.added...)
	ops = appendMissing(ops, want.Rules, have.Rules, compareRules, func(r netif.Rule) Op { return DeleteRule{r} })
	ops = append(ops, routes.deleted...)
	ops = append(ops, tunnels.deleted...)
	ops = append(ops, deleteVIPs(vips.leaving)...)
	ops = appendOps(ops, all, addRedirect)
	ops = appendOps(ops, guards, deleteRedirect)
	ops = appendMissing(ops, have.SNATs, want.SNATs, compareSNATs, func(r iptables.SNAT) Op { return AddSNAT{r} })
	ops = slices.Concat(ops, services)
	ops = appendMissing(ops, have.Marks, want.Marks, compareMarks, func(r iptables.Mark) Op { return AddMark{r} })
	ops = append(ops, addedMutes(have, want)...)
	ops = append(ops, daemons...)
	ops = append(ops, vips.coming...)
	ops = append(ops, routes.added...)
	ops = appendMissing(ops, have.Rules, want.Rules, compareRules, func(r netif.Rule) Op { return AddRule{r} })
	ops = appendMissing(ops, want.Redirects, have.Redirects, compareRedirects, deleteRedirect)
	ops = appendMissing(ops, want.Strays, have.Strays, strings.Compare, func(r string) Op { return DeleteStray{r} })
	ops = append(ops, deleteVIPs(vips.moving)...)
	ops = appendMissing(ops, want.Marks, have.Marks, compareMarks, func(r iptables.Mark) Op { return DeleteMark{r} })
	ops = append(ops, gone...)
	ops = appendMissing(ops, want.SNATs, have.SNATs, compareSNATs, func(r iptables.SNAT) Op { return DeleteSNAT{r} })
	ops = appendMissing(ops, want.Mutes, have.Mutes, compareMutes, func(r iptables.Mute) Op { return DeleteMute{r} })
	ops = append(ops, idle...)
	ops = appendMissing(ops, want.Conntrack, have.Conntrack, compareHolds, func(r iptables.Hold) Op { return ReleaseConntrack{r} })
	return append(ops, needless...)
}

func addRedirect(r iptables.Redirect) Op    { return AddRedirect{r} }
func deleteRedirect(r iptables.Redirect) Op { return DeleteRedirect{r} }

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

// appendMissing appends an operation for each element of all that from lacks.
func appendMissing[K comparable](ops []Op, from, all Set[K], compare func(a, b K) int, op func(K) Op) []Op {
	return appendOps(ops, missing(from, all, compare), op)
}

// appendOps appends an operation for each of the things.
func appendOps[T any](ops []Op, things []T, op func(T) Op) []Op {
	for _, thing := range things {
		ops = append(ops, op(thing))
	}
	return ops
}

// With returns the State after op.
func (s State) With(op Op) State {
	c := s.Clone()
	op.applyTo(c)
	return c
}
