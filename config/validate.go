package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
)

// seen finds what must be there only once, and says where it was first.
type seen[K comparable] map[K]path

// again reports at when the key has been seen before; the zero key, which
// stands for a value that could not be read, is never seen.
func (s seen[K]) again(t *table, key K, at path, format string, args ...any) {
	var none K
	if key == none {
		return
	}
	if first, ok := s[key]; ok {
		args = append(args, t.line(first))
		t.fail(at, format+" (line %d), expected each only once", args...)
		return
	}
	s[key] = at
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

// holder is the instance that has the VIP.
func holder(all []instance, vip netip.Addr) (instance, bool) {
	for _, i := range all {
		if i.holds(vip) {
			return i, true
		}
	}
	return instance{}, false
}

// checkDistinctServices reports services that are the same to the kernel or to
// the reader of the status.
func checkDistinctServices(all []service) {
	keys, names := make(seen[ipvs.ServiceKey]), make(seen[string])
	for _, s := range all {
		key := s.IPVS.ServiceKey
		at := s.at("address")
		if key.Mark != 0 {
			at = s.at("firewall_mark")
		}
		if key.Mark != 0 || key.Address.IsValid() && key.Protocol != 0 {
			keys.again(s.table, key, at, "%s is already a virtual service", serviceName(key))
		}
		if s.has("name") {
			names.again(s.table, s.Name, s.at("name"), "%q is already the name of a virtual service", s.Name)
		}
	}
}

// checkServices reports services that do not fit the node's instances.
func checkServices(services []service, instances []instance) {
	for _, s := range services {
		if len(instances) > 0 {
			s.table = s.as(instances[0].node)
		}
		checkHolder(s, instances)
		checkMark(s, instances)
		checkTargets(s, instances)
	}
}

// checkHolder reports a service whose VIP no instance holds: no node would ever
// have the address.
func checkHolder(s service, instances []instance) {
	vip := s.IPVS.Address.Addr()
	if _, ok := holder(instances, vip); ok || !vip.IsValid() {
		return
	}
	var vips []string
	for _, i := range instances {
		if !i.whole {
			return // one of those that could not be read may be it
		}
		for _, v := range i.VIPs {
			vips = append(vips, v.Addr.String())
		}
	}
	message := fmt.Sprintf("no [[vrrp]] holds %s, expected an address in the vips of one", vip)
	if near, _ := closest(vip.String(), vips); near != "" {
		message += fmt.Sprintf("; nearest is %q", near)
	}
	s.fail(s.at("address"), "%s", message)
}

// checkMark reports a firewall mark beside serve_on_backup: mangle sets the
// mark before nat redirects the packet, and IPVS looks for the mark whatever
// the address has become.
func checkMark(s service, instances []instance) {
	if s.IPVS.Mark == 0 {
		return
	}
	for _, i := range instances {
		if i.ServeOnBackup {
			s.fail(s.at("firewall_mark"), "instance %q has serve_on_backup (line %d), expected an address and protocol: "+
				"the mark survives the REDIRECT rule, so a BACKUP would schedule the packet again instead of serving it",
				i.Router.Name, s.line(i.at("serve_on_backup")))
			return
		}
	}
}

// checkTargets reports real servers and sorry servers at a VIP: it moves from
// node to node, and the MASTER would send to itself.
func checkTargets(s service, instances []instance) {
	for _, target := range s.targets {
		if i, ok := holder(instances, target.value); ok {
			s.fail(target.at, "%s is a VIP of instance %q, expected the server's own address", target.value, i.Router.Name)
		}
	}
}
