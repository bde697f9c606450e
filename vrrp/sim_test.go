package vrrp

import (
	"net/netip"
	"slices"
	"time"
)

// sim runs Step for several hosts on one LAN, in a time of its own. What Router
// does with goroutines, sim does in a loop, in the same order: adverts that have
// arrived before a timer that has run out.
type sim struct {
	now     time.Time
	hosts   []*host
	wire    []delivery // by time of arrival
	latency time.Duration
	lost    func(from, to *host) bool
	trace   func(h *host, a Action, was Role)
}

type host struct {
	name   string
	config Config
	state  State
	alive  bool // the process runs
	frozen bool // it is stopped: nothing happens, adverts queue
	inbox  []AdvertReceived
}

func (h *host) String() string { return h.config.Source.String() }

type delivery struct {
	at time.Time
	to *host
	ev AdvertReceived
}

func newSim() *sim {
	return &sim{
		now:   time.Unix(0, 0),
		lost:  func(from, to *host) bool { return false },
		trace: func(*host, Action, Role) {},
	}
}

func (s *sim) add(name string, c Config) *host {
	h := &host{name: name, config: c}
	s.hosts = append(s.hosts, h)
	return h
}

// start starts a process that knows nothing.
func (s *sim) start(h *host, resume bool) {
	h.state, h.alive, h.frozen, h.inbox = State{}, true, false, nil
	s.step(h, Startup{Resume: resume})
}

func (s *sim) stop(h *host) {
	s.step(h, Shutdown{})
	h.alive = false
}

func (s *sim) crash(h *host) { h.alive = false }

func (s *sim) freeze(h *host) { h.frozen = true }

// thaw serves what has come due meanwhile as Router.timeout does.
func (s *sim) thaw(h *host) {
	h.frozen = false
	queue := h.inbox
	h.inbox = nil
	if !h.alive {
		return
	}
	for _, ev := range queue {
		s.step(h, ev)
	}
	if !h.state.Deadline.IsZero() {
		s.step(h, Timeout{})
	}
}

func (s *sim) step(h *host, ev Event) {
	if !h.alive || h.frozen {
		return
	}
	was := h.state.Role
	next, actions := h.config.Step(h.state, ev, s.now)
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
}

func (s *sim) send(from *host, ev AdvertReceived) {
	for _, to := range s.hosts {
		if to == from || from != nil && s.lost(from, to) {
			continue
		}
		d := delivery{s.now.Add(s.latency), to, ev}
		i, _ := slices.BinarySearchFunc(s.wire, d.at.Add(1), func(w delivery, t time.Time) int { return w.at.Compare(t) })
		s.wire = slices.Insert(s.wire, i, d)
	}
}

// run lets time pass.
func (s *sim) run(d time.Duration) {
	end := s.now.Add(d)
	for {
		h := s.nextTimer()
		switch {
		case len(s.wire) > 0 && !s.wire[0].at.After(end) && (h == nil || !s.wire[0].at.After(h.state.Deadline)):
			d := s.wire[0]
			s.wire = s.wire[1:]
			s.advance(d.at)
			s.arrive(d)
		case h != nil && !h.state.Deadline.After(end):
			s.advance(h.state.Deadline)
			s.step(h, Timeout{})
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
		if first == nil || h.state.Deadline.Before(first.state.Deadline) {
			first = h
		}
	}
	return first
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
