package director

import (
	"maps"
	"slices"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// needsOf is what c needs of the kernel's IPVS, each sorted and there once.
func needsOf(c *config.Config) ipvs.Needs {
	schedulers, engines := Set[string]{}, Set[string]{}
	families, protocols := Set[ipvs.Family]{}, Set[ipvs.Protocol]{}
	tunnels := Set[ipvs.TunnelType]{}
	for i := range c.Services {
		service := &c.Services[i]
		schedulers.Add(service.IPVS.Scheduler)
		families.Add(service.IPVS.Family)
		if service.IPVS.Engine != "" {
			engines.Add(service.IPVS.Engine)
		}
		if service.IPVS.Protocol != 0 {
			protocols.Add(service.IPVS.Protocol)
		}
		for j := range service.RealServers {
			if service.RealServers[j].Forwarding == ipvs.Tunnel {
				tunnels.Add(service.RealServers[j].Tunnel.Type)
			}
		}
		if service.Sorry != nil && service.Sorry.Forwarding == ipvs.Tunnel {
			tunnels.Add(service.Sorry.Tunnel.Type)
		}
	}
	if len(pathServices(c)) > 0 {
		schedulers.Add(pathScheduler)
	}
	return ipvs.Needs{
		Schedulers: slices.Sorted(maps.Keys(schedulers)),
		Engines:    slices.Sorted(maps.Keys(engines)),
		Families:   slices.Sorted(maps.Keys(families)),
		Protocols:  slices.Sorted(maps.Keys(protocols)),
		Tunnels:    slices.Sorted(maps.Keys(tunnels)),
	}
}
