package director

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// standing is how the virtual services of one name do, as the hooks were told.
// Director.mu guards it.
type standing struct {
	config config.VirtualService
	// quorate is the answer since then; known is false until there is one. Before
	// every check has answered, no quorum is lost.
	quorate, known bool
	since          time.Time
	tally          tally
	// up holds what the hooks know of each real server; nil without hooks.
	up map[netip.AddrPort]bool
	// hooks are nil where none are configured. They are for the loop.
	hooks *hooks
}

// setStandings makes the services of c the ones that are followed. What the
// kernel says of the real servers of a new one is what a predecessor told.
func (d *Director) setStandings(background context.Context, c *config.Config) {
	next := make(map[string]*standing, len(c.Services))
	for i := range c.Services {
		wanted := &c.Services[i]
		if next[wanted.Name] != nil {
			continue // another address of the same one
		}
		d.mu.Lock()
		s := d.standings[wanted.Name]
		if s == nil {
			s = &standing{since: time.Now()}
		}
		s.config = *wanted
		d.mu.Unlock()
		d.setServiceHooks(background, s)
		next[wanted.Name] = s
	}
	d.mu.Lock()
	old := d.standings
	d.standings = next
	d.mu.Unlock()
	for name, s := range old {
		if next[name] == nil && s.hooks != nil {
			d.retire(name, s.hooks)
		}
	}
}

// setServiceHooks gives the service the hooks that it is to have.
func (d *Director) setServiceHooks(background context.Context, s *standing) {
	wanted := serviceCommands(s.config.Hooks)
	if s.hooks == nil && !wanted.Some() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.hooks == nil {
		s.hooks = d.newServiceHooks(background, wanted)
		s.up = knownServers(s.config, d.view.have)
	}
	s.hooks.reconfigure(wanted)
}

// knownServers are the real servers as the weights in the kernel tell of them.
func knownServers(c config.VirtualService, have State) map[netip.AddrPort]bool {
	known := map[netip.AddrPort]bool{}
	present := have.Services[c.IPVS.ServiceKey]
	for _, server := range c.RealServers {
		if destination, ok := present.realServer(server.Address); ok {
			known[server.Address] = destination.Weight > 0
		}
	}
	return known
}

// judgeServices finds out how the services of a plan stand, and tells the hooks
// and the log what is new.
func (d *Director) judgeServices(f Facts) {
	var judged Set[string]
	if len(f.Config.Services) > 1 {
		judged = make(Set[string], len(f.Config.Services))
	}
	for i := range f.Config.Services {
		service := &f.Config.Services[i]
		if judged.Has(service.Name) {
			continue
		}
		if judged != nil {
			judged.Add(service.Name)
		}
		d.judgeService(f, service)
	}
}

func (d *Director) judgeService(f Facts, service *config.VirtualService) {
	t := f.tally(service)
	d.mu.Lock()
	s := d.standings[service.Name]
	if s == nil || f.Stopping {
		d.mu.Unlock()
		return
	}
	was, first := s.quorate, !s.known
	s.tally = t
	news := (was != t.Quorate || first) && (t.Quorate || d.status.ready)
	if news {
		s.quorate, s.known, s.since = t.Quorate, true, f.Now
	}
	d.mu.Unlock()
	d.judgeServers(f, s)
	if news {
		d.quorumChanged(s, t, first)
	}
}

// quorumChanged logs and hands on a new answer. The first one, that all is well,
// is no news to who reads the log.
func (d *Director) quorumChanged(s *standing, t tally, first bool) {
	arguments := []any{"service", s.config.Name, "weight_up", t.Up, "quorum", t.Needed}
	switch {
	case !t.Quorate:
		d.Log.Warn("quorum lost", arguments...)
	case !first:
		d.Log.Info("quorum gained", arguments...)
	}
	d.notifyService(s, "", t.Quorate, fmt.Sprintf("weight %d is up, quorum %d", t.Up, t.Needed))
}

// judgeServers tells the hooks of each real server that came up or went down. One
// whose checks have not answered is neither.
func (d *Director) judgeServers(f Facts, s *standing) {
	if s.hooks == nil {
		return
	}
	for i := range s.config.RealServers {
		server := &s.config.RealServers[i]
		v := verdictOf(server, d.checkStatus)
		up, answered := v.State == healthcheck.Up, v.State != healthcheck.Unknown
		d.mu.Lock()
		told, known := s.up[server.Address]
		news := answered && (!known || told != up)
		if news {
			s.up[server.Address] = up
		}
		d.mu.Unlock()
		if news {
			d.notifyService(s, server.Address.String(), up, v.reason(server))
		}
	}
}

// recallQuorums takes over what a predecessor found and told.
func (d *Director) recallQuorums(quorate map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, q := range quorate {
		d.standings[name] = &standing{quorate: q, known: true, since: time.Now()}
	}
}

// quorateToRemember are the answers that a successor needs: hooks know them, or
// they decide within the hysteresis. It needs d.mu.
func (d *Director) quorateToRemember() map[string]bool {
	all := map[string]bool{}
	for name, s := range d.standings {
		if s.known && (s.hooks != nil || s.config.Quorum.Hysteresis > 0) {
			all[name] = s.quorate
		}
	}
	return all
}

// recover notes when a real server that was down came up by a change, where its
// weight is to rise slowly. That a second check passes where one is enough is no
// recovery.
func (d *Director) recover(service *config.VirtualService, server *config.RealServer, change healthcheck.Change) {
	if service.SlowStart == 0 || !slices.Contains(server.Checks, change.Spec) {
		return
	}
	key, v := serverKey(service, server.Address), verdictOf(server, d.checkStatus)
	d.seen.Lock()
	defer d.seen.Unlock()
	switch {
	case v.State == healthcheck.Down:
		delete(d.recovered, key)
	case v.State == healthcheck.Up && change.From == healthcheck.Down && change.To == healthcheck.Up &&
		server.Checks[v.By] == change.Spec:
		d.recovered[key] = time.Now()
	}
}

// nextRise is when the next weight is to rise. It forgets real servers that have
// their full weight.
func (d *Director) nextRise(now time.Time) time.Time {
	if len(d.recovered) == 0 {
		return time.Time{}
	}
	d.seen.Lock()
	maps.DeleteFunc(d.recovered, func(key ServerKey, since time.Time) bool {
		n, ok := d.derived.byKey[key.Service]
		return !ok || now.Sub(since) > d.derived.config.Services[n].SlowStart
	})
	d.seen.Unlock()
	var next time.Time
	services := d.derived.servicesIn(d.rising())
	f := d.partFacts(services)
	f.Now = now
	for _, service := range services {
		next = sooner(next, f.nextStep(service))
	}
	return next
}

// rising are the services with real servers whose weight rises.
func (d *Director) rising() Set[ipvs.ServiceKey] {
	keys := Set[ipvs.ServiceKey]{}
	for key := range d.recovered {
		keys.Add(key.Service)
	}
	return keys
}

// withRising adds the services with real servers whose weight rises.
func (d *Director) withRising(touched []int) []int {
	touched = append(touched, d.derived.numbers(d.rising())...)
	slices.Sort(touched)
	return slices.Compact(touched)
}
