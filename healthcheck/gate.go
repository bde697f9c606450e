package healthcheck

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Limits are the bounds of a Pool.
type Limits struct {
	// Concurrency bounds the probes in flight, PerHost those to one address.
	// More are delayed, never failed: a probe's timeout starts when it does. 0
	// is the default.
	Concurrency, PerHost int
	OwnFault             OwnFault
}

// OwnFault is when failures are rather this host's fault than the servers'.
type OwnFault struct {
	// Percent, 1..100: when so many of the checks whose verdict is up began to
	// fail together, no verdict goes down. 0 is never.
	Percent int
	// Minimum is how many checks there must be.
	Minimum int
	// Hold bounds how long verdicts are held; after that they count. 0 has no
	// bound.
	Hold time.Duration
}

// The defaults of Limits.
const (
	DefaultConcurrency = 4096
	DefaultPerHost     = 64
)

// gate lets probes begin, first come, first served, as far as there is room: in
// total, at their target's address, and while this host is short of
// descriptors. A probe without room at its address leaves its turn to the
// others.
//
// How many descriptors others leave to it, the gate finds out: when there is
// none, there is room for as many probes as are in flight, and for twice as many
// after each recess in which it did not happen again.
type gate struct {
	limits  Limits
	flying  int   // probes in flight
	ready   queue // has room at its address
	crowded int   // how many have not
	hosts   map[netip.Addr]host

	// short is when there was last no descriptor, and room for how many probes
	// there was then.
	short time.Time
	room  int
}

// host is the part of the gate that is one address's.
type host struct {
	admitted int // ready or in flight
	waiting  queue
}

// recess is how long a gate without descriptors waits before it tries more;
// after so many recesses it is no longer short of them.
const (
	recess   = 100 * time.Millisecond
	recesses = 20
)

// enter queues c, whose probe is due.
func (g *gate) enter(c *check) {
	h := g.hosts[c.address()]
	if h.admitted < g.perHost() {
		h.admitted++
		g.ready.push(c)
	} else {
		g.crowded++
		h.waiting.push(c)
	}
	g.hosts[c.address()] = h
}

// next takes out whose probe may begin; nil is none.
func (g *gate) next(now time.Time) *check {
	for g.open(now) {
		c := g.ready.pop()
		g.flying++
		if !c.removed {
			return c
		}
		g.leave(c)
	}
	return nil
}

// open reports whether next has something to take.
func (g *gate) open(now time.Time) bool {
	limit := cmp.Or(max(0, g.limits.Concurrency), DefaultConcurrency)
	if n := max(0, min(now.Sub(g.short)/recess, recesses)); n == 0 {
		limit = min(limit, g.room)
	} else {
		limit = min(limit, (g.room+1)<<(n-1))
	}
	return !g.ready.empty() && g.flying < limit
}

// leave makes room: the probe of c is over.
func (g *gate) leave(c *check) {
	g.flying--
	h := g.hosts[c.address()]
	h.admitted--
	for h.admitted < g.perHost() && !h.waiting.empty() {
		h.admitted++
		g.crowded--
		g.ready.push(h.waiting.pop())
	}
	g.hosts[c.address()] = h
	if h.admitted == 0 {
		delete(g.hosts, c.address())
	}
}

// putOff takes c back, whose probe found no descriptor, before all others.
func (g *gate) putOff(c *check, now time.Time) {
	g.flying--
	g.ready.pushFirst(c)
	g.short, g.room = now, g.flying
}

// setLimits changes the limits, also for those that wait.
func (g *gate) setLimits(l Limits) {
	g.limits = l
	var waiting []*check
	drain := func(q *queue) {
		for !q.empty() {
			waiting = append(waiting, q.pop())
		}
	}
	drain(&g.ready)
	for _, c := range waiting {
		h := g.hosts[c.address()]
		h.admitted--
		g.hosts[c.address()] = h
	}
	for address, h := range g.hosts {
		drain(&h.waiting)
		g.hosts[address] = h
	}
	g.crowded = 0
	slices.SortFunc(waiting, func(a, b *check) int { return a.at.Compare(b.at) })
	for _, c := range waiting {
		g.enter(c)
	}
}

func (g *gate) perHost() int { return cmp.Or(max(0, g.limits.PerHost), DefaultPerHost) }

func (g *gate) waiting() int { return g.ready.length + g.crowded }

// patience is how long a probe waits before it is worth a notice.
const patience = time.Second

// delay says in what way probes are delayed; empty if they are not.
func (g *gate) delay(now time.Time) string {
	long := func(q queue) bool { return !q.empty() && now.Sub(q.first.at) >= patience }
	switch {
	case now.Sub(g.short) < recesses*recess:
		return fmt.Sprintf("no file descriptors left, the limit is %s: %d probes wait", descriptors(), g.waiting())
	case long(g.ready):
		return fmt.Sprintf("%d probes in flight, no more are allowed: %d wait", g.flying, g.waiting())
	case g.crowded == 0:
		return ""
	}
	for address, h := range g.hosts {
		if long(h.waiting) {
			return fmt.Sprintf("%d probes in flight to %s, no more are allowed: %d wait",
				h.admitted, address, h.waiting.length)
		}
	}
	return ""
}

// descriptors is how many this process may have.
func descriptors() string {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return "unknown"
	}
	return fmt.Sprint(limit.Cur)
}

// queue is checks in a row, each the next of the one before; a check is in one
// at most.
type queue struct {
	first, last *check
	length      int
}

func (q *queue) empty() bool { return q.first == nil }

func (q *queue) push(c *check) {
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	q.length++
}

func (q *queue) pushFirst(c *check) {
	c.next, q.first = q.first, c
	if q.last == nil {
		q.last = c
	}
	q.length++
}

func (q *queue) pop() *check {
	c := q.first
	q.first, c.next = c.next, nil
	if q.first == nil {
		q.last = nil
	}
	q.length--
	return c
}
