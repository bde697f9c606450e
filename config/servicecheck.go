package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
)

// checkDistinctServices reports *services that are the same to the kernel or to
// the reader of the status.
func checkDistinctServices(all []*service) {
	keys, names := make(map[ipvs.ServiceKey]*service, len(all)), make(seen[string])
	for _, s := range all {
		reported := false
		for _, key := range s.keys {
			readable := key.Mark != 0 || key.Address.IsValid() && key.Protocol != 0
			first, again := keys[key]
			switch {
			case !readable:
			case !again:
				keys[key] = s
			case first != s && !reported: // else the list has it twice, which was reported
				s.fail(s.identity(), "%s is already a virtual service (line %d), expected each only once", serviceName(key), s.line(first.identity()))
				reported = true
			}
		}
		if s.has("name") {
			names.again(s.table, s.Name, s.at("name"), "%q is already the name of a virtual service", s.Name)
		}
	}
	for _, s := range all {
		if first, taken := names[s.Name]; taken && !s.has("name") {
			s.fail(first, "%q is what the service in line %d is called, expected another name, or one for that", s.Name, s.line(s.identity()))
		}
	}
}

// identity is where the service says what it is.
func (s *service) identity() path {
	for _, key := range []string{"firewall_mark", "addresses"} {
		if s.has(key) {
			return s.at(key)
		}
	}
	return s.at("address")
}

// checkServices reports *services that do not fit the node's instances.
func checkServices(services []*service, instances []instance, node string) {
	c := fit{node: node, instances: instances, byVIP: holders(instances)}
	for n := range instances {
		if instances[n].ServeOnBackup && c.serving == nil {
			c.serving = &instances[n]
		}
	}
	for _, s := range services {
		c.checkHolder(s)
		c.checkMark(s)
		c.checkSCTP(s)
		c.checkTargets(s)
	}
	if slices.ContainsFunc(services, (*service).hasPaths) {
		checkPaths(services, instances)
	}
}

// hasPaths reports whether a check of the service goes by way of its VIP.
func (s *service) hasPaths() bool { return s.viaVIP }

// fit is how services and the instances of a node go together.
type fit struct {
	node      string
	instances []instance
	byVIP     map[netip.Addr]*instance
	// serving is the first with serve_on_backup, or nil.
	serving *instance
}

func (c fit) fail(s *service, at path, format string, args ...any) {
	s.as(c.node).fail(at, format, args...)
}

// checkHolder reports a VIP that no instance holds: no node would ever have the
// address. Of a range it reports the first.
func (c fit) checkHolder(s *service) {
	var reported path
	for _, vip := range s.vips {
		if c.byVIP[vip.value] != nil || vip.at == reported {
			continue
		}
		var vips []string
		for _, i := range c.instances {
			if !i.whole {
				return // one of those that could not be read may be it
			}
			for _, v := range i.VIPs {
				vips = append(vips, v.Addr.String())
			}
		}
		message := fmt.Sprintf("no [[vrrp]] holds %s, expected an address in the vips of one", vip.value)
		if near, _ := closest(vip.value.String(), vips); near != "" {
			message += fmt.Sprintf("; nearest is %q", near)
		}
		c.fail(s, vip.at, "%s", message)
		reported = vip.at
	}
}

// checkMark reports a firewall mark beside serve_on_backup: mangle sets the
// mark before nat redirects the packet, and IPVS looks for the mark whatever
// the address has become.
func (c fit) checkMark(s *service) {
	if s.IPVS.Mark != 0 && c.serving != nil {
		c.fail(s, s.at("firewall_mark"), "instance %q has serve_on_backup (line %d), expected an address and protocol: "+
			"the mark survives the REDIRECT rule, so a BACKUP would schedule the packet again instead of serving it",
			c.serving.Router.Name, s.line(c.serving.at("serve_on_backup")))
	}
}

// checkSCTP reports SCTP beside serve_on_backup.
func (c fit) checkSCTP(s *service) {
	if s.IPVS.Protocol != ipvs.SCTP || c.serving == nil {
		return
	}
	for _, vip := range s.vips {
		if i := c.byVIP[vip.value]; i != nil && i.ServeOnBackup {
			c.fail(s, s.at("protocol"), "instance %q has serve_on_backup (line %d), expected \"tcp\" or \"udp\": "+
				"there is no REDIRECT rule for SCTP, so a BACKUP would not serve it", i.Router.Name, s.line(i.at("serve_on_backup")))
			return
		}
	}
}

// checkTargets reports real servers and sorry servers at a VIP: it moves from
// node to node, and the MASTER would send to itself.
func (c fit) checkTargets(s *service) {
	fail := func(i *instance, server path, addr netip.Addr) {
		c.fail(s, server.key("address"), "%s is a VIP of instance %q, expected the server's own address", addr, i.Router.Name)
	}
	for n, server := range s.RealServers {
		addr := server.Address.Addr()
		if i := c.byVIP[addr]; i != nil && addr.IsValid() {
			fail(i, s.at("real_server").index(int(s.origins[n].element)), addr)
		}
	}
	if s.Sorry != nil {
		addr := s.Sorry.Address.Addr()
		if i := c.byVIP[addr]; i != nil && addr.IsValid() {
			fail(i, s.at("sorry_server"), addr)
		}
	}
}

// checkSNAT reports kernel parameters that keep SNAT from working.
func checkSNAT(services []*service, vs ipvsTable) {
	for _, s := range services {
		if s.SNAT != nil && vs.is("conntrack", "0") {
			vs.fail(vs.at("conntrack"), "0 leaves SNAT without effect, expected 1 or nothing because of snat (line %d)", s.line(s.at("snat")))
			return
		}
	}
}
