package config

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// The firewall marks of path checks, those with via = "vip": each real server has
// one of its own in this range for each forwarding method, the same on every
// node. What the file uses for something else is left out.
const (
	FirstPathMark uint32 = 0x4c000000
	LastPathMark  uint32 = 0x4cffffff
)

// directHops is how far the probe of a real server by DR may go: IPVS takes one
// off, and the server is a neighbour. One that forwards packets in place of
// accepting them cannot pass it on to the MASTER, who would have another server
// answer.
const directHops = 2

// through is the check by way of the service's VIP: of a group the first, one for
// each server. It has no mark yet.
func (s *service) through(server *RealServer, spec healthcheck.Spec) healthcheck.Spec {
	c := spec.Check()
	c.Via = netip.AddrPortFrom(s.keys[0].Address.Addr(), spec.Target.Port())
	if server.Forwarding == ipvs.DirectRoute {
		c.Route.Hops = directHops
	}
	return c.Of(spec.Target)
}

// pathWay is what has a mark: the way to a real server. All services that take
// it share the mark.
type pathWay struct {
	family     ipvs.Family // of the VIP
	server     netip.Addr
	forwarding ipvs.Forwarding
	tunnel     ipvs.TunnelInfo
}

func wayTo(server *RealServer, family ipvs.Family) pathWay {
	return pathWay{family, server.Address.Addr(), server.Forwarding, server.Tunnel}
}

func (w pathWay) compare(o pathWay) int {
	return cmp.Or(
		cmp.Compare(w.family, o.family),
		w.server.Compare(o.server),
		cmp.Compare(w.forwarding, o.forwarding),
		cmp.Compare(w.tunnel.Type, o.tunnel.Type),
		cmp.Compare(w.tunnel.Port, o.tunnel.Port),
		cmp.Compare(w.tunnel.Flags, o.tunnel.Flags),
	)
}

// mark is where the search for a free mark begins.
func (w pathWay) mark() uint32 {
	h := fnv.New32a()
	// A hash takes whatever it is given.
	_, _ = fmt.Fprint(h, w.family, w.server, w.forwarding, w.tunnel.Type, w.tunnel.Port, w.tunnel.Flags)
	sum := h.Sum32()
	return FirstPathMark + (sum^sum>>24)&(LastPathMark-FirstPathMark)
}

// withPathMarks returns the services with a mark for each path check of a real
// server that has an address. What it changes it copies; services of one group go
// on sharing their servers. The marks follow from the servers alone, whatever
// their order: most keep theirs when others come and go.
func withPathMarks(services []VirtualService) []VirtualService {
	ways := pathWays(services)
	if len(ways) == 0 {
		return services
	}
	marks := markWays(ways, otherMarks(services))
	services = slices.Clone(services)
	done := map[*RealServer][]RealServer{}
	for n := range services {
		s := &services[n]
		if len(s.RealServers) == 0 {
			continue
		}
		first := &s.RealServers[0]
		marked, ok := done[first]
		if !ok {
			marked = markServers(s.RealServers, s.IPVS.Family, marks)
			done[first] = marked
		}
		s.RealServers = marked
	}
	return services
}

func markServers(servers []RealServer, family ipvs.Family, marks map[pathWay]uint32) []RealServer {
	if !slices.ContainsFunc(servers, RealServer.hasPath) {
		return servers
	}
	servers = slices.Clone(servers)
	for i := range servers {
		server := &servers[i]
		mark := marks[wayTo(server, family)]
		server.Checks = slices.Clone(server.Checks)
		server.WeightChecks = slices.Clone(server.WeightChecks)
		for spec := range server.specs {
			if isPath(*spec) {
				spec.Mark = mark
			}
		}
	}
	return servers
}

// pathWays are the ways of all path checks, in order.
func pathWays(services []VirtualService) []pathWay {
	var ways []pathWay
	var last *RealServer
	for n := range services {
		s := &services[n]
		if len(s.RealServers) == 0 || &s.RealServers[0] == last {
			continue // another address of the same group
		}
		last = &s.RealServers[0]
		for i := range s.RealServers {
			if server := &s.RealServers[i]; server.Address.Addr().IsValid() && server.hasPath() {
				ways = append(ways, wayTo(server, s.IPVS.Family))
			}
		}
	}
	slices.SortFunc(ways, pathWay.compare)
	return slices.Compact(ways)
}

// otherMarks are those in the range that the file gives to something else.
func otherMarks(services []VirtualService) map[uint32]bool {
	taken := map[uint32]bool{}
	for n := range services {
		s := &services[n]
		taken[s.IPVS.Mark] = true
		for _, m := range s.Marks {
			taken[m.Mark] = true
		}
		for i := range s.RealServers {
			for spec := range s.RealServers[i].specs {
				taken[spec.Check().Route.Mark] = true
			}
		}
	}
	return taken
}

// markWays gives each way a mark that is not taken.
func markWays(ways []pathWay, taken map[uint32]bool) map[pathWay]uint32 {
	marks := make(map[pathWay]uint32, len(ways))
	for _, w := range ways {
		mark := w.mark()
		for taken[mark] {
			if mark++; mark > LastPathMark {
				mark = FirstPathMark
			}
		}
		taken[mark] = true
		marks[w] = mark
	}
	return marks
}

// specs yields each check of the server, those that only weigh included.
func (s *RealServer) specs(yield func(*healthcheck.Spec) bool) {
	for i := range s.Checks {
		if !yield(&s.Checks[i]) {
			return
		}
	}
	for i := range s.WeightChecks {
		if !yield(&s.WeightChecks[i].Check) {
			return
		}
	}
}

// hasPath reports whether the server has a path check.
func (s RealServer) hasPath() bool {
	for spec := range s.specs {
		if isPath(*spec) {
			return true
		}
	}
	return false
}

func isPath(spec healthcheck.Spec) bool { return spec.Check().Via.IsValid() }

// checkPaths reports what would lead a path check astray.
func checkPaths(services []*service, instances []instance) {
	for _, s := range services {
		vias := s.vias()
		if len(vias) == 0 {
			continue
		}
		s.checkPathFamily()
		for n := range instances {
			if i := &instances[n]; i.KeepConnections {
				i.fail(i.at("keep_connections"), `checks of the service in line %d have via = "vip", expected via = "server" beside it: `+
					"a BACKUP that keeps connections has the VIPs itself and schedules nothing, so it would ask itself",
					s.line(s.identity()))
			}
		}
		for _, other := range services {
			other.checkMarkedPaths(s, vias)
		}
	}
}

// vias are where the service's path checks go, each once.
func (s *service) vias() []netip.AddrPort {
	var vias []netip.AddrPort
	for i := range s.RealServers {
		for spec := range s.RealServers[i].specs {
			if via := spec.Check().Via; via.IsValid() && !slices.Contains(vias, via) {
				vias = append(vias, via)
			}
		}
	}
	return vias
}

// checkPathFamily reports real servers of the other family: this node has no
// address that both the packet in the tunnel and the way to the server could have.
func (s *service) checkPathFamily() {
	for n := range s.RealServers {
		server := &s.RealServers[n]
		if addr := server.Address.Addr(); addr.IsValid() && server.hasPath() && familyNumber(addr) != s.keys[0].Family {
			at := s.at("real_server").index(int(s.origins[n].element))
			s.fail(at.key("address"), `%s is %s and the service %v, expected one family for checks with via = "vip"`,
				addr, familyOf(addr), s.keys[0].Family)
		}
	}
}

// checkMarkedPaths reports packets of path checks that would get the mark of s
// in place of their own.
func (s *service) checkMarkedPaths(checked *service, vias []netip.AddrPort) {
	for _, m := range s.marks {
		for _, via := range vias {
			rule := markRule{m.value.Mark}
			probe := markRule{rule.Mark}
			probe.VIP, probe.Protocol, probe.First, probe.Last = via.Addr(), "tcp", via.Port(), via.Port()
			if rule.overlaps(probe) {
				s.fail(m.at, `checks of the service in line %d go to %v with via = "vip", expected no mark for that: it would replace theirs`,
					checked.line(checked.identity()), via)
				break
			}
		}
	}
}
