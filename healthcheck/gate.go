package healthcheck

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Limits are the bounds of a Pool.
type Limits struct {
	// Concurrency bounds the probes in flight, PerHost those to one address.
	// More are delayed, never failed: a probe's timeout starts when it does. 0
	// is the default. Concurrency is at most what the limit of file descriptors
	// (RLIMIT_NOFILE) leaves, less a reserve for the rest of this process.
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
// none, it stays a reserve below the probes that are in flight, for a recess, and
// then tries some more each second.
//
// Probes that do more than connect compete for the CPU, and too many at once time
// out for each other's sake. When one of them runs late, half as many as are in
// flight may be, and an eighth more each second after that, at most as many as
// Concurrency says.
type gate struct {
	limits      Limits
	descriptors int // the limit of this process; 0 is not known
	flying      int // probes in flight
	dialogues   int // those of them that do more than connect
	hosts       map[netip.Addr]host

	// connecting and talking have room at their addresses: those that only
	// connect and the others. crowded is how many have none.
	connecting, talking queue
	crowded             int

	short bottleneck // of descriptors
	slow  bottleneck // of CPU time, for dialogues

	looked time.Time // when delay last did
}

// host is the part of the gate that is one address's.
type host struct {
	admitted int // has room or is in flight
	waiting  queue
}

const (
	// recess is how long a gate without descriptors waits before it tries more.
	recess = 10 * time.Second
	// breather is that of one whose dialogues ran late. So many of them it
	// always lets begin: a host that others keep busy must still find out who is
	// dead.
	breather       = time.Second
	leastDialogues = 64
)

// enter queues c, whose probe is due.
func (g *gate) enter(c *check) {
	h := g.hosts[c.address()]
	if h.admitted < g.perHost() {
		h.admitted++
		g.queue(c).push(c)
	} else {
		g.crowded++
		h.waiting.push(c)
	}
	g.hosts[c.address()] = h
}

// queue is where c waits once there is room at its address.
func (g *gate) queue(c *check) *queue {
	if c.dialogue {
		return &g.talking
	}
	return &g.connecting
}

// next takes out whose probe may begin; nil is none.
func (g *gate) next(now time.Time) *check {
	for q := g.turn(now); q != nil; q = g.turn(now) {
		c := q.pop()
		g.count(c, 1)
		if !c.removed {
			return c
		}
		g.leave(c)
	}
	return nil
}

// open reports whether next has something to take.
func (g *gate) open(now time.Time) bool { return g.turn(now) != nil }

// turn is the queue whose first may begin: that which waits for longer.
func (g *gate) turn(now time.Time) *queue {
	if g.flying >= min(g.concurrency(), g.short.allows(now)) {
		return nil
	}
	talk := !g.talking.empty() && g.dialogues < g.slow.allows(now)
	switch {
	case talk && (g.connecting.empty() || g.talking.first.at.Before(g.connecting.first.at)):
		return &g.talking
	case !g.connecting.empty():
		return &g.connecting
	}
	return nil
}

// concurrency is how many probes may be in flight while this host has all that
// they need.
func (g *gate) concurrency() int {
	limit := g.configured()
	if g.descriptors > 0 {
		limit = min(limit, max(1, g.descriptors-reserve(g.descriptors)))
	}
	return limit
}

// configured is how many probes may be in flight by the file.
func (g *gate) configured() int { return cmp.Or(max(0, g.limits.Concurrency), DefaultConcurrency) }

// count counts c n times among those in flight.
func (g *gate) count(c *check, n int) {
	g.flying += n
	if c.dialogue {
		g.dialogues += n
	}
}

// leave makes room: the probe of c is over.
func (g *gate) leave(c *check) {
	g.count(c, -1)
	h := g.hosts[c.address()]
	h.admitted--
	for h.admitted < g.perHost() && !h.waiting.empty() {
		h.admitted++
		g.crowded--
		released := h.waiting.pop()
		g.queue(released).push(released)
	}
	g.hosts[c.address()] = h
	if h.admitted == 0 {
		delete(g.hosts, c.address())
	}
}

// putOff takes c back, whose probe found no descriptor, before all others. Where
// the probes in flight are few, it is others who took the descriptors, and a
// recess of the probes would not help.
func (g *gate) putOff(c *check, now time.Time) {
	g.count(c, -1)
	g.queue(c).pushFirst(c)
	pause := recess
	if g.flying < reserve(g.descriptors) {
		pause = heartbeat
	}
	g.short = bottleneck{at: now, found: g.flying, room: g.flying - reserve(g.flying), pause: pause}
}

// narrow notes that a dialogue that began then ran late. What one did that began
// before the last time says nothing new.
func (g *gate) narrow(began, now time.Time) {
	if !began.Before(g.slow.at) {
		g.slow = bottleneck{at: now, found: g.dialogues, room: max(leastDialogues, g.dialogues/2), pause: breather}
	}
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
	drain(&g.connecting)
	drain(&g.talking)
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

func (g *gate) waiting() int { return g.connecting.length + g.talking.length + g.crowded }

// patience is how long a probe waits before it is worth a notice.
const patience = time.Second

// delay says in what way probes are delayed; empty if they are not, or if it was
// asked less than a heartbeat ago: it may have to walk all addresses.
func (g *gate) delay(now time.Time) string {
	if now.Sub(g.looked) < heartbeat {
		return ""
	}
	g.looked = now
	long := func(q queue) bool { return !q.empty() && now.Sub(q.first.at) >= patience }
	switch {
	case !g.short.at.IsZero() && now.Sub(g.short.at) < recess:
		return g.shortage()
	case long(g.connecting) || long(g.talking):
		return g.bound(now)
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

// shortage says that descriptors are short.
func (g *gate) shortage() string {
	return fmt.Sprintf("no file descriptors left, the limit is %d: %d probes in flight, %d wait",
		g.descriptors, g.flying, g.waiting())
}

// bound says why those that have room at their address wait.
func (g *gate) bound(now time.Time) string {
	limit, why := g.configured(), ""
	switch {
	case g.flying < min(g.concurrency(), g.short.allows(now)):
		limit, why = g.slow.allows(now), " but to connect, as this host is busy"
	case g.short.allows(now) < g.concurrency():
		return g.shortage()
	case g.concurrency() < limit:
		limit, why = g.concurrency(), fmt.Sprintf(" with %d file descriptors", g.descriptors)
	}
	return fmt.Sprintf("%d probes in flight, no more than %d are allowed%s: %d wait", g.flying, limit, why, g.waiting())
}
