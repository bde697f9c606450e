package vrrp

import (
	"slices"
	"time"
)

// oneFault has one thing go wrong in peace, and checks what the others make of
// it: there is one MASTER again within Master_Down_Interval and Skew_Time, or all
// the time if the fault was not the MASTER's. Then it is mended, and all is as it
// ought to be.
func (m *model) oneFault() {
	master := m.master()
	if master == nil {
		return
	}
	if len(m.two) == 2 && m.percent(15) {
		m.split()
		return
	}
	others := m.others(master)
	if len(others) == 0 || m.percent(40) {
		m.faultOfBackup(master)
	} else {
		m.faultOfMaster(master)
	}
	heir, bounce := m.master(), m.what == "links down"
	m.what = "after " + m.what
	for _, n := range m.nodes {
		for _, h := range n.members {
			h.down = false
		}
		m.wake(n)
		m.mend(n)
		if !n.members[0].alive {
			m.boot(n, false)
		}
	}
	m.disturbed()
	m.run(m.longest())
	m.quietAfter()
	// Nobody takes the role back without preemption, but from who was MASTER all
	// the time and could not hear.
	if m.base.Preempt || bounce || slices.ContainsFunc(m.hosts, func(h *host) bool { return h.state.Priority == Owner }) {
		return
	}
	if now := m.master(); now != heir {
		m.fail("%s took the role from %s", now.members[0], heir.members[0])
	}
}

// split makes every node MASTER, and then lets them hear each other on the second
// segment only: there is one MASTER on that when patience is over. A MASTER has
// waited for an interval to hear the other, and another one to yield.
func (m *model) split() {
	m.what = "split"
	for _, a := range m.hosts {
		for _, b := range m.hosts {
			m.cut[[2]*host{a, b}] = true
		}
	}
	m.disturbed()
	m.run(2 * m.down())
	for pair := range m.cut {
		if pair[0].segment == 1 {
			delete(m.cut, pair)
		}
	}
	m.run(m.down() + 2*m.base.Interval)
	masters := 0
	for _, h := range m.hosts {
		if h.segment == 1 && m.serves(h) {
			masters++
		}
	}
	if masters != 1 {
		m.fail("%d MASTERs on the second segment", masters)
	}
	m.what = "after split"
	clear(m.cut)
	m.disturbed()
	m.run(m.longest())
	m.quietAfter()
}

// quietAfter is quiet, but for a node that still leaves the other in peace.
func (m *model) quietAfter() {
	for _, n := range m.nodes {
		if slices.ContainsFunc(n.members, func(h *host) bool { return h.state.Yielded }) {
			m.hold(n, false)
		}
	}
	m.run(m.longest())
	m.quiet()
}

// others are the nodes that may take the MASTER's place.
func (m *model) others(master *group) []*group {
	var others []*group
	for _, n := range m.nodes {
		if n != master && n.members[0].alive && !n.members[0].state.Held {
			others = append(others, n)
		}
	}
	return others
}

// faultOfMaster takes the MASTER away: another node takes its place in time.
func (m *model) faultOfMaster(master *group) {
	h := one(m, master.members...)
	switch m.rnd.IntN(8) {
	case 0:
		m.what = "stop"
		m.halt(master)
	case 1:
		m.what = "crash"
		m.kill(master)
	case 2:
		m.what = "fault"
		m.trouble(h)
	case 3:
		m.what = "links down"
		m.each(master, "links down", func(h *host) { h.down = true })
	case 4:
		m.what = "give up"
		m.each(master, m.what, func(h *host) { m.step(h, GiveUp{}) })
	case 5:
		m.what = "freeze"
		m.each(master, m.what, m.freeze)
	case 6:
		m.what = "hold"
		for _, h := range master.members {
			m.step(h, Hold{}) // until it is mended, but not over a restart
		}
	case 7:
		m.what = "goodbye is lost"
		m.loss = 100
		m.each(master, "give up", func(h *host) { m.step(h, GiveUp{}) })
		m.loss = 0
	}
	m.disturbed()
	m.run(m.takeover())
	m.tell("time is up")
	// Where the members contradict each other the successors may have left in a
	// quarrel, which ends a giving up.
	back := m.contradict && !master.members[0].state.Held
	if next := m.master(); next == master && !back {
		m.fail("%s is still MASTER", master.members[0])
	}
	m.run(5 * m.base.Interval)
	if now := m.master(); now == master && !back {
		m.fail("%s is MASTER again", master.members[0])
	}
	if m.what == "hold" {
		m.each(master, "release", func(h *host) { m.step(h, Release{}) })
	}
}

// takeover is how long it may take until there is another MASTER: the longest
// Master_Down_Interval, in which Skew_Time is, and the ways of the adverts. After
// a goodbye it is the longest Skew_Time, which is less than an interval. In a
// group the slowest member decides; nodes whose members disagree about the better
// one may all try, then all but one yield, and Skew_Time passes again for members
// that had followed them.
func (m *model) takeover() time.Duration {
	d := m.down() + 4*m.slowest
	switch m.what {
	case "stop", "fault", "give up", "hold":
		d = m.base.Interval + 4*m.slowest
	}
	if m.grouped {
		d += 2 * m.base.Interval
	}
	return d
}

// faultOfBackup does something to another node than the MASTER, or what a MASTER
// must bear: no other role changes.
func (m *model) faultOfBackup(master *group) {
	n := master
	for n == master {
		n = one(m, m.nodes...)
	}
	m.steady = true
	defer func() { m.steady = false }()
	switch m.rnd.IntN(6) {
	case 0:
		m.what = "backup crashes"
		m.kill(n)
	case 1:
		m.what = "backup is stopped for a while"
		m.each(n, m.what, m.freeze)
		m.run(m.upTo(20 * m.base.Interval))
		m.wake(n)
	case 2:
		m.what = "backup's machine is paused for a while"
		m.each(n, m.what, func(h *host) { h.frozen, h.deafened = true, true })
		m.run(m.upTo(20 * m.base.Interval))
		m.wake(n)
	case 3:
		m.what = "two adverts are lost"
		m.loss = 100
		m.run(2 * m.base.Interval)
		m.loss = 0
	case 4:
		m.what = "clocks jump"
		for _, h := range m.hosts {
			h.jumped = one[int64](m, -86400, -3, 3, 3600)
		}
	case 5:
		m.what = "backup's link is down for a while"
		m.steady = m.base.LinkDownDelay > 0
		m.each(n, m.what, func(h *host) { h.down = true })
		m.run(m.upTo(m.base.LinkDownDelay))
		m.each(n, "link up", func(h *host) { h.down = false })
		m.steady = true
	}
	m.disturbed()
	m.run(5 * m.base.Interval)
	if now := m.master(); now != master {
		m.fail("%s is no longer MASTER", master.members[0])
	}
}
