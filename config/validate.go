package config

import (
	"net/netip"
	"slices"
)

// seen finds what must be there only once, and says where it was first.
type seen[K comparable] map[K]path

// again reports at, and that it did, when the key has been seen before; the zero
// key, which stands for a value that could not be read, is never seen.
func (s seen[K]) again(t *table, key K, at path, format string, args ...any) bool {
	var none K
	if key == none {
		return false
	}
	first, ok := s[key]
	if ok {
		args = append(args, t.line(first))
		t.fail(at, format+" (line %d), expected each only once", args...)
		return true
	}
	s[key] = at
	return false
}

// checkDistinct reports elements that a list holds twice.
func checkDistinct[T comparable](t *table, list []located[T]) {
	first := make(seen[T])
	for _, l := range list {
		first.again(t, l.value, l.at, "%v is already in the list", l.value)
	}
}

// checkInstances reports what instances on one node may not share.
func checkInstances(all []instance) {
	type router struct {
		ifname string
		vrid   uint8
		ipv6   bool
	}
	names, routers := make(seen[string]), make(seen[router])
	for _, i := range all {
		names.again(i.table, i.Router.Name, i.at("name"), "%q is already the name of an instance", i.Router.Name)
		if i.Interface != "" && i.Router.VRID != 0 {
			routers.again(i.table, router{i.Interface, i.Router.VRID, i.family() == "IPv6"}, i.at("vrid"),
				"%d is already the VRID of an instance on %s", i.Router.VRID, i.Interface)
		}
	}
	checkDistinctVIPs(all)
	checkRoutes(all)
	checkRules(all)
}

// holds reports whether addr is a VIP of the instance.
func (v VRRP) holds(addr netip.Addr) bool {
	return slices.ContainsFunc(v.VIPs, func(vip VIP) bool { return vip.Addr == addr })
}

// holders are the instances by their VIPs.
func holders(all []instance) map[netip.Addr]*instance {
	byVIP := make(map[netip.Addr]*instance)
	for n := range all {
		for _, vip := range all[n].VIPs {
			if _, ok := byVIP[vip.Addr]; !ok {
				byVIP[vip.Addr] = &all[n]
			}
		}
	}
	return byVIP
}
