package director

import (
	"maps"
	"net/netip"
	"os"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// Status describes the director as it is now: roles and checks at this moment,
// the kernel as the last reconciliation left it.
func (d *Director) Status() Status {
	d.mu.Lock()
	c, seen, instances := d.config, d.status, maps.Clone(d.instances)
	groups, trackers := d.describeGroups(), d.describeTrackers()
	d.mu.Unlock()
	checks := d.pool.All()
	status := Status{
		Schema:    "lvsd.status/1",
		Version:   d.Version,
		PID:       os.Getpid(),
		RouterID:  c.Global.RouterID,
		Config:    d.ConfigPath,
		Started:   d.started,
		Ready:     seen.ready,
		Reload:    seen.reload,
		Reconcile: ReconcileStatus{At: seen.at, Changes: seen.changes, Error: errorText(seen.err)},
		Instances: []InstanceStatus{},
		Groups:    groups,
		Trackers:  trackers,
		Services:  []ServiceStatus{},
		Conflicts: d.conflicts.status(),
		Foreign:   append([]string{}, seen.foreign...),
		Sysctls:   append([]SysctlStatus{}, seen.sysctls...),
	}
	for _, v := range c.VRRP {
		if i, ok := instances[v.Router.Name]; ok {
			described := seen.instance(v, i.router.Status())
			d.mu.Lock()
			described.weighed(i.fit)
			d.mu.Unlock()
			status.Instances = append(status.Instances, described)
		}
	}
	for _, s := range c.Services {
		status.Services = append(status.Services, seen.service(s, checks))
	}
	return status
}

func (s State) redirected(vip netip.Addr) bool {
	for rule := range s.Redirects {
		if rule.VIP == vip {
			return true
		}
	}
	return false
}

func (o observation) service(c config.VirtualService, checks map[healthcheck.Spec]healthcheck.Status) ServiceStatus {
	status := ServiceStatus{
		Name:        c.Name,
		Service:     c.IPVS.ServiceKey.String(),
		Scheduler:   c.IPVS.Scheduler,
		Forwarding:  c.Forwarding.String(),
		RealServers: []RealServerStatus{},
	}
	present := o.have.Services[c.IPVS.ServiceKey].RealServers
	counts := o.snapshot.connections(c.IPVS.ServiceKey)
	named := Set[netip.AddrPort]{}
	for _, server := range c.RealServers {
		named.Add(server.Address)
		described := describeServer(server, checks)
		if described.State == stateUp {
			status.Up++
		}
		described.inKernel(present, counts, server.Address)
		status.RealServers = append(status.RealServers, described)
	}
	if c.Sorry != nil {
		named.Add(c.Sorry.Address)
		_, status.Sorry = present[c.Sorry.Address]
	}
	for _, address := range missing(named, present, netip.AddrPort.Compare) {
		draining := RealServerStatus{Address: address.String(), State: stateDraining, Checks: []CheckStatus{}}
		draining.inKernel(present, counts, address)
		status.RealServers = append(status.RealServers, draining)
	}
	return status
}

// The states of a real server.
const (
	stateUp       = "up"
	stateDown     = "down"
	stateUnknown  = "unknown"
	stateDraining = "draining"
)

func describeServer(server config.RealServer, checks map[healthcheck.Spec]healthcheck.Status) RealServerStatus {
	status := RealServerStatus{
		Address: server.Address.String(),
		State:   stateUp,
		Weight:  server.Weight,
		Checks:  []CheckStatus{},
	}
	for _, spec := range server.Checks {
		check := describeCheck(spec, checks[spec])
		if status.State == stateUp || check.State == stateDown {
			status.State = check.State
		}
		if check.Since.After(status.Since) {
			status.Since = check.Since
		}
		status.Checks = append(status.Checks, check)
	}
	return status
}

func describeCheck(spec healthcheck.Spec, s healthcheck.Status) CheckStatus {
	return CheckStatus{
		Kind:     string(spec.Kind),
		Target:   spec.Target.String(),
		State:    strings.ToLower(s.State.String()),
		Since:    s.Since,
		Code:     string(s.Last.Code),
		Reason:   s.Last.Reason,
		At:       s.Last.At,
		Duration: s.Last.Duration,
	}
}

// inKernel fills in what the kernel has of the real server.
func (s *RealServerStatus) inKernel(
	present map[netip.AddrPort]ipvs.Destination,
	counts map[netip.AddrPort]ipvs.DestinationEntry,
	address netip.AddrPort,
) {
	s.KernelWeight = -1
	if destination, ok := present[address]; ok {
		s.KernelWeight = destination.Weight
	}
	s.Active, s.Inactive = counts[address].Active, counts[address].Inactive
}

// connections are the destinations of one service as the kernel counts them.
func (s Snapshot) connections(key ipvs.ServiceKey) map[netip.AddrPort]ipvs.DestinationEntry {
	counts := map[netip.AddrPort]ipvs.DestinationEntry{}
	for _, entry := range s.Services {
		if entry.ServiceKey != key {
			continue
		}
		for _, destination := range entry.Destinations {
			counts[destination.Address] = destination
		}
	}
	return counts
}
