package director

import (
	"fmt"
	"net/netip"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// Snapshot is what the kernel holds, whoever put it there.
type Snapshot struct {
	Services  []ipvs.ServiceEntry
	Addresses []netif.Address
	// Redirects are the rules that bear lvsd's tag.
	Redirects []iptables.Redirect
	// Strays are tagged rules to be got rid of, as iptables prints them.
	Strays []string
	// ConntrackHeld tells that lvsd's rule holds connection tracking on.
	ConntrackHeld bool
	Sysctls       map[string]string
}

// Owned says what in the kernel lvsd may change: what the configuration names,
// and what an earlier configuration named and is not gone yet.
type Owned struct {
	Services Set[ipvs.ServiceKey]
	VIPs     Set[netif.Address]
}

// OwnedBy returns what c names.
func OwnedBy(c *config.Config) Owned {
	o := Owned{Services: Set[ipvs.ServiceKey]{}, VIPs: Set[netif.Address]{}}
	for _, service := range c.Services {
		o.Services.Add(service.IPVS.ServiceKey)
	}
	for _, instance := range c.VRRP {
		for _, vip := range instance.VIPs {
			o.VIPs.Add(netif.Address{Interface: instance.Interface, Addr: vip})
		}
	}
	return o
}

// Merge adds what other owns to o.
func (o Owned) Merge(other Owned) {
	for key := range other.Services {
		o.Services.Add(key)
	}
	for address := range other.VIPs {
		o.VIPs.Add(address)
	}
}

// State returns the part of the snapshot that o owns.
func (s Snapshot) State(o Owned) State {
	have := NewState()
	for _, entry := range s.Services {
		if !o.Services.Has(entry.ServiceKey) {
			continue
		}
		servers := make(map[netip.AddrPort]ipvs.Destination, len(entry.Destinations))
		for _, destination := range entry.Destinations {
			servers[destination.Address] = destination.Destination
		}
		have.Services[entry.ServiceKey] = Service{Service: entry.Service, RealServers: servers}
	}
	for _, address := range s.Addresses {
		if o.VIPs.Has(address) {
			have.VIPs.Add(address)
		}
	}
	for _, rule := range s.Redirects {
		have.Redirects.Add(rule)
	}
	for _, rule := range s.Strays {
		have.Strays.Add(rule)
	}
	if s.ConntrackHeld {
		have.Conntrack.Add(Hold{})
	}
	for name, value := range s.Sysctls {
		have.Sysctls[name] = value
	}
	return have
}

// Foreign describes what stands in the kernel beside o and may disturb or be
// mistaken for it: it is reported and left alone.
func (s Snapshot) Foreign(o Owned) []string {
	var foreign []string
	for _, entry := range s.Services {
		if !o.Services.Has(entry.ServiceKey) {
			foreign = append(foreign, fmt.Sprintf("virtual service %s", entry.ServiceKey))
		}
	}
	vips := Set[netip.Addr]{}
	for address := range o.VIPs {
		vips.Add(address.Addr)
	}
	for _, address := range s.Addresses {
		if vips.Has(address.Addr) && !o.VIPs.Has(address) {
			foreign = append(foreign, fmt.Sprintf("VIP %s on interface %s", address.Addr, address.Interface))
		}
	}
	return foreign
}

// Draining returns the real servers of c's services that the configuration does
// not name and that still have connections: they get no new ones and stay until
// the last has ended.
func (s Snapshot) Draining(c *config.Config) map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination {
	named := map[ipvs.ServiceKey]Set[netip.AddrPort]{}
	for _, service := range c.Services {
		servers := Set[netip.AddrPort]{}
		for _, server := range service.RealServers {
			servers.Add(server.Address)
		}
		if service.Sorry != nil {
			servers.Add(service.Sorry.Address)
		}
		named[service.IPVS.ServiceKey] = servers
	}
	draining := map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination{}
	for _, entry := range s.Services {
		servers, ours := named[entry.ServiceKey]
		if !ours {
			continue
		}
		for _, destination := range entry.Destinations {
			if servers.Has(destination.Address) || destination.Active == 0 {
				continue
			}
			if draining[entry.ServiceKey] == nil {
				draining[entry.ServiceKey] = map[netip.AddrPort]ipvs.Destination{}
			}
			draining[entry.ServiceKey][destination.Address] = destination.Destination
		}
	}
	return draining
}
