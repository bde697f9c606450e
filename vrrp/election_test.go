package vrrp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Random histories: routers that start, stop, crash, freeze, fail and recover on
// a LAN that loses adverts and falls apart. Once all is whole again and quiet,
// there is exactly one MASTER, it is one of the best if all preempt, and it
// stays.
func TestOneMaster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim()
		s.latency = time.Millisecond
		version := rapid.SampledFrom([]Version{V2, V3}).Draw(t, "version")
		preempt := rapid.Bool().Draw(t, "preempt")
		sameIntervals := rapid.Bool().Draw(t, "same intervals")
		for i := range rapid.IntRange(2, 5).Draw(t, "routers") {
			c := testConfig(version)
			c.Source = hostAddr(i + 1)
			c.Priority = rapid.SampledFrom([]uint8{1, 99, 100, 100, 101, 254, 255}).Draw(t, "priority")
			c.Preempt = preempt
			c.PreemptDelay = rapid.SampledFrom([]time.Duration{0, 0, 7 * time.Second}).Draw(t, "delay")
			if version == V3 && !sameIntervals {
				c.Interval = rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 4 * time.Second, 30 * time.Second}).Draw(t, "interval")
			}
			s.add("", c)
		}
		history(t, s)
		settle(t, s, preempt)
	})
}

// history does 30 random things, with up to 10s between them.
func history(t *rapid.T, s *sim) {
	islands := make(map[*host]int)
	loss := 0
	s.lost = func(from, to *host) bool {
		return islands[from] != islands[to] || rapid.IntRange(1, 100).Draw(t, "loss") <= loss
	}
	for range 30 {
		h := s.hosts[rapid.IntRange(0, len(s.hosts)-1).Draw(t, "host")]
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0, 1:
			if !h.alive {
				s.start(h, rapid.Bool().Draw(t, "resume"))
			}
		case 2:
			s.stop(h)
		case 3:
			s.crash(h)
		case 4:
			s.freeze(h)
		case 5:
			s.thaw(h)
		case 6:
			s.trouble(h)
		case 7:
			s.mended(h)
		case 8:
			islands[h] = rapid.IntRange(0, 2).Draw(t, "island")
		case 9:
			loss = rapid.SampledFrom([]int{0, 0, 20, 60}).Draw(t, "percent")
		}
		s.run(time.Duration(rapid.IntRange(0, 10000).Draw(t, "ms")) * time.Millisecond)
	}
	s.lost = func(from, to *host) bool { return false }
}

// settle mends everything and waits.
func settle(t *rapid.T, s *sim, preempt bool) {
	best := uint8(0)
	for _, h := range s.hosts {
		s.thaw(h)
		if !h.alive {
			s.start(h, false)
		}
		s.mended(h)
		best = max(best, h.config.Priority)
	}
	s.run(10 * time.Minute)
	s.trace = func(h *host, a Action, _ Role) {
		if b, ok := a.(Become); ok {
			t.Errorf("%v becomes %v after ten quiet minutes: %v", h.config.Source, b.Role, b.Reason)
		}
	}
	s.run(5 * time.Minute)
	m := s.masters()
	if len(m) != 1 {
		t.Fatalf("%d masters", len(m))
	}
	if preempt && m[0].config.Priority != best {
		t.Fatalf("master %v has priority %d, another has %d", m[0].config.Source, m[0].config.Priority, best)
	}
}

// Two routers that each take the other for the loser (here, because they have
// one address) do not answer each other without end.
func TestAssertionsEnd(t *testing.T) {
	for _, tt := range []struct {
		name string
		from [2]byte // the addresses they see of each other
	}{
		{"one address", [2]byte{1, 1}},
		{"both seem lower", [2]byte{0, 0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim()
			sends := 0
			for range 2 {
				c := testConfig(V3)
				c.Source = hostAddr(1)
				s.start(s.add("", c), true)
			}
			s.wire = nil
			s.trace = func(h *host, a Action, _ Role) {
				if _, ok := a.(Send); ok {
					if sends++; sends > 1000 {
						t.Fatal("they never stop")
					}
				}
			}
			for i, h := range s.hosts {
				s.step(h, AdvertReceived{From: hostAddr(int(tt.from[i])), Priority: 100, Interval: time.Second})
			}
			s.run(10 * time.Second)
			if sends > 2*2*11 {
				t.Errorf("%d adverts of two masters in 10s", sends)
			}
		})
	}
}
