package vrrp

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var (
	modelSeed  = flag.Uint64("model.seed", 0, "tell and check this one history of TestModel")
	modelSteps = flag.Int("model.steps", 1_000_000, "how many steps the histories of TestModel have together")
)

// TestModel plays histories of 2..5 nodes, drawn from a seed each: a chaos on a
// bad network, then peace, then single faults in peace. What holds is checked
// all the time (model.watch), in peace (model.quiet) and after each fault
// (model.oneFault).
//
// A failure names its seed: go test ./vrrp -run TestModel -model.seed=N tells
// that history.
func TestModel(t *testing.T) {
	if *modelSeed != 0 {
		newModel(t, *modelSeed).play()
		return
	}
	steps, seed := 0, uint64(0)
	for steps < *modelSteps && !t.Failed() {
		seed++
		m := newModel(t, seed)
		m.play()
		steps += m.steps
	}
	t.Logf("%d steps in %d histories", steps, seed)
}

// model is one history.
type model struct {
	*sim
	t     *testing.T
	seed  uint64
	rnd   *rand.Rand
	began time.Time
	// base is what the routers have in common.
	base    Config
	nodes   []*group // of one router each, unless grouped
	grouped bool
	// contradict says that the better node is not the same on all segments.
	contradict bool

	// The network: percentages, and the longest time an advert takes.
	loss, double int
	slowest      time.Duration
	cut          map[[2]*host]bool
	// bad is when something last happened that the rule of two MASTERs does
	// not speak of.
	bad  time.Time
	sent map[*host]time.Time // when each sent its last advert as MASTER
	// two is since when each segment has two MASTERs; zero if it has not.
	two    []time.Time
	steady bool // no role may change now
	what   string
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{
		sim: newSim(), t: t, seed: seed, rnd: rand.New(rand.NewPCG(seed, 0)), began: time.Now(),
		cut: make(map[[2]*host]bool), sent: make(map[*host]time.Time),
	}
	m.now, m.bad = m.began, m.began
	m.sim.trace = m.watch
	m.lost = func(from, to *host) bool { return m.cut[[2]*host{from, to}] || m.percent(m.loss) }
	m.twice = func() bool { return m.percent(m.double) }
	m.delay = func() time.Duration { return m.upTo(m.slowest) }
	m.confers = func() time.Duration { return m.upTo(m.base.Interval / 4096) }
	m.base = testConfig(one(m, V2, V3))
	m.base.Interval = time.Second
	if m.base.Version == V3 {
		m.base.Interval = one(m, 10*time.Millisecond, time.Second, 4*time.Second)
	}
	m.base.Preempt = m.percent(70)
	m.base.PreemptDelay = one(m, 0, 0, 5*m.base.Interval)
	m.base.Settle = one(m, 0, 0, 6*m.base.Interval)
	m.base.LinkDownDelay = one(m, 0, 2*m.base.Interval, 9*m.base.Interval)
	m.grouped = m.percent(40)
	m.calm()
	m.populate()
	return m
}

// populate makes the nodes. Priorities are often equal, and in a group may
// contradict each other.
func (m *model) populate() {
	segments := 1
	if m.grouped {
		segments = 2 + m.rnd.IntN(2)
	}
	m.two = make([]time.Time, segments)
	m.contradict = m.grouped && m.percent(50)
	for n := range 2 + m.rnd.IntN(4) {
		g := &group{}
		priority := one[uint8](m, 1, 50, 99, 100, 100, 101, 200, 254, Owner)
		for segment := range segments {
			if segment > 0 && m.contradict {
				priority = one[uint8](m, 1, 50, 100, 200, 254)
			}
			c := m.base
			c.VRID = uint8(segment)
			c.Name = fmt.Sprintf("%c%d", 'a'+n, segment)
			c.Source = hostAddr(10*segment + n + 1)
			c.Priority = priority
			h := m.add(c.Name, c)
			g.members = append(g.members, h)
			if m.grouped {
				h.node = g
			}
		}
		m.nodes = append(m.nodes, g)
		m.boot(g, false)
	}
}

func (m *model) play() {
	defer func() {
		if m.t.Failed() {
			m.t.Logf("replay with -model.seed=%d", m.seed)
		}
	}()
	for range 3 {
		for range 25 {
			m.chaos()
			m.run(m.upTo(one[time.Duration](m, 1, 4, 12) * m.base.Interval))
		}
		m.peace()
		m.quiet()
		for range 6 {
			if !m.t.Failed() {
				m.oneFault()
			}
		}
	}
}

// chaos is one thing that happens.
func (m *model) chaos() {
	n := one(m, m.nodes...)
	h := one(m, n.members...)
	switch m.rnd.IntN(20) {
	case 0, 1:
		if !h.alive {
			m.boot(n, m.percent(30))
		}
	case 2:
		m.halt(n)
	case 3:
		m.kill(n)
	case 4:
		m.each(n, "freeze", m.freeze)
	case 5:
		m.each(n, "pause", func(h *host) { h.frozen, h.deafened = true, true })
	case 6, 7:
		m.wake(n)
	case 8:
		m.tell("%s: fault", h)
		m.trouble(h)
	case 9:
		m.mend(n)
	case 10:
		m.tell("cut what %s sends to some", h)
		for _, to := range m.hosts {
			m.cut[[2]*host{h, to}] = m.percent(50)
		}
	case 11:
		m.tell("join all")
		clear(m.cut)
	case 12:
		m.loss = one(m, 0, 0, 10, 50)
		m.tell("%d%% loss", m.loss)
	case 13:
		m.slowest = one(m, m.base.Interval/2048, m.base.Interval/10, 2*m.base.Interval)
		m.double, m.ordered = one(m, 0, 20), m.percent(30)
		m.tell("delay up to %v, %d%% twice", m.slowest, m.double)
	case 14:
		p := one[uint8](m, 0, 1, 60, 100, 180, 255)
		m.tell("%s: priority %d", h, p)
		m.step(h, SetPriority{p})
	case 15:
		m.tell("%s: link down %v", h, !h.down)
		h.down = !h.down
	case 16:
		m.each(n, "give up", func(h *host) { m.step(h, GiveUp{}) })
	case 17:
		m.hold(n, true)
	case 18:
		m.hold(n, false)
	case 19:
		h.jumped = one[int64](m, -86400, -3, 3, 3600)
		m.tell("%s: clock jumps by %ds", h, h.jumped)
	}
	m.disturbed()
}

// peace mends everything. A part of the nodes may stay held, and priorities as
// they were set.
func (m *model) peace() {
	m.tell("peace")
	m.calm()
	held := m.rnd.IntN(len(m.nodes)) // at least one is not
	keep := m.percent(30)
	for i, n := range m.nodes {
		for _, h := range n.members {
			h.down = false
		}
		m.wake(n)
		m.mend(n)
		if !n.members[0].alive {
			m.boot(n, false)
		}
		if m.hold(n, m.percent(20) && i < held); !keep {
			m.each(n, "priority as configured", func(h *host) { m.step(h, SetPriority{}) })
		}
	}
	m.disturbed()
	m.run(m.longest())
}

// quiet checks peace: on each segment one MASTER, the same node on all; the one
// that ought to be; and nothing changes.
func (m *model) quiet() {
	m.steady = true
	m.run(8 * m.base.Interval)
	m.steady = false
	if master := m.master(); master != nil {
		m.checkPriority(master)
	}
}

// master is the node that is MASTER on all segments. If there is none, or more
// than one MASTER on a segment, the test fails.
func (m *model) master() *group {
	var master *group
	for _, n := range m.nodes {
		count := 0
		for _, h := range n.members {
			if m.serves(h) {
				count++
			}
		}
		switch {
		case count == 0:
		case count < len(n.members):
			m.fail("%s is MASTER on %d segments of %d", n.members[0], count, len(n.members))
		case master != nil:
			m.fail("%s and %s are MASTER", master.members[0], n.members[0])
		default:
			master = n
		}
	}
	if master == nil {
		m.fail("nobody is MASTER")
	}
	return master
}

// serves reports whether h is a MASTER that the network sees.
func (m *model) serves(h *host) bool {
	return h.alive && !h.frozen && !h.down && h.state.Role == Master
}

// checkPriority: no node that may preempt the MASTER is better. A group may if it
// is better on every segment.
func (m *model) checkPriority(master *group) {
	for _, n := range m.nodes {
		better := true
		for i, h := range n.members {
			may := m.base.Preempt || h.state.Priority == Owner
			better = better && may && h.alive && !h.state.Held && h.state.Priority > master.members[i].state.Priority
		}
		if better {
			m.fail("%s is MASTER, %s is better", master.members[0], n.members[0])
		}
	}
}

// watch sees every action.
func (m *model) watch(h *host, a Action, was Role) {
	b, ok := a.(Become)
	if ok {
		m.tell("%s (%d) %v -> %v: %v", h.name, h.state.Priority, was, b.Role, b.Reason)
		if b.Role == Master && h.state.Held {
			m.fail("%s is held, and MASTER", h.name)
		}
		if m.steady {
			m.fail("%s becomes %v in peace: %v", h.name, b.Role, b.Reason)
		}
	}
	if s, ok := a.(Send); ok && s.Priority > 0 {
		if s.Priority != h.state.Priority {
			m.fail("%s sends priority %d, has %d", h.name, s.Priority, h.state.Priority)
		}
		// Others may have taken its place, so it has to listen first.
		if silent := m.now.Sub(m.sent[h]); was == Master && silent > m.down() {
			m.fail("%s sends again after %v", h.name, silent)
		}
		m.sent[h] = m.now
	}
	m.countMasters(h.segment)
}

// countMasters checks how long a whole network has two MASTERs. Each says so at
// least once an interval. The worse of the two hears the better and yields; if
// only the better one hears, it answers at once. So it takes no longer than an
// interval and the way there and back. A node's other members follow a little
// later, when their group has conferred; for more than two MASTERs, or priorities
// that change meanwhile, there is one more interval.
func (m *model) countMasters(segment int) {
	masters := 0
	for _, h := range m.hosts {
		if h.segment == segment && m.serves(h) {
			masters++
		}
	}
	if masters < 2 {
		m.two[segment] = time.Time{}
		return
	}
	if m.two[segment].IsZero() {
		m.two[segment] = m.now
	}
	since := later(m.two[segment], m.bad)
	if d := m.now.Sub(since); d > m.longestTwo() {
		m.fail("%d MASTERs on segment %d for %v", masters, segment, d)
	}
}

func (m *model) longestTwo() time.Duration {
	return 2*m.base.Interval + 3*m.slowest
}

// disturbed notes that something happened; all is well only if the network is.
func (m *model) disturbed() {
	m.bad = m.now
	whole := m.loss == 0 && len(m.cut) == 0 && m.slowest < m.base.Interval
	for _, h := range m.hosts {
		whole = whole && !h.frozen && !h.down
	}
	if !whole {
		m.bad = m.now.Add(time.Hour * 1000)
	}
	for segment := range m.two {
		m.countMasters(segment)
	}
}

// calm is a network that RFC 5798's timers fit: the way takes less than the
// least Skew_Time, and what one sends arrives in order.
func (m *model) calm() {
	m.loss, m.double, m.slowest, m.ordered = 0, 0, m.base.Interval/2048, true
	clear(m.cut)
}

// down is the longest Master_Down_Interval of any priority.
func (m *model) down() time.Duration { return m.base.Version.MasterDownInterval(1, m.base.Interval) }

// longest is how long it takes until all is as it ought to be.
func (m *model) longest() time.Duration {
	return m.base.Settle + m.base.PreemptDelay + m.base.LinkDownDelay + 6*m.down()
}

func (m *model) percent(p int) bool { return p > 0 && m.rnd.IntN(100) < p }

func (m *model) upTo(d time.Duration) time.Duration { return time.Duration(m.rnd.Int64N(int64(d) + 1)) }

func one[T any](m *model, all ...T) T { return all[m.rnd.IntN(len(all))] }

func (m *model) each(n *group, what string, do func(*host)) {
	m.tell("%s: %s", n.members[0], what)
	for _, h := range n.members {
		do(h)
	}
}

func (m *model) boot(n *group, resume bool) {
	m.each(n, "start", func(h *host) { m.start(h, resume) })
}

func (m *model) halt(n *group) { m.each(n, "stop", m.stop) }

func (m *model) kill(n *group) { m.each(n, "crash", m.crash) }

func (m *model) mend(n *group) { m.each(n, "mended", m.mended) }

func (m *model) wake(n *group) { m.each(n, "thaw", m.thaw) }

func (m *model) hold(n *group, held bool) {
	m.each(n, fmt.Sprint("held ", held), func(h *host) {
		h.hold = held
		if held {
			m.step(h, Hold{})
		} else {
			m.step(h, Release{})
		}
	})
}

func (m *model) tell(format string, args ...any) {
	if *modelSeed != 0 {
		m.t.Logf("%-12v %s", m.now.Sub(m.began), fmt.Sprintf(format, args...))
	}
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	if !m.t.Failed() {
		m.t.Errorf("%v, seed %d: %s: %s", m.now.Sub(m.began), m.seed, m.what, fmt.Sprintf(format, args...))
	}
}
