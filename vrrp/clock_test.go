package vrrp

import (
	"testing"
	"time"
)

// Clocks of the day that are set, by hours and every second, change nothing: all
// is measured with monotonic readings.
func TestClockJumps(t *testing.T) {
	s := newSim()
	s.now = time.Now()
	a, b := testConfig(V3), testConfig(V3)
	a.Source, a.Priority = hostAddr(1), 200
	b.Source = hostAddr(2)
	s.start(s.add("a", a), false)
	s.start(s.add("b", b), false)
	changes := 0
	s.trace = func(_ *host, a Action, _ Role) {
		if _, ok := a.(Become); ok {
			changes++
		}
	}
	for i := range 600 {
		for n, h := range s.hosts {
			h.jumped = int64((i*7919+n*104729)%200_000 - 100_000)
		}
		s.run(100 * time.Millisecond)
	}
	if m := s.masters(); len(m) != 1 || m[0].name != "a" || changes != 1 {
		t.Errorf("%v are MASTER after %d changes", m, changes)
	}
}

// jump does what it says.
func TestJump(t *testing.T) {
	now := time.Now()
	later := jump(now, 3600)
	if later.Sub(now) != 0 || later.Unix()-now.Unix() != 3600 {
		t.Errorf("%v to %v", now, later)
	}
}
