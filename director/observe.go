package director

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// Snapshot is what the kernel holds, whoever put it there.
type Snapshot struct {
	Services  []ipvs.ServiceEntry
	Addresses []netif.VIP
	// Routes and Rules are those that bear lvsd's tag, as the kernel lists them.
	Routes []netif.Route
	Rules  []netif.Rule
	// Redirects are the rules that bear lvsd's tag.
	Redirects []iptables.Redirect
	// Marks and SNATs are the others that bear the tag.
	Marks []iptables.Mark
	SNATs []iptables.SNAT
	// Timeouts, Daemons and Decapsulations are the kernel's, whoever set them.
	Timeouts       map[Timeout]time.Duration
	Daemons        []ipvs.Daemon
	Decapsulations []netif.Decapsulation
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
	// Routes and Rules are those that a configuration names. Others that bear
	// lvsd's tag are its own too.
	Routes []netif.Route
	Rules  []netif.Rule
}

// OwnedBy returns what c names.
func OwnedBy(c *config.Config) Owned {
	o := Owned{Services: Set[ipvs.ServiceKey]{}, VIPs: Set[netif.Address]{}}
	for _, service := range c.Services {
		o.Services.Add(service.IPVS.ServiceKey)
	}
	for _, instance := range c.VRRP {
		for _, vip := range instance.VIPs {
			o.VIPs.Add(vip.Address)
		}
		o.Routes = append(o.Routes, instance.Routes...)
		o.Rules = append(o.Rules, instance.Rules...)
	}
	return o
}

// Clone returns an Owned that shares nothing with o.
func (o Owned) Clone() Owned {
	return Owned{
		Services: maps.Clone(o.Services), VIPs: maps.Clone(o.VIPs),
		Routes: slices.Clone(o.Routes), Rules: slices.Clone(o.Rules),
	}
}

// Merge adds what other owns to o.
func (o *Owned) Merge(other Owned) {
	// The later configuration's word for a route goes before the earlier one's.
	o.Routes = slices.Concat(other.Routes, o.Routes)
	o.Rules = slices.Concat(other.Rules, o.Rules)
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
		if o.VIPs.Has(address.Address) {
			have.VIPs.Add(address)
		}
	}
	for _, route := range s.Routes {
		have.Routes.Add(o.route(route))
	}
	for _, rule := range s.Rules {
		have.Rules.Add(o.rule(rule))
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

// route is the configured route that the kernel lists so, or what it lists.
func (o Owned) route(listed netif.Route) netif.Route {
	for _, route := range o.Routes {
		if route.Is(listed) {
			return route
		}
	}
	return listed
}

// rule is the configured rule that the kernel lists so, or what it lists.
func (o Owned) rule(listed netif.Rule) netif.Rule {
	for _, rule := range o.Rules {
		if rule.Is(listed) {
			return rule
		}
	}
	return listed
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
		if vips.Has(address.Addr) && !o.VIPs.Has(address.Address) {
			foreign = append(foreign, fmt.Sprintf("VIP %s on interface %s", vipName(address.Address), address.Interface))
		}
	}
	return foreign
}

// vipName is the address, and its prefix length unless it is full.
func vipName(a netif.Address) string {
	if a.Bits == a.Addr.BitLen() {
		return a.Addr.String()
	}
	return fmt.Sprintf("%s/%d", a.Addr, a.Bits)
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
