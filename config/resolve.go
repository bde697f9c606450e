package config

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// Names returns the host names that real servers are given by, sorted and each
// once.
func (c *Config) Names() []string {
	names := make(map[string]bool)
	for _, s := range c.Services {
		for _, server := range s.RealServers {
			if server.Host != "" {
				names[server.Host] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// WithAddresses returns c with the addresses of host names filled in: in place
// of a real server with a name stands one for each of its addresses, in their
// order; a name that is not among them gives none. Servers keep their names.
//
// An address of another family than the service's counts only in a tunnel, and
// not beside Sync. One that the service has already is left out, as is a VIP,
// and what is not the address of a host. Servers that have addresses are not
// touched, nor is c.
func (c *Config) WithAddresses(names map[string][]netip.Addr) *Config {
	r := resolver{names: names, synced: c.Sync != nil, vips: make(map[netip.Addr]bool), done: make(map[*RealServer][]RealServer)}
	for _, i := range c.VRRP {
		for _, vip := range i.VIPs {
			r.vips[vip.Addr] = true
		}
	}
	resolved := *c
	resolved.Services = slices.Clone(c.Services)
	for n, s := range resolved.Services {
		resolved.Services[n].RealServers = r.servers(s)
	}
	if len(r.done) > 0 {
		resolved.Services = withPathMarks(resolved.Services)
	}
	return &resolved
}

type resolver struct {
	names  map[string][]netip.Addr
	vips   map[netip.Addr]bool
	synced bool
	// done are the servers of a group, by the first of those that its services
	// share.
	done map[*RealServer][]RealServer
}

func (r resolver) servers(s VirtualService) []RealServer {
	if !slices.ContainsFunc(s.RealServers, RealServer.unresolved) {
		return s.RealServers
	}
	if done, ok := r.done[&s.RealServers[0]]; ok {
		return done
	}
	taken := make(map[netip.AddrPort]bool)
	if s.Sorry != nil {
		taken[s.Sorry.Address] = true
	}
	for _, server := range s.RealServers {
		if !server.unresolved() {
			taken[server.Address] = true
		}
	}
	var all []RealServer
	for _, server := range s.RealServers {
		if !server.unresolved() {
			all = append(all, server)
			continue
		}
		for _, addr := range r.addresses(server, s.IPVS.Family) {
			if at := server.at(addr); !taken[at.Address] {
				taken[at.Address] = true
				all = append(all, at)
			}
		}
	}
	r.done[&s.RealServers[0]] = all
	return all
}

// addresses are those of the server's name that a service of the family can
// use, in order.
func (r resolver) addresses(server RealServer, family ipvs.Family) []netip.Addr {
	var usable []netip.Addr
	for _, addr := range r.names[server.Host] {
		addr = addr.Unmap()
		_, err := parseAddress(addr.String())
		any := server.Forwarding == ipvs.Tunnel && !r.synced
		if err == nil && !r.vips[addr] && (any || familyNumber(addr) == family) {
			usable = append(usable, addr)
		}
	}
	slices.SortFunc(usable, netip.Addr.Compare)
	return usable
}

// unresolved reports whether the server has a name and no address yet.
func (s RealServer) unresolved() bool { return s.Host != "" && !s.Address.Addr().IsValid() }

// at is the server at one of the addresses of its name.
func (s RealServer) at(addr netip.Addr) RealServer {
	s.Address = netip.AddrPortFrom(addr, s.Address.Port())
	s.Checks = slices.Clone(s.Checks)
	for i := range s.Checks {
		resolveTarget(&s.Checks[i], addr)
	}
	s.WeightChecks = slices.Clone(s.WeightChecks)
	for i := range s.WeightChecks {
		resolveTarget(&s.WeightChecks[i].Check, addr)
	}
	return s
}

// resolveTarget fills the server's address in, unless the check asks another.
func resolveTarget(c *healthcheck.Spec, addr netip.Addr) {
	if !c.Target.Addr().IsValid() {
		c.Target = netip.AddrPortFrom(addr, c.Target.Port())
	}
}
