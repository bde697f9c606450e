package director

import (
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
)

// vipChanges are the changes of VIPs by where Diff puts them.
type vipChanges struct {
	// local are those that come to lo.
	local []netif.VIP
	// leaving are the VIPs that leave this node, or are only on lo afterwards;
	// moving those that another interface or another prefix length keeps here.
	leaving, moving []netif.VIP
	coming          []Op
}

func diffVIPs(have, want State) vipChanges {
	var changes vipChanges
	unwanted := missing(want.VIPs, have.VIPs, compareVIPs)
	replaceable := map[place][]netif.VIP{}
	for _, vip := range unwanted {
		replaceable[placeOf(vip)] = append(replaceable[placeOf(vip)], vip)
	}
	replaced := Set[netif.VIP]{}
	for _, vip := range missing(have.VIPs, want.VIPs, compareVIPs) {
		old := replaceable[placeOf(vip)]
		switch {
		case len(old) > 0:
			changes.coming = append(changes.coming, EditVIP{old[0], vip})
			replaced.Add(old[0])
			replaceable[placeOf(vip)] = old[1:]
		case vip.Interface == loopback:
			changes.local = append(changes.local, vip)
		default:
			changes.coming = append(changes.coming, AddVIP{vip})
		}
	}
	keptBy := want.keepers()
	for _, vip := range unwanted {
		switch {
		case replaced.Has(vip):
		case keptBy[vip.Addr].keeps(vip):
			changes.moving = append(changes.moving, vip)
		default:
			changes.leaving = append(changes.leaving, vip)
		}
	}
	return changes
}

// placeOf is where the kernel has an address that must be changed, not added.
func placeOf(v netif.VIP) place { return place{v.Interface, v.Addr} }

// keeper tells where an address stays.
type keeper struct{ local, announced bool }

// keeps reports whether a VIP goes on doing what it did when it leaves its
// interface: one on lo has done nothing but serve, any other makes neighbours
// send packets here.
func (k keeper) keeps(v netif.VIP) bool { return k.announced || k.local && v.Interface == loopback }

func (s State) keepers() map[netip.Addr]keeper {
	keepers := make(map[netip.Addr]keeper, len(s.VIPs))
	for vip := range s.VIPs {
		k := keepers[vip.Addr]
		if vip.Interface == loopback {
			k.local = true
		} else {
			k.announced = true
		}
		keepers[vip.Addr] = k
	}
	return keepers
}

// planTakeOver adds to want what comes first when the instance becomes MASTER:
// its VIPs, and before them IPVS, which leaves packets alone on a BACKUP that
// keeps connections, and what keeps this node from resetting those that IPVS has
// not been told of yet.
func planTakeOver(want State, f Facts, instance *config.VRRP) {
	for _, vip := range instance.VIPs {
		want.VIPs.Add(vip.VIP)
	}
	planMutes(want, f, instance)
	if instance.KeepConnections {
		want.Sysctls[backupOnly] = "0"
	}
}

// diffTakeOver returns the operations for that, in the order of Diff.
func diffTakeOver(have, want State) []Op {
	needed, _ := diffSysctls(have, want)
	return slices.Concat(needed, addedMutes(have, want), diffVIPs(have, want).coming)
}

// deleteVIPs deletes in the reverse order of adding: the first address of a
// subnet last, because the kernel lets the others depend on it.
func deleteVIPs(vips []netif.VIP) []Op {
	ops := make([]Op, 0, len(vips))
	for _, vip := range slices.Backward(vips) {
		ops = append(ops, DeleteVIP{vip})
	}
	return ops
}

// holds reports whether the VIP is on some interface.
func (s State) holds(vip netip.Addr) bool {
	for address := range s.VIPs {
		if address.Addr == vip {
			return true
		}
	}
	return false
}

// routeChanges are the changes of virtual routes by where Diff puts them.
type routeChanges struct{ deleted, added []Op }

// routeKey is what the kernel tells routes apart by.
type routeKey struct {
	destination   netip.Prefix
	table, metric uint32
}

func keyOf(r netif.Route) routeKey { return routeKey{r.Destination, r.Table, r.Metric} }

func diffRoutes(have, want State) routeChanges {
	var changes routeChanges
	sources := want.keepers()
	coming := missing(have.Routes, want.Routes, compareRoutes)
	replaced := map[routeKey][]Op{}
	for _, route := range coming {
		replaced[keyOf(route)] = nil
	}
	for _, route := range missing(want.Routes, have.Routes, compareRoutes) {
		_, ok := replaced[keyOf(route)]
		// The kernel deletes a route with the address that is its source.
		if ok && (!route.Source.IsValid() || sources[route.Source] != keeper{}) {
			replaced[keyOf(route)] = append(replaced[keyOf(route)], DeleteRoute{route})
		} else {
			changes.deleted = append(changes.deleted, DeleteRoute{route})
		}
	}
	for _, route := range coming {
		changes.added = append(changes.added, replaced[keyOf(route)]...)
		changes.added = append(changes.added, AddRoute{route})
		replaced[keyOf(route)] = nil
	}
	return changes
}
