package vrrp

import (
	"testing"
	"time"
)

// Nothing from outside makes Step panic or break what always holds.
func FuzzStep(f *testing.F) {
	f.Add(uint8(3), uint8(100), true, []byte{0, 0, 2, 40, 3, 255, 3, 0, 2, 9})
	f.Add(uint8(2), uint8(255), false, []byte{1, 0, 3, 254, 4, 0, 5, 0, 6, 9, 7, 1})
	f.Add(uint8(3), uint8(100), true, []byte{11, 1, 0, 0, 2, 250, 2, 250, 12, 1, 13, 0, 2, 250, 12, 1, 8, 1, 9, 0, 10, 0, 11, 2})
	f.Fuzz(func(t *testing.T, version, priority uint8, preempt bool, events []byte) {
		c := testConfig(V3)
		if version == 2 {
			c.Version = V2
		}
		c.Priority, c.Preempt = max(priority, 1), preempt
		var s State
		now := time.Unix(1000, 0)
		for ; len(events) >= 2; events = events[2:] {
			ev := fuzzEvent(events[0], events[1])
			now = now.Add(time.Duration(events[1]) * 20 * time.Millisecond)
			was := s.Role
			var actions []Action
			s, actions = c.Step(s, ev, now)
			checkStep(t, c, was, s, actions, now)
		}
	})
}

func fuzzEvent(kind, value byte) Event {
	switch kind % 15 {
	case 0:
		return Startup{Resume: value%2 == 1}
	case 1:
		return Shutdown{}
	case 2, 3:
		return Timeout{}
	case 4:
		return Trouble{}
	case 5:
		return Recover{}
	case 6:
		return SetPriority{value}
	case 7:
		old := testConfig(V3)
		old.Priority = max(value, 1)
		return Reconfigured{Old: old}
	case 8:
		return GiveUp{}
	case 9:
		return Hold{}
	case 10:
		return Release{}
	case 11:
		return Grouped{Member: value%2 == 1, Decides: value%4 > 1}
	case 12:
		return Permit{}
	case 13:
		return Demote{}
	}
	return AdvertReceived{From: hostAddr(int(kind) % 3), Priority: value, Interval: time.Duration(kind) * 10 * time.Millisecond}
}

// checkStep is what holds after every step, whatever the event.
func checkStep(t *testing.T, c Config, was Role, s State, actions []Action, now time.Time) {
	t.Helper()
	running := s.Role == Backup || s.Role == Master
	if s.Deadline.IsZero() == running {
		t.Fatalf("%v with deadline %v", s.Role, s.Deadline)
	}
	if s.Role == Master && s.Held || s.Role != Backup && s.Want {
		t.Fatalf("%v, held %v, wants %v", s.Role, s.Held, s.Want)
	}
	if running && (s.Priority == 0 || s.MasterInterval <= 0) {
		t.Fatalf("%v with priority %d, interval %v", s.Role, s.Priority, s.MasterInterval)
	}
	if s.Role == Master && s.Deadline.After(now.Add(c.Interval)) {
		t.Fatalf("the next advert is %v away", s.Deadline.Sub(now))
	}
	role := was
	for i, a := range actions {
		switch a := a.(type) {
		case Send:
			if role != Master && !becomesMaster(actions[i+1:]) {
				t.Fatalf("%v sends: %v", role, actions)
			}
			if a.Priority == 0 && s.Role == Master {
				t.Fatal("goodbye, but master")
			}
		case Become:
			if a.Role == role {
				t.Fatalf("%v becomes the same", role)
			}
			role = a.Role
		}
	}
	if role != s.Role {
		t.Fatalf("%v, but the last Become says %v", s.Role, role)
	}
}

func becomesMaster(actions []Action) bool {
	if len(actions) == 0 {
		return false
	}
	b, ok := actions[0].(Become)
	return ok && b.Role == Master
}

// An advert costs a BACKUP no allocation.
func TestStepAllocates(t *testing.T) {
	c, s, ev, now := backupForBenchmark()
	if n := testing.AllocsPerRun(100, func() { s, _ = c.Step(s, ev, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkStep(b *testing.B) {
	c, s, ev, now := backupForBenchmark()
	b.ReportAllocs()
	for b.Loop() {
		s, _ = c.Step(s, ev, now)
	}
}

func backupForBenchmark() (Config, State, AdvertReceived, time.Time) {
	c := testConfig(V3)
	now := time.Unix(100, 0)
	s, _ := c.Step(State{}, Startup{}, now)
	return c, s, AdvertReceived{From: hostAddr(2), Priority: 150, Interval: time.Second}, now
}
