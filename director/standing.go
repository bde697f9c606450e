package director

import (
	"context"
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
	// keys are the kernel's virtual services of the name, in file order.
	keys []ipvs.ServiceKey
	// up holds what was told last of each real server that has answered, to the
	// hooks and as events.
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
		if s := next[wanted.Name]; s != nil { // another address of the same one
			d.mu.Lock()
			s.keys = append(s.keys, wanted.IPVS.ServiceKey)
			d.mu.Unlock()
			continue
		}
		d.mu.Lock()
		s := d.standings[wanted.Name]
		if s == nil {
			s = &standing{since: time.Now()}
		}
		s.config, s.keys = *wanted, []ipvs.ServiceKey{wanted.IPVS.ServiceKey}
		s.knowServers(d.view.have, d.admin)
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
	}
	s.hooks.reconfigure(wanted)
}

// knowServers forgets the real servers that are gone. At first it takes what the
// kernel says as told. It needs Director.mu.
func (s *standing) knowServers(have State, admin Admin) {
	if s.up == nil {
		s.up = knownServers(s.config, have, admin)
		return
	}
	there := make(Set[netip.AddrPort], len(s.config.RealServers))
	for i := range s.config.RealServers {
		there.Add(s.config.RealServers[i].Address)
	}
	maps.DeleteFunc(s.up, func(server netip.AddrPort, _ bool) bool { return !there.Has(server) })
}

// knownServers are the real servers as the weights in the kernel tell of them. Those
// that operators took out say nothing of health.
func knownServers(c config.VirtualService, have State, admin Admin) map[netip.AddrPort]bool {
	known := map[netip.AddrPort]bool{}
	present := have.Services[c.IPVS.ServiceKey]
	for _, server := range c.RealServers {
		if destination, ok := present.realServer(server.Address); ok && !admin.silences(&c, &server) {
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
		d.Record(s.quorumEvent(t))
	case !first:
		d.Log.Info("quorum gained", arguments...)
		d.Record(s.quorumEvent(t))
	}
	d.notifyService(s, "", t.Quorate, quorumReason(t))
}

// judgeServers tells of each real server that came up or went down. One whose checks
// have not answered is neither, and that the first answer of a new one is good is no
// news but to the hooks.
func (d *Director) judgeServers(f Facts, s *standing) {
	type news struct {
		server  *config.RealServer
		verdict verdict
		first   bool
	}
	var all []news
	up := 0
	servers := s.config.RealServers // these and s.up change only in this goroutine
	for i := range servers {
		v := verdictOf(&servers[i], d.checkStatus)
		if v.State == healthcheck.Up {
			up++
		}
		if v.State == healthcheck.Unknown {
			continue
		}
		if was, known := s.up[servers[i].Address]; !known || was != (v.State == healthcheck.Up) {
			all = append(all, news{&servers[i], v, !known})
		}
	}
	for _, n := range all {
		isUp := n.verdict.State == healthcheck.Up
		d.mu.Lock()
		s.up[n.server.Address] = isUp
		d.mu.Unlock()
		if !n.first || !isUp {
			d.tellServer(f, s, n.server, n.verdict, up)
		}
		d.notifyService(s, n.server.Address.String(), isUp, n.verdict.reason(n.server))
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
