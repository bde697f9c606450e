package director

import (
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/netif"
)

// vipChanges are the changes of VIPs by where Diff puts them.
type vipChanges struct {
	// leaving are the VIPs that leave this node, moving those that another
	// interface or another prefix length keeps here.
	leaving, moving []netif.VIP
	coming          []Op
}

func diffVIPs(have, want State) vipChanges {
	var changes vipChanges
	unwanted := missing(want.VIPs, have.VIPs, compareVIPs)
	for _, vip := range missing(have.VIPs, want.VIPs, compareVIPs) {
		i := slices.IndexFunc(unwanted, func(old netif.VIP) bool { return mayBecome(old, vip) })
		if i < 0 {
			changes.coming = append(changes.coming, AddVIP{vip})
			continue
		}
		changes.coming = append(changes.coming, EditVIP{unwanted[i], vip})
		unwanted = slices.Delete(unwanted, i, i+1)
	}
	kept := Set[netip.Addr]{}
	for vip := range want.VIPs {
		kept.Add(vip.Addr)
	}
	for _, vip := range unwanted {
		if kept.Has(vip.Addr) {
			changes.moving = append(changes.moving, vip)
		} else {
			changes.leaving = append(changes.leaving, vip)
		}
	}
	return changes
}

// mayBecome reports whether the kernel has the address where the VIP should be:
// then it must be changed, not added.
func mayBecome(old, vip netif.VIP) bool {
	return old.Addr == vip.Addr && old.Interface == vip.Interface
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
	coming := missing(have.Routes, want.Routes, compareRoutes)
	replaced := map[routeKey][]Op{}
	for _, route := range coming {
		replaced[keyOf(route)] = nil
	}
	for _, route := range missing(want.Routes, have.Routes, compareRoutes) {
		_, ok := replaced[keyOf(route)]
		// The kernel deletes a route with the address that is its source.
		if ok && (!route.Source.IsValid() || want.holds(route.Source)) {
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
