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
	// Cost is the processor time that to read it took at the most; zero if that is
	// not known.
	Cost      time.Duration
	Services  []ipvs.ServiceEntry
	Addresses []netif.VIP
	// Routes and Rules are those that bear lvsd's tag, as the kernel lists them.
	Routes []netif.Route
	Rules  []netif.Rule
	// Redirects are the rules that bear lvsd's tag.
	Redirects []iptables.Redirect
	// Marks, SNATs and Mutes are the others that bear the tag.
	Marks []iptables.Mark
	SNATs []iptables.SNAT
	Mutes []iptables.Mute
	// Timeouts, Daemons and Decapsulations are the kernel's, whoever set them.
	Timeouts       map[Timeout]time.Duration
	Daemons        []ipvs.Daemon
	Decapsulations []netif.Decapsulation
	// Strays are tagged rules to be got rid of, as iptables prints them.
	Strays []string
	// Holds are the rules of lvsd's that hold connection tracking on.
	Holds   []iptables.Hold
	Sysctls map[string]string
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
	// Daemons tells that the synchronisation daemons are lvsd's.
	Daemons        bool
	Timeouts       Set[Timeout]
	Decapsulations Set[netif.Decapsulation]
}

// OwnedBy returns what c names.
func OwnedBy(c *config.Config) Owned {
	o := Owned{
		Services: make(Set[ipvs.ServiceKey], len(c.Services)), VIPs: Set[netif.Address]{},
		Daemons: c.Sync != nil, Timeouts: Set[Timeout]{}, Decapsulations: Set[netif.Decapsulation]{},
	}
	for i := range c.Services {
		o.Services.Add(c.Services[i].IPVS.ServiceKey)
	}
	for key := range pathServices(c) {
		o.Services.Add(key)
	}
	for i := range c.VRRP {
		instance := &c.VRRP[i]
		for _, vip := range instance.VIPs {
			o.VIPs.Add(vip.Address)
			if instance.KeepConnections {
				o.VIPs.Add(netif.HostAddress(loopback, vip.Addr))
			}
		}
		o.Routes = append(o.Routes, instance.Routes...)
		o.Rules = append(o.Rules, instance.Rules...)
	}
	for _, accept := range c.Accept {
		for _, vip := range accept.VIPs {
			o.VIPs.Add(netif.HostAddress(loopback, vip))
		}
		for _, tunnel := range accept.Decapsulations {
			o.Decapsulations.Add(tunnel)
		}
	}
	for name, value := range timeouts(c.IPVS.Timeouts) {
		if value != 0 {
			o.Timeouts.Add(name)
		}
	}
	return o
}

// Clone returns an Owned that shares nothing with o.
func (o Owned) Clone() Owned {
	return Owned{
		Services: maps.Clone(o.Services), VIPs: maps.Clone(o.VIPs),
		Routes: slices.Clone(o.Routes), Rules: slices.Clone(o.Rules),
		Daemons: o.Daemons, Timeouts: maps.Clone(o.Timeouts), Decapsulations: maps.Clone(o.Decapsulations),
	}
}

// Merge adds what other owns to o.
func (o *Owned) Merge(other Owned) {
	// The later configuration's word for a route goes before the earlier one's.
	o.Routes = slices.Concat(other.Routes, o.Routes)
	o.Rules = slices.Concat(other.Rules, o.Rules)
	o.Daemons = o.Daemons || other.Daemons
	merge(&o.Services, other.Services)
	merge(&o.VIPs, other.VIPs)
	merge(&o.Timeouts, other.Timeouts)
	merge(&o.Decapsulations, other.Decapsulations)
}

// merge adds the elements of other to s, which may be nil.
func merge[T comparable](s *Set[T], other Set[T]) {
	if *s == nil {
		*s = make(Set[T], len(other))
	}
	maps.Copy(*s, other)
}

// State returns the part of the snapshot that o owns.
func (s Snapshot) State(o Owned) State {
	have := NewState()
	have.Services = make(map[ipvs.ServiceKey]Service, len(o.Services))
	for i := range s.Services {
		if entry := &s.Services[i]; o.Services.Has(entry.ServiceKey) {
			have.Services[entry.ServiceKey] = serviceOf(entry)
		}
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
	for name, value := range s.Timeouts {
		if o.Timeouts.Has(name) {
			have.Timeouts[name] = value
		}
	}
	for _, daemon := range s.Daemons {
		if o.Daemons {
			have.Daemons[daemon.State] = daemon
		}
	}
	for _, tunnel := range s.Decapsulations {
		if o.Decapsulations.Has(tunnel) {
			have.Decapsulations.Add(tunnel)
		}
	}
	s.tagged(have)
	maps.Copy(have.Sysctls, s.Sysctls)
	return have
}

// tagged adds the firewall rules, which bear lvsd's tag, to have.
func (s Snapshot) tagged(have State) {
	merge(&have.Redirects, SetOf(s.Redirects...))
	merge(&have.Marks, SetOf(s.Marks...))
	merge(&have.SNATs, SetOf(s.SNATs...))
	merge(&have.Mutes, SetOf(s.Mutes...))
	merge(&have.Strays, SetOf(s.Strays...))
	merge(&have.Conntrack, SetOf(s.Holds...))
}

// byKey are the services by what they are called in the kernel.
func byKey(services []ipvs.ServiceEntry) map[ipvs.ServiceKey]*ipvs.ServiceEntry {
	entries := make(map[ipvs.ServiceKey]*ipvs.ServiceEntry, len(services))
	for i := range services {
		entries[services[i].ServiceKey] = &services[i]
	}
	return entries
}

// serviceOf is a service as the kernel lists it, the newest real server first.
func serviceOf(e *ipvs.ServiceEntry) Service {
	servers := make([]ipvs.Destination, len(e.Destinations))
	for i := range e.Destinations {
		servers[len(servers)-1-i] = e.Destinations[i].Destination
	}
	return Service{Service: e.Service, RealServers: sortServers(servers)}
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
	for i := range s.Services {
		if key := s.Services[i].ServiceKey; !o.Services.Has(key) {
			foreign = append(foreign, fmt.Sprintf("virtual service %s", key))
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
	for _, daemon := range s.Daemons {
		if !o.Daemons {
			foreign = append(foreign, fmt.Sprintf("synchronisation daemon %s on interface %s",
				daemonState(daemon.State), daemon.Interface))
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
	configured := make(map[ipvs.ServiceKey]*config.VirtualService, len(c.Services))
	for i := range c.Services {
		configured[c.Services[i].IPVS.ServiceKey] = &c.Services[i]
	}
	draining := map[ipvs.ServiceKey]map[netip.AddrPort]ipvs.Destination{}
	named := Set[netip.AddrPort]{}
	for i := range s.Services {
		entry := &s.Services[i]
		service, ours := configured[entry.ServiceKey]
		if !ours || !busy(entry) {
			continue
		}
		clear(named)
		addTargets(named, service)
		for j := range entry.Destinations {
			destination := &entry.Destinations[j]
			if named.Has(destination.Address) || destination.Active == 0 {
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

// addTargets adds the addresses that the service sends to.
func addTargets(named Set[netip.AddrPort], service *config.VirtualService) {
	for i := range service.RealServers {
		named.Add(service.RealServers[i].Address)
	}
	if service.Sorry != nil {
		named.Add(service.Sorry.Address)
	}
}

// busy reports whether a real server of the service has connections.
func busy(e *ipvs.ServiceEntry) bool {
	return slices.ContainsFunc(e.Destinations, func(d ipvs.DestinationEntry) bool { return d.Active > 0 })
}
