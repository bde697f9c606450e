package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// advertKey is what the nodes of a site with signed adverts share; no rogue has it.
const advertKey = "0123456789abcdef"

// advertFaults are what somebody on the segment can do who speaks VRRP himself. The
// MASTER is a.
func advertFaults() []Fault {
	var g gang
	return append(g.spoofs(), append(g.defences(), g.storms()...)...)
}

// A gang has a rogue in every site that needs one.
type gang struct {
	rogues  memo[*Rogue]
	weather memo[*measuredStorm]
}

// rogue is the site's, with an advert that the MASTER has sent just now.
func (g *gang) rogue(s *Site) (*Rogue, error) {
	r := g.rogues.of(s)
	if r == nil {
		var err error
		if r, err = newRogue(s.AddHost(fmt.Sprintf("rogue%d", len(s.Lab.Hosts())))); err != nil {
			return nil, err
		}
		s.Cleanup(r.Close)
		g.rogues.keep(s, r)
	}
	if s.Config.Unicast {
		r.To = nil
		for _, n := range s.Nodes {
			r.To = append(r.To, n.Address)
		}
	}
	return r, r.Overhear(s.Nodes[0].Host, vrid, s.Lab.Scaled(patience))
}

// attack is an injection in which the rogue sends something once.
func (g *gang) attack(attacks ...attack) func(*Site) (func() error, error) {
	return func(s *Site) (func() error, error) {
		r, err := g.rogue(s)
		if err != nil {
			return nil, err
		}
		for _, attack := range attacks {
			forgeries, err := attack(r)
			if err != nil {
				return nil, err
			}
			if err := r.Send(forgeries...); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
}

// spoofs are attacks on nodes that have nothing against them but the protocol.
func (g *gang) spoofs() []Fault {
	return []Fault{
		{
			Name: "advert-malformed", What: "400 adverts of priority 255 that are malformed: truncated, overlong, miscounted, mutated at random", Number: "F38", Quick: true,
			Inject: g.attack(malformed), Hold: pastElection, Want: Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "advert-ttl", What: "adverts of priority 255 whose TTL is not 255", Number: "F37",
			Inject: g.attack(forwarded), Hold: pastElection, Want: Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "spoofed-255", What: "one advert of priority 255 that announces the next in 40.95 s", Number: "F34",
			// A site of its own: keepalived does not recover for minutes.
			Edit:   func(*Config) {},
			Inject: g.attack(owner(vrrp.MaxIntervalV3)), Check: withinIntervals(7),
		},
		{
			Name: "spoofed-255-v2", What: "one advert of priority 255, version 2", Number: "F35",
			Edit:   func(c *Config) { c.Version = 2 },
			Inject: g.attack(owner(0)), Check: withinIntervals(7),
		},
		{
			Name: "forged-goodbye", What: "one advert of priority 0 from the MASTER's address", Number: "F36",
			Inject: g.attack(goodbye), Hold: pastElection, Want: Promise{Two: true},
		},
		{
			Name: "replay", What: "the MASTER is killed and its link down, its last advert repeated for ten intervals", Number: "F39",
			Inject: g.replay(false), Hold: intervals(10), Want: Promise{Two: true},
		},
	}
}

// defences are all attacks together, on nodes that have something against them.
func (g *gang) defences() []Fault {
	all := g.attack(malformed, forwarded, owner(0), owner(vrrp.MaxIntervalV3), lower)
	nodes := g.attack(malformed, forwarded, owner(0), owner(vrrp.MaxIntervalV3), lower, unsigned, goodbye, recorded, tampered)
	const cannotSign = "it cannot sign adverts"
	return []Fault{
		{
			Name: "signed-rogue", What: "malformed, forwarded, spoofed, replayed adverts and goodbyes, also from the nodes' addresses; adverts are signed", Number: "F34",
			Without: cannotSign, Edit: signed,
			Inject: nodes, Hold: pastElection, Want: Promise{Lossless: true, KeepsMaster: true},
		},
		{
			Name: "signed-replay", What: "the MASTER is killed and its link down, its last advert repeated for ten intervals; adverts are signed", Number: "F39",
			Without: cannotSign, Edit: signed,
			Inject: g.replay(true), Hold: intervals(10), Want: Promise{KeepsHeld: true, Two: true},
		},
		{
			Name: "unicast-rogue", What: "malformed, forwarded and spoofed adverts from an address that is no peer's; adverts are unicast", Number: "F34",
			Edit:   func(c *Config) { c.Unicast = true },
			Inject: all, Hold: pastElection, Want: Promise{Lossless: true, KeepsMaster: true},
		},
	}
}

func signed(c *Config) { c.Key = advertKey }

// replay kills the MASTER and has the rogue speak in its place, with its own words.
// Where that is in vain, the BACKUP takes over meanwhile.
func (g *gang) replay(inVain bool) func(*Site) (func() error, error) {
	return func(s *Site) (func() error, error) {
		r, err := g.rogue(s)
		if err != nil {
			return nil, err
		}
		a, b := s.Nodes[0], s.Nodes[1]
		a.Kill()
		// Its kernel would serve without it.
		a.SetLink(false)
		parrot := r.Repeat(r.Replay(), s.Config.Interval/2)
		mend := func() error {
			err := parrot.End()
			a.SetLink(true)
			a.Start()
			return err
		}
		if !inVain {
			return mend, nil
		}
		return mend, s.Await("the BACKUP to take over all the same", func() error {
			if role := b.Role(); role != roleMaster {
				return fmt.Errorf("%s is %q", b.Name, role)
			}
			return nil
		})
	}
}

// withinIntervals checks that the time without the VIP is bounded by the site's own
// interval, not by what an advert says. It allows for a slow machine.
func withinIntervals(most int) func(*Site, *Result) error {
	return func(s *Site, r *Result) error {
		r.Allowed = time.Duration(most) * s.Config.Interval
		if bound := 2*r.Allowed + s.Lab.Scaled(5*time.Second); r.None > bound {
			return fmt.Errorf("nobody had the VIP for %v: the advert was believed", r.None)
		}
		return nil
	}
}

// storms are what a rogue sends without end, to nodes of each kind.
func (g *gang) storms() []Fault {
	var all []Fault
	for _, storm := range advertStorms() {
		all = append(all, g.storm("storm-"+storm.name, storm, nil))
	}
	spoofed := advertStorm{"spoofed", "unsigned adverts of priority 255", false, owner(0)}
	f := g.storm("signed-storm", spoofed, signed)
	f.What += "; adverts are signed"
	f.Without = "it cannot sign adverts"
	all = append(all, f)
	f = g.storm("unicast-storm", spoofed, func(c *Config) { c.Unicast = true })
	f.What += "; adverts are unicast"
	return append(all, f)
}

func (g *gang) storm(name string, storm advertStorm, edit func(*Config)) Fault {
	return Fault{
		Name: name, What: "a storm at line rate: " + storm.what, Number: "F16", Quick: storm.quick, Alone: true, Edit: edit,
		Inject: func(s *Site) (func() error, error) {
			r, err := g.rogue(s)
			if err != nil {
				return nil, err
			}
			m, err := s.measureStorm(r, storm)
			if err != nil {
				return nil, err
			}
			g.weather.keep(s, m)
			return m.end, nil
		},
		Hold: pastElection,
		Check: func(s *Site, r *Result) error {
			m := g.weather.of(s)
			r.Remarks = append(r.Remarks, m.String())
			return m.bearable()
		},
		Want: Promise{Lossless: true, KeepsMaster: true},
	}
}

// A measuredStorm is a storm and what the nodes make of it.
type measuredStorm struct {
	*Storm
	site *Site
	ear  *Ear
	// used is the processor time of each node: before, then during the storm.
	used []time.Duration
	// adverts is how many of the MASTER reached the BACKUP, gap the longest between
	// two.
	adverts int
	gap     time.Duration
}

// measureStorm begins a storm.
func (s *Site) measureStorm(r *Rogue, storm advertStorm) (*measuredStorm, error) {
	forgeries, err := storm.forge(r)
	if err != nil {
		return nil, err
	}
	m := &measuredStorm{site: s, used: s.processorTimes()}
	if m.ear, err = listenTo(s.Nodes[1].Host, s.Nodes[0].Address); err != nil {
		return nil, err
	}
	m.Storm = r.Storm(r.Packets(forgeries...))
	return m, nil
}

// processorTimes is what the daemons of each node have used.
func (s *Site) processorTimes() []time.Duration {
	all := make([]time.Duration, len(s.Nodes))
	for i, n := range s.Nodes {
		for _, pid := range n.Processes() {
			all[i] += cpu(pid)
		}
	}
	return all
}

func (m *measuredStorm) end() error {
	err := m.End()
	for i, used := range m.site.processorTimes() {
		m.used[i] = used - m.used[i]
	}
	m.adverts, m.gap = m.ear.Close()
	return err
}

// share is the greatest share of one core that a node used, in percent.
func (m *measuredStorm) share() float64 {
	most := time.Duration(0)
	for _, used := range m.used {
		most = max(most, used)
	}
	return 100 * most.Seconds() / m.took.Seconds()
}

func (m *measuredStorm) String() string {
	return fmt.Sprintf("%.0f packets/s, %.1f %% of a core, %d adverts at most %.2f intervals apart",
		m.Rate(), m.share(), m.adverts, m.gap.Seconds()/m.site.Config.Interval.Seconds())
}

// bearable is an error if the storm cost more than it may. A machine that is too slow
// for a storm says nothing of its cost: what else the daemon does is most of it there.
func (m *measuredStorm) bearable() error {
	const most, fast = 20, 5000
	switch {
	case m.adverts > 0 && m.Rate() < fast:
		return nil
	case m.adverts == 0:
		return errors.New("no advert reached the BACKUP")
	case m.share() > most:
		return fmt.Errorf("the storm cost %.0f %% of a core, more than %d %%", m.share(), most)
	}
	return nil
}
