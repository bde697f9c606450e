package director

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// Explain says why the real server that is asked for stands as it does: an
// address, with or without a port, a host name of the file, or the beginning of
// one if only one address has it. With a service, only in that. The error is
// ErrUnknownServer or ErrUnknownService.
func (d *Director) Explain(asked, service string) (Explanation, error) {
	c := d.currentConfig()
	d.seen.RLock()
	defer d.seen.RUnlock()
	return d.scene(c).explain(asked, service)
}

// scene is what there is to explain by. It needs d.seen, also while it is used.
func (d *Director) scene(c *config.Config) scene {
	return scene{
		facts: d.seenFacts(c), have: d.view.have, snapshot: d.view.snapshot,
		ask: d.checkStatus, history: d.pool.History, next: d.pool.NextProbe, notices: d.pool.Notices(),
		quorum: d.describeQuorum,
	}
}

// scene is what an Explanation is made from.
type scene struct {
	facts    Facts
	have     State
	snapshot Snapshot
	ask      func(healthcheck.Spec) healthcheck.Status
	history  func(healthcheck.Spec) []probe.Result
	next     func(healthcheck.Spec) time.Time
	notices  []healthcheck.Notice
	quorum   func(Facts, *config.VirtualService) QuorumStatus
}

func (s scene) explain(asked, service string) (Explanation, error) {
	meant, err := s.find(asked, service)
	if err != nil {
		return Explanation{}, err
	}
	return s.explanation(asked, meant), nil
}

// explanation explains the members that were asked for by the name.
func (s scene) explanation(asked string, meant []member) Explanation {
	e := Explanation{
		Schema: "lvsd.explain/1", At: s.facts.Now, Asked: asked,
		CheckNotices: describeCheckNotices(s.notices), Servers: []ServerExplanation{},
	}
	e.Servers = append(e.Servers, s.servers(meant)...)
	return e
}

// service explains all real servers of the virtual services of the name.
func (s scene) service(name string) []ServerExplanation {
	return s.servers(slices.DeleteFunc(s.members(), func(m member) bool { return m.service.Name != name }))
}

// servers explains the members.
func (s scene) servers(meant []member) []ServerExplanation {
	var all []ServerExplanation
	users := s.usersOf(meant)
	for _, m := range meant {
		explained := s.server(m, users)
		// Services of one name are one service on several addresses and ports.
		same := slices.IndexFunc(all, func(other ServerExplanation) bool {
			return other.Service == explained.Service && other.Address == explained.Address && other.State == explained.State
		})
		if same >= 0 {
			all[same].Places = append(all[same].Places, explained.Places...)
			continue
		}
		all = append(all, explained)
	}
	return all
}

// server explains one real server of one virtual service.
func (s scene) server(m member, users map[healthcheck.Spec][]CheckUser) ServerExplanation {
	e := ServerExplanation{
		Service: m.service.Name, Address: m.address.String(), State: stateDraining, Because: -1,
		Checks: []CheckExplanation{}, Quorum: s.quorum(s.facts, m.service),
		Removed: m.service.OnFailure == config.Remove, Places: []PlaceExplanation{s.place(m)},
		Admin: Enabled,
	}
	if sorry := m.service.Sorry; sorry != nil {
		e.SorryServer, e.SorryBeside = sorry.Address.String(), sorry.Mode == config.SorryBeside
		e.Sorry = !s.facts.tally(m.service).Quorate
	}
	if m.server == nil {
		return e
	}
	v := verdictOf(m.server, s.ask)
	e.Host, e.State, e.Since = m.server.Host, v.State.String(), v.Since()
	e.AnyCheck, e.Because = m.server.AnyCheck, v.By
	e.Weight = s.weight(m)
	e.Admin, e.Override = s.facts.Admin.of(m.service, m.address)
	for _, spec := range m.server.Checks {
		e.Checks = append(e.Checks, s.check(spec, m.others(users[spec])))
	}
	for i := range m.server.WeightChecks {
		check := &m.server.WeightChecks[i]
		e.WeightChecks = append(e.WeightChecks, WeightCheckExplanation{
			CheckExplanation: s.check(check.Check, m.others(users[check.Check])),
			Change:           check.Weight, Applied: s.facts.change(check),
		})
	}
	return e
}

func (s scene) weight(m member) WeightExplanation {
	f := s.facts
	told, by := f.toldWeight(m.server)
	w := WeightExplanation{
		Configured: m.server.Weight, Told: shownWeight(told),
		Up: f.upWeight(m.service, m.server), Now: f.weight(m.service, m.server),
	}
	if told.Known {
		w.ToldBy = &by
	}
	w.Ordered = f.Admin.weight(m.service, m.address)
	_, w.Kept = f.kept(m.service, m.server)
	if _, elapsed, on := f.rampOf(m.service, m.server); on && elapsed < m.service.SlowStart {
		w.RisingSince = f.Now.Add(-elapsed)
		w.RisingUntil = w.RisingSince.Add(m.service.SlowStart)
	}
	return w
}

// place is what the kernel has of the real server, and what it is to have.
func (s scene) place(m member) PlaceExplanation {
	key := m.service.IPVS.ServiceKey
	p := PlaceExplanation{Service: key.String(), Planned: -1, Kernel: -1}
	if planned, there := planService(s.facts, *m.service).realServer(m.address); there {
		p.Planned = planned.Weight
	}
	if m.server == nil {
		p.Planned = 0
	}
	if present, there := s.have.Services[key].realServer(m.address); there {
		p.Kernel = present.Weight
	}
	for i := range s.snapshot.Services {
		if entry := &s.snapshot.Services[i]; entry.ServiceKey == key {
			if count := connections(entry)[m.address]; count != nil {
				p.Active, p.Inactive = count.Active, count.Inactive
			}
		}
	}
	return p
}

func (s scene) check(spec healthcheck.Spec, shared []CheckUser) CheckExplanation {
	c, status := spec.Check(), s.ask(spec)
	e := CheckExplanation{
		CheckStatus: describeCheck(spec, status),
		Interval:    c.Interval, FastInterval: c.FastInterval, Timeout: c.Timeout,
		Retries: c.Retries, RetryDelay: c.RetryDelay, Rise: c.Rise, Fall: c.Fall,
		Against: status.Streak, Needed: status.Needed(c),
		Successes: status.Successes, Failures: status.Failures, Inconclusive: status.Inconclusive,
		Last: shownResult(status.Last), LastFailure: shownResult(status.LastFailure),
		History: []ResultExplanation{}, Next: s.next(spec), Shared: shared,
	}
	if c.Via.IsValid() {
		e.Via = c.Via.String()
	}
	if status.State == healthcheck.Unknown {
		e.AssumedUp, e.Inherited = status.Up, status.Inherited
	}
	if c.Flap.Limit > 0 {
		e.FlapLimit, e.FlapHalfLife = c.Flap.Limit, c.Flap.HalfLife
		if e.FlapHalfLife == 0 {
			e.FlapHalfLife = healthcheck.DefaultHalfLife
		}
	}
	for _, r := range s.history(spec) {
		e.History = append(e.History, *shownResult(r))
	}
	return e
}

// shownResult is nil for the zero Result.
func shownResult(r probe.Result) *ResultExplanation {
	if r.Code == "" {
		return nil
	}
	return &ResultExplanation{
		At: r.At, Duration: r.Duration, OK: r.OK, Inconclusive: !r.Conclusive(), Code: string(r.Code), Reason: r.Reason,
		Told: shownWeight(r.Weight), Warning: r.Warning, Tries: r.Tries, Transcript: r.Transcript,
	}
}

// member is a real server of a virtual service.
type member struct {
	service *config.VirtualService
	address netip.AddrPort
	// server is nil if no configuration names it any more.
	server *config.RealServer
}

// others are the users that are not m.
func (m member) others(users []CheckUser) []CheckUser {
	return slices.DeleteFunc(slices.Clone(users), func(u CheckUser) bool {
		return u.Service == m.service.Name && u.Server == m.address.String()
	})
}

// usersOf are whom the checks of the members are for.
func (s scene) usersOf(members []member) map[healthcheck.Spec][]CheckUser {
	users := map[healthcheck.Spec][]CheckUser{}
	for _, m := range members {
		if m.server == nil {
			continue
		}
		for spec := range checksOfServer(m.server) {
			users[*spec] = nil
		}
	}
	add := func(spec healthcheck.Spec, user CheckUser) {
		if known, wanted := users[spec]; wanted && !slices.Contains(known, user) {
			users[spec] = append(known, user)
		}
	}
	for i := range s.facts.Config.Services {
		service := &s.facts.Config.Services[i]
		for j := range service.RealServers {
			server := &service.RealServers[j]
			user := CheckUser{Service: service.Name, Server: server.Address.String()}
			for spec := range checksOfServer(server) {
				add(*spec, user)
			}
		}
	}
	for _, t := range s.facts.Config.Trackers {
		if t.Kind == config.TrackCheck {
			add(t.Check, CheckUser{Tracker: t.Name})
		}
	}
	return users
}
