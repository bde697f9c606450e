package director

import (
	"iter"
	"net/netip"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// pathScheduler is that of the services of path checks: they have one real server
// each, so that any would do.
const pathScheduler = "rr"

// planPaths adds what brings the probes of path checks, those by way of a VIP, to
// the server that they ask about. They stand in every role, as all services do.
func planPaths(want State, f Facts) {
	if f.Stopping {
		return
	}
	for key, service := range pathServices(f.Config) {
		want.Services[key] = service
	}
}

// pathServices are the virtual services of path checks: for each real server that
// is asked so, one with the firewall mark of its probes, which has that server
// and no other. Its weight does not depend on verdicts: whoever is down must be
// asked still.
func pathServices(c *config.Config) map[ipvs.ServiceKey]Service {
	var services map[ipvs.ServiceKey]Service
	var last *config.RealServer
	for i := range c.Services {
		s := &c.Services[i]
		if len(s.RealServers) == 0 || &s.RealServers[0] == last {
			continue // another address of the same group
		}
		last = &s.RealServers[0]
		for spec, server := range pathChecksOf(s) {
			if services == nil {
				services = map[ipvs.ServiceKey]Service{}
			}
			key := pathKey(*spec)
			services[key] = pathService(key, server)
		}
	}
	return services
}

// pathKey is the service of the path check.
func pathKey(spec healthcheck.Spec) ipvs.ServiceKey {
	key := ipvs.ServiceKey{Family: ipvs.IPv6, Mark: spec.Mark}
	if spec.Check().Via.Addr().Is4() {
		key.Family = ipvs.IPv4
	}
	return key
}

func pathService(key ipvs.ServiceKey, server *config.RealServer) Service {
	return Service{
		Service: ipvs.Service{
			ServiceKey: key, Scheduler: pathScheduler, Granularity: key.Family.Bits(),
		},
		RealServers: []ipvs.Destination{{
			Address:    netip.AddrPortFrom(server.Address.Addr(), 0),
			Forwarding: server.Forwarding, Tunnel: server.Tunnel, Weight: 1,
		}},
	}
}

// addPaths adds those of the path checks' services that are among the keys.
func addPaths(services, paths map[ipvs.ServiceKey]Service, keys Set[ipvs.ServiceKey]) {
	for key := range keys {
		if service, ok := paths[key]; ok {
			services[key] = service
		}
	}
}

// ofPaths adds what lets answers to path checks in on a MASTER. IPv6 needs
// nothing.
func (all *requirements) ofPaths(c *config.Config) {
	devices := map[netip.Addr]string{}
	for i := range c.VRRP {
		for _, vip := range c.VRRP[i].VIPs {
			devices[vip.Addr] = vip.Interface
		}
	}
	for i := range c.Services {
		for spec := range pathChecksOf(&c.Services[i]) {
			check := spec.Check()
			if vip := check.Via.Addr(); vip.Is4() {
				all.ofPath(devices[vip], check.Route.Interface)
			}
		}
	}
}

// ofPath adds what answers need that arrive on the interface through which the
// check goes; unless it names one, that is the interface of the VIP.
func (all *requirements) ofPath(vip, through string) {
	device := through
	if device == "" {
		device = vip
	}
	if device == "" {
		return
	}
	const why = `via = "vip": otherwise the MASTER drops the answers, which come from an address of its own`
	all.add(Requirement{Name: "net.ipv4.conf." + sysctlName(device) + ".accept_local", Value: "1", Why: why, Always: true})
	if device != vip {
		all.add(Requirement{Name: "net.ipv4.conf." + sysctlName(device) + ".rp_filter", Value: "2", Why: why, Always: true})
	}
}

// pathChecksOf are the path checks of the service's real servers that have an
// address, with their server.
func pathChecksOf(s *config.VirtualService) iter.Seq2[*healthcheck.Spec, *config.RealServer] {
	return func(yield func(*healthcheck.Spec, *config.RealServer) bool) {
		for i := range s.RealServers {
			server := &s.RealServers[i]
			for spec := range checksOfServer(server) {
				if spec.Mark != 0 && !yield(spec, server) {
					return
				}
			}
		}
	}
}
