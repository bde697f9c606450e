package director

import (
	"net/netip"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// describeServices needs d.seen.
func (d *Director) describeServices(c *config.Config) []ServiceStatus {
	entries := byKey(d.view.snapshot.Services)
	facts := d.seenFacts(c)
	all := make([]ServiceStatus, len(c.Services))
	for i := range c.Services {
		all[i] = d.describeService(facts, &c.Services[i], entries[c.Services[i].IPVS.ServiceKey])
	}
	return all
}

func (d *Director) describeService(f Facts, c *config.VirtualService, entry *ipvs.ServiceEntry) ServiceStatus {
	protocol, address := listensOn(c.IPVS.ServiceKey)
	status := ServiceStatus{
		Name:       c.Name,
		Protocol:   protocol,
		Address:    address,
		Mark:       c.IPVS.Mark,
		Family:     familyName(c.IPVS.Family),
		Service:    c.IPVS.ServiceKey.String(),
		Scheduler:  c.IPVS.Scheduler,
		Forwarding: c.Forwarding.String(),
		Quorum:     d.describeQuorum(f, c),
	}
	_, status.Override = f.Admin.ofService(c)
	present := d.view.have.Services[c.IPVS.ServiceKey]
	counts := connections(entry)
	named := make(Set[netip.AddrPort], len(c.RealServers)+1)
	status.RealServers = make([]RealServerStatus, 0, len(c.RealServers))
	for i := range c.RealServers {
		server := &c.RealServers[i]
		named.Add(server.Address)
		described := f.describeServer(c, server, d.checkStatus)
		if described.State == stateUp {
			status.Up++
		}
		described.inKernel(present, counts, server.Address)
		status.RealServers = append(status.RealServers, described)
	}
	if c.Sorry != nil {
		named.Add(c.Sorry.Address)
		sorry, there := present.realServer(c.Sorry.Address)
		status.SorryServer, status.Sorry = c.Sorry.Address.String(), there && sorry.Weight > 0
	}
	for _, server := range present.RealServers {
		if !named.Has(server.Address) {
			draining := RealServerStatus{
				Address: server.Address.String(), State: stateDraining, Checks: []CheckStatus{}, Admin: Enabled,
			}
			draining.inKernel(present, counts, server.Address)
			status.RealServers = append(status.RealServers, draining)
		}
	}
	return status
}

func (d *Director) describeQuorum(f Facts, c *config.VirtualService) QuorumStatus {
	d.mu.Lock()
	s := d.standings[c.Name]
	var known standing
	if s != nil {
		known = *s
	}
	d.mu.Unlock()
	t := f.tally(c)
	return QuorumStatus{Needed: t.Needed, Up: t.Up, Quorate: known.quorate, Since: known.since}
}

// The states of a real server.
const (
	stateUp       = "up"
	stateDown     = "down"
	stateUnknown  = "unknown"
	stateDraining = "draining"
)

// describeServer tells of the real server all but what the kernel has.
func (f Facts) describeServer(
	service *config.VirtualService, server *config.RealServer, ask func(healthcheck.Spec) healthcheck.Status,
) RealServerStatus {
	v := verdictOf(server, ask)
	key := serverKey(service, server.Address)
	told, _ := f.toldWeight(server)
	status := RealServerStatus{
		Address:    server.Address.String(),
		Host:       server.Host,
		State:      v.State.String(),
		Since:      v.Since(),
		AnyCheck:   server.AnyCheck,
		Weight:     f.upWeight(service, server),
		Configured: server.Weight,
		Told:       shownWeight(told),
		Checks:     []CheckStatus{},
	}
	status.Admin, status.Override = f.Admin.of(service, server.Address)
	_, status.Kept = f.kept(service, server)
	if since, ok := f.Recovered[key]; ok {
		if until := since.Add(service.SlowStart); f.Now.Before(until) {
			status.SlowStart = until
		}
	}
	for _, spec := range server.Checks {
		status.Checks = append(status.Checks, describeCheck(spec, ask(spec)))
	}
	for _, check := range server.WeightChecks {
		status.WeightChecks = append(status.WeightChecks, WeightCheckStatus{
			CheckStatus: describeCheck(check.Check, ask(check.Check)), Change: check.Weight,
		})
	}
	return status
}

// inKernel fills in what the kernel has of the real server.
func (s *RealServerStatus) inKernel(
	present Service, counts map[netip.AddrPort]*ipvs.DestinationEntry, address netip.AddrPort,
) {
	s.KernelWeight = -1
	if destination, ok := present.realServer(address); ok {
		s.KernelWeight = destination.Weight
	}
	if count := counts[address]; count != nil {
		s.Active, s.Inactive = count.Active, count.Inactive
	}
}

// connections are the destinations of one service as the kernel counts them.
func connections(entry *ipvs.ServiceEntry) map[netip.AddrPort]*ipvs.DestinationEntry {
	if entry == nil {
		return nil
	}
	counts := make(map[netip.AddrPort]*ipvs.DestinationEntry, len(entry.Destinations))
	for i := range entry.Destinations {
		counts[entry.Destinations[i].Address] = &entry.Destinations[i]
	}
	return counts
}
