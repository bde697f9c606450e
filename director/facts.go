package director

import (
	"maps"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/vrrp"
)

// facts collects what Plan decides from.
func (d *Director) facts(stopping bool) Facts {
	f := d.partFacts(d.derived.config.Services)
	f.Stopping = stopping
	d.mu.Lock()
	defer d.mu.Unlock()
	f.Config = d.derived.config
	f.Sysctls = maps.Clone(d.sysctls)
	f.Roles = d.roles()
	f.Relinquished, f.Assumed = maps.Clone(d.relinquished), maps.Clone(d.assumed)
	return f
}

// partFacts collects what Plan decides from for some services: their number, and
// nothing else, decides how long that takes.
func (d *Director) partFacts(services []config.VirtualService) Facts {
	part := *d.derived.config
	part.Services = services
	f := Facts{
		Config: &part, Now: time.Now(), Recovered: d.recovered, Draining: d.view.draining,
		Up: d.isCheckUp, Told: d.told, Kept: keptWeights(d.toldBefore, services, d.checkStatus),
		Admin:   d.admin,
		Quorate: make(map[string]bool, len(services)),
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range services {
		if s := d.standings[services[i].Name]; s != nil {
			f.Quorate[services[i].Name] = s.quorate
		}
	}
	return f
}

// seenFacts are what the status tells the services of c by, for who is not the
// loop. They need d.seen, also while they are used.
func (d *Director) seenFacts(c *config.Config) Facts {
	f := Facts{
		Config: c, Now: time.Now(), Recovered: d.recovered,
		Up: d.isCheckUp, Told: d.told, Kept: keptWeights(d.toldBefore, c.Services, d.checkStatus),
		Admin:   d.admin,
		Quorate: map[string]bool{},
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, s := range d.standings {
		f.Quorate[name] = s.quorate
	}
	return f
}

// roles needs d.mu.
func (d *Director) roles() map[string]vrrp.Role {
	roles := make(map[string]vrrp.Role, len(d.instances))
	for name, instance := range d.instances {
		roles[name] = instance.role
	}
	return roles
}

// takeRoles are the facts that takeOver needs.
func (d *Director) takeRoles(stopping bool) Facts {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Facts{
		Config: d.derived.config, Roles: d.roles(), Stopping: stopping,
		Now: time.Now(), Assumed: maps.Clone(d.assumed),
	}
}

// servicesIn are the services of these keys, in file order.
func (d derived) servicesIn(keys Set[ipvs.ServiceKey]) []config.VirtualService {
	numbers := d.numbers(keys)
	services := make([]config.VirtualService, len(numbers))
	for i, n := range numbers {
		services[i] = d.config.Services[n]
	}
	return services
}
