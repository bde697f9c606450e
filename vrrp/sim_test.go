package vrrp

import (
	"net/netip"
	"slices"
	"time"
	"unsafe"
)

// sim runs Step for several hosts on LANs, in a time of its own. What Router
// does with goroutines, sim does in a loop, in the same order: adverts that have
// arrived before a timer that has run out.
type sim struct {
	now     time.Time
	hosts   []*host
	wire    []delivery // by time of arrival
	latency time.Duration
	lost    func(from, to *host) bool
	// delay, unless nil, is how long an advert takes instead of latency; and
	// confers how long it takes a member to look at what its group says.
	delay, confers func() time.Duration
	ordered        bool        // adverts do not overtake each other
	twice          func() bool // whether an advert arrives a second time
	trace          func(h *host, a Action, was Role)
	steps          int
}

// host is one virtual router.
type host struct {
	name    string
	segment int
	config  Config
	state   State
	alive   bool // the process runs
	frozen  bool // it is stopped: nothing happens, adverts queue
	inbox   []AdvertReceived
	// deafened says that they do not: the machine is stopped.
	deafened bool
	hold     bool // RouterConfig.Hold
	fault    bool // it has a fault of its own

	down      bool // its interface
	downSince time.Time

	// node is its sync group, or nil; the others are what Router and SyncGroup
	// keep of it.
	node    *group
	wish    wish
	verdict verdict

	jumped int64 // seconds that its clock of the day was set forward
}

// group is a sync group: the hosts of one node, in one process.
type group struct{ members []*host }

func (h *host) String() string { return h.name }

// delivery is an advert on its way, or a verdict of the host's group.
type delivery struct {
	at   time.Time
	to   *host
	ev   AdvertReceived
	obey bool
}

func newSim() *sim {
	return &sim{
		now:     time.Unix(0, 0),
		lost:    func(from, to *host) bool { return false },
		confers: func() time.Duration { return 0 },
		trace:   func(*host, Action, Role) {},
	}
}

func (s *sim) add(name string, c Config) *host {
	h := &host{name: name, config: c, segment: int(c.VRID)}
	s.hosts = append(s.hosts, h)
	return h
}

// start starts a process that knows nothing.
func (s *sim) start(h *host, resume bool) {
	h.alive, h.frozen, h.deafened, h.inbox, h.fault = true, false, false, nil, false
	h.downSince = time.Time{}
	h.state = State{Held: h.hold}
	h.verdict = verdict{Grouped: Grouped{Member: h.node != nil, Decides: true}}
	if h.node != nil {
		s.step(h, Grouped{Member: true, Decides: true})
	}
	s.step(h, Startup{Resume: resume})
}

func (s *sim) stop(h *host) {
	s.step(h, Shutdown{})
	s.crash(h)
}

func (s *sim) crash(h *host) {
	h.alive = false
	h.wish = wish{id: memberID{vrid: h.config.VRID, name: h.config.Name}}
}

func (s *sim) freeze(h *host) { h.frozen = true }

// thaw serves what has come due meanwhile as Router.timeout does.
func (s *sim) thaw(h *host) {
	if !h.frozen {
		return
	}
	h.frozen, h.deafened = false, false
	queue := h.inbox
	h.inbox = nil
	if !h.alive {
		return
	}
	for _, ev := range queue {
		s.step(h, ev)
	}
	if !h.state.Deadline.IsZero() && !s.now.Before(h.state.Wake()) {
		s.serve(h)
	}
	s.obey(h)
}

// trouble is a fault of the host's own, mended its end.
func (s *sim) trouble(h *host) {
	h.fault = true
	s.step(h, Trouble{})
}

func (s *sim) mended(h *host) {
	if h.down {
		return
	}
	h.fault = false
	if h.verdict.fault == "" {
		s.step(h, Recover{})
	}
	s.report(h)
}

// serve is Router.timeout.
func (s *sim) serve(h *host) {
	deaf := !h.downSince.IsZero()
	switch {
	case !h.down:
		h.downSince = time.Time{}
	case deaf && s.now.Sub(h.downSince) >= h.config.LinkDownDelay:
		s.trouble(h)
		return
	case !deaf:
		h.downSince, deaf = s.now, true
	}
	s.step(h, Timeout{Deaf: deaf})
}

func (s *sim) step(h *host, ev Event) {
	if !h.alive || h.frozen {
		return
	}
	s.steps++
	was := h.state.Role
	next, actions := h.config.Step(h.state, ev, s.clock(h))
	h.state = next
	for _, a := range actions {
		s.trace(h, a, was)
		switch a := a.(type) {
		case Send:
			s.send(h, AdvertReceived{From: h.config.Source, Priority: a.Priority, Interval: h.config.Interval})
		case Become:
			was = a.Role
		}
	}
	s.report(h)
}

// report and obey are those of Router.
func (s *sim) report(h *host) {
	if h.node == nil {
		return
	}
	fault := ""
	if h.fault {
		fault = "broken"
	}
	w := h.config.wishOf(h.state, fault, s.clock(h))
	if w == h.wish {
		return
	}
	h.wish = w
	wishes := make([]wish, 0, len(h.node.members))
	for _, m := range h.node.members {
		wishes = append(wishes, m.wish)
	}
	council := gather(wishes)
	for _, m := range h.node.members {
		if v := council.verdict(m.wish); v != m.verdict {
			m.verdict = v
			s.insert(delivery{at: s.now.Add(s.confers()), to: m, obey: true})
		}
	}
}

func (s *sim) obey(h *host) {
	v := h.verdict
	if h.node == nil || !h.alive || h.frozen {
		return
	}
	if v.Grouped != (Grouped{h.state.Grouped, h.state.Decides}) {
		s.step(h, v.Grouped)
	}
	switch {
	case v.fault != "":
		s.step(h, Trouble{})
	case h.state.Role == Fault && !h.fault:
		s.step(h, Recover{})
	case v.demote != "" && h.state.Role == Master:
		s.step(h, Demote{})
	case v.permit && h.state.Want && !h.down:
		s.step(h, Permit{})
	}
}

// clock is the host's.
func (s *sim) clock(h *host) time.Time {
	if h.jumped == 0 {
		return s.now
	}
	return jump(s.now, h.jumped)
}

func (s *sim) send(from *host, ev AdvertReceived) {
	for _, to := range s.hosts {
		if to == from || from != nil && (from.down || from.segment != to.segment || s.lost(from, to)) {
			continue
		}
		latency := s.latency
		if s.delay != nil {
			latency = s.delay()
		}
		s.insert(delivery{at: s.now.Add(latency), to: to, ev: ev})
		if s.twice != nil && s.twice() {
			s.insert(delivery{at: s.now.Add(s.delay()), to: to, ev: ev})
		}
	}
}

func (s *sim) insert(d delivery) {
	if s.ordered && !d.obey {
		for _, w := range s.wire {
			if w.to == d.to && !w.obey && w.ev.From == d.ev.From {
				d.at = later(d.at, w.at)
			}
		}
	}
	i := len(s.wire)
	for i > 0 && s.wire[i-1].at.After(d.at) {
		i--
	}
	s.wire = slices.Insert(s.wire, i, d)
}

// run lets time pass.
func (s *sim) run(d time.Duration) {
	end := s.now.Add(d)
	for {
		h := s.nextTimer()
		switch {
		case len(s.wire) > 0 && !s.wire[0].at.After(end) && (h == nil || !s.wire[0].at.After(s.due(h))):
			d := s.wire[0]
			s.wire = slices.Delete(s.wire, 0, 1)
			s.advance(d.at)
			s.arrive(d)
		case h != nil && !s.due(h).After(end):
			s.advance(s.due(h))
			s.serve(h)
		default:
			s.now = end
			return
		}
	}
}

func (s *sim) advance(t time.Time) {
	if t.After(s.now) {
		s.now = t
	}
}

func (s *sim) arrive(d delivery) {
	switch {
	case !d.to.alive:
	case d.obey:
		s.obey(d.to)
	case d.to.down:
	case d.to.deafened:
	case d.to.frozen:
		d.to.inbox = append(d.to.inbox, d.ev)
	default:
		s.step(d.to, d.ev)
	}
}

// nextTimer is the host whose timer runs out first, or nil.
func (s *sim) nextTimer() *host {
	var first *host
	for _, h := range s.hosts {
		if !h.alive || h.frozen || h.state.Deadline.IsZero() {
			continue
		}
		if first == nil || s.due(h).Before(s.due(first)) {
			first = h
		}
	}
	return first
}

// due is Router.wakeAt, of a host that has a timer.
func (s *sim) due(h *host) time.Time {
	wake := h.state.Wake()
	if !h.downSince.IsZero() {
		wake = earlier(wake, h.downSince.Add(h.config.LinkDownDelay))
	}
	return wake
}

func (s *sim) masters() []*host {
	var m []*host
	for _, h := range s.hosts {
		if h.alive && h.state.Role == Master {
			m = append(m, h)
		}
	}
	return m
}

func hostAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

// jump is t, which has a monotonic reading, as a host sees it whose clock of the
// day was set forward: only the wall clock's seconds differ, see package time.
func jump(t time.Time, seconds int64) time.Time {
	*(*uint64)(unsafe.Pointer(&t)) += uint64(seconds) << 30
	return t
}
