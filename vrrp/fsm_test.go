package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	v2Skew100 = 609375 * time.Microsecond  // (256-100)/256 s
	v2Down100 = 3609375 * time.Microsecond // 3*1s + that
)

// The values of Skew_Time and Master_Down_Interval, to the nanosecond.
func TestTimers(t *testing.T) {
	for _, tt := range []struct {
		v              Version
		priority       uint8
		interval       time.Duration
		skew, deadTime time.Duration
	}{
		{V2, 255, time.Second, 3906250, 3003906250},
		{V2, 254, time.Second, 7812500, 3007812500},
		{V2, 150, time.Second, 414062500, 3414062500},
		{V2, 100, time.Second, 609375000, 3609375000},
		{V2, 1, time.Second, 996093750, 3996093750},
		{V2, 100, 3 * time.Second, 609375000, 9609375000}, // skew does not grow with the interval
		{V3, 255, time.Second, 3906250, 3003906250},
		{V3, 100, time.Second, 609375000, 3609375000},
		{V3, 100, 3 * time.Second, 1828125000, 10828125000}, // here it does
		{V3, 255, 250 * time.Millisecond, 976562, 750976562},
		{V3, 150, 250 * time.Millisecond, 103515625, 853515625},
		{V3, 100, 250 * time.Millisecond, 152343750, 902343750},
		{V3, 254, 10 * time.Millisecond, 78125, 30078125}, // centiseconds would round this to nothing
		{V3, 1, 40950 * time.Millisecond, 40790039062, 163640039062},
	} {
		if got := tt.v.SkewTime(tt.priority, tt.interval); got != tt.skew {
			t.Errorf("v%d priority %d every %v: Skew_Time %d, want %d", tt.v, tt.priority, tt.interval, got, tt.skew)
		}
		if got := tt.v.MasterDownInterval(tt.priority, tt.interval); got != tt.deadTime {
			t.Errorf("v%d priority %d every %v: Master_Down_Interval %d, want %d", tt.v, tt.priority, tt.interval, got, tt.deadTime)
		}
	}
}

var compareTime = cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })

// Every step of the RFC, and of what is added to it. The router has address
// .5, priority 100 and an interval of 1s; the time is t0 = 100s.
func TestStep(t *testing.T) {
	t0 := time.Unix(100, 0)
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	peer := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, last}) }
	base := func() Config {
		c := testConfig(V3)
		c.Source = peer(5)
		return c
	}
	backup := State{
		Role: Backup, Deadline: at(3 * time.Second), Priority: 100,
		MasterInterval: time.Second, Expect: ReasonMasterDown,
	}
	master := State{Role: Master, Deadline: at(400 * time.Millisecond), Priority: 100, MasterInterval: time.Second}
	fault := State{Role: Fault, Priority: 100}
	with := func(s State, f func(*State)) State { f(&s); return s }
	hears := func(from byte, priority uint8) AdvertReceived {
		return AdvertReceived{From: peer(from), Priority: priority, Interval: time.Second}
	}
	knows := func(s *State, from byte, priority uint8) {
		s.MasterAddress, s.MasterPriority, s.Heard = peer(from), priority, t0
	}

	tests := []struct {
		name    string
		config  func(*Config)
		state   State
		event   Event
		want    State
		actions []Action
	}{
		{
			name: "(155)-(165) startup", state: State{}, event: Startup{},
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100) }),
			actions: []Action{Become{Backup, ReasonStarted}},
		},
		{
			name: "(105)-(145) startup of the owner", config: func(c *Config) { c.Priority = Owner }, event: Startup{},
			want:    State{Role: Master, Deadline: at(time.Second), Priority: 255, MasterInterval: time.Second},
			actions: []Action{Send{255}, Become{Master, ReasonStarted}},
		},
		{
			name: "startup of one that was master", event: Startup{Resume: true},
			want:    State{Role: Master, Deadline: at(time.Second), Priority: 100, MasterInterval: time.Second},
			actions: []Action{Send{100}, Become{Master, ReasonResumed}},
		},
		{
			name: "startup with a priority given before", state: State{Priority: 50}, event: Startup{},
			want: State{
				Role: Backup, Deadline: at(3*time.Second + 206*time.Second/256), Priority: 50,
				MasterInterval: time.Second, Expect: ReasonMasterDown,
			},
			actions: []Action{Become{Backup, ReasonStarted}},
		},
		{name: "startup twice", state: backup, event: Startup{Resume: true}, want: backup},
		{name: "startup in fault", state: fault, event: Startup{Resume: true}, want: fault},
		{name: "shutdown before startup", event: Shutdown{}},
		{name: "advert before startup", event: hears(9, 255)},
		{name: "timeout before startup", event: Timeout{}},

		{
			name: "(350)-(355) backup: shutdown without a word", state: backup, event: Shutdown{},
			actions: []Action{Become{Initialize, ReasonStopped}},
		},
		{name: "backup: timer not yet out", state: backup, event: Timeout{}, want: backup},
		{
			name: "(370)-(410) backup: timer out", event: Timeout{},
			state:   with(backup, func(s *State) { s.Deadline = t0 }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}, Become{Master, ReasonMasterDown}},
		},
		{
			name: "(430) backup: priority 0", event: hears(9, 0), state: backup,
			want: with(backup, func(s *State) { s.Deadline, s.Expect = at(v2Skew100), ReasonMasterLeft }),
		},
		{
			name: "(430) backup: priority 0 of the master it knew", event: hears(9, 0),
			state: with(backup, func(s *State) { knows(s, 9, 200) }),
			want:  with(backup, func(s *State) { s.Deadline, s.Expect = at(v2Skew100), ReasonMasterLeft }),
		},
		{
			name: "(430) v3: Skew_Time of the learnt interval", event: hears(9, 0),
			state: with(backup, func(s *State) { s.MasterInterval = 2 * time.Second }),
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline, s.Expect = 2*time.Second, at(2*v2Skew100), ReasonMasterLeft
			}),
		},
		{
			name: "(445)-(460) backup: higher priority", event: hears(9, 101), state: backup,
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 9, 101) }),
		},
		{
			name: "(445) backup: equal priority, even of a lower address", event: hears(1, 100), state: backup,
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 1, 100) }),
		},
		{
			name: "(450) backup: learns a longer interval", state: backup,
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 2 * time.Second},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				knows(s, 9, 200)
			}),
		},
		{
			name: "(450) backup: learns a shorter interval", state: backup,
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 100 * time.Millisecond},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 100*time.Millisecond, at(v2Down100/10)
				knows(s, 9, 200)
			}),
		},
		{
			name: "(450) backup: believes at first twice its own interval", state: backup,
			event: AdvertReceived{From: peer(9), Priority: 255, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				knows(s, 9, 255)
			}),
		},
		{
			name:  "(450) backup: believes an interval the sender has kept",
			state: with(backup, func(s *State) { knows(s, 9, 200); s.Heard = at(-5 * time.Second) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 5 * time.Second},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 5*time.Second, at(5*v2Down100)
				knows(s, 9, 200)
			}),
		},
		{
			name:  "(450) backup: an hour's silence proves no interval",
			state: with(backup, func(s *State) { knows(s, 9, 200); s.Heard = at(-time.Hour) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				knows(s, 9, 200)
			}),
		},
		{
			name:  "(450) backup: nor does another's silence",
			state: with(backup, func(s *State) { knows(s, 8, 200); s.Heard = at(-5 * time.Second) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				knows(s, 9, 200)
			}),
		},
		{
			name: "v2 backup: learns nothing", config: func(c *Config) { c.Version = V2 }, state: backup,
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 2 * time.Second},
			want:  with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 9, 200) }),
		},
		{
			name: "(470) backup: lower priority, the timer runs on", event: hears(9, 99), state: backup,
			want: with(backup, func(s *State) { s.Expect = ReasonPreempting; knows(s, 9, 99) }),
		},
		{
			name: "(445) backup without preempt: lower priority", config: func(c *Config) { c.Preempt = false },
			event: hears(9, 99), state: backup,
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 9, 99) }),
		},
		{
			name: "preempt delay begins", config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			event: hears(9, 99), state: backup,
			want: with(backup, func(s *State) {
				s.Deadline, s.PreemptAfter = at(v2Down100), at(10*time.Second)
				knows(s, 9, 99)
			}),
		},
		{
			name: "preempt delay goes on", config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			event: hears(9, 99), state: with(backup, func(s *State) { s.PreemptAfter = at(time.Second) }),
			want: with(backup, func(s *State) {
				s.Deadline, s.PreemptAfter = at(v2Down100), at(time.Second)
				knows(s, 9, 99)
			}),
		},
		{
			name: "preempt delay is over", config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			event: hears(9, 99), state: with(backup, func(s *State) { s.PreemptAfter = t0 }),
			want: with(backup, func(s *State) {
				s.PreemptAfter, s.Expect = t0, ReasonPreempting
				knows(s, 9, 99)
			}),
		},
		{
			name: "preempt delay ends with a better master", config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			event: hears(9, 100), state: with(backup, func(s *State) { s.PreemptAfter = at(time.Second) }),
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 9, 100) }),
		},
		{
			name:   "(445) the owner preempts, whatever is configured",
			config: func(c *Config) { c.Priority, c.Preempt, c.PreemptDelay = 255, false, time.Minute },
			event:  hears(9, 254), state: with(backup, func(s *State) { s.Priority = 255 }),
			want: with(backup, func(s *State) { s.Priority, s.Expect = 255, ReasonPreempting; knows(s, 9, 254) }),
		},
		{
			name: "backup: fault", state: backup, event: Trouble{}, want: fault,
			actions: []Action{Become{Fault, ReasonFault}},
		},
		{name: "backup: recover means nothing", state: backup, event: Recover{}, want: backup},

		{
			name: "(655)-(670) master: shutdown says goodbye first", state: master, event: Shutdown{},
			actions: []Action{Send{0}, Become{Initialize, ReasonStopped}},
		},
		{
			name: "master: fault says goodbye first", state: master, event: Trouble{}, want: fault,
			actions: []Action{Send{0}, Become{Fault, ReasonFault}},
		},
		{name: "master: timer not yet out", state: master, event: Timeout{}, want: master},
		{
			name: "(685)-(690) master: timer out", event: Timeout{},
			state:   with(master, func(s *State) { s.Deadline, s.Asserted = t0, true }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}},
		},
		{
			name: "(690) master: a late advert does not delay the next", event: Timeout{},
			state:   with(master, func(s *State) { s.Deadline = at(-300 * time.Millisecond) }),
			want:    with(master, func(s *State) { s.Deadline = at(700 * time.Millisecond) }),
			actions: []Action{Send{100}},
		},
		{
			name: "master: missed adverts are not made up for", event: Timeout{},
			state:   with(master, func(s *State) { s.Deadline = at(-1500 * time.Millisecond) }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}},
		},
		{
			name: "master: silent for just its Master_Down_Interval", event: Timeout{},
			state:   with(master, func(s *State) { s.Deadline = at(time.Second - v2Down100) }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}},
		},
		{
			name: "master: stalled, steps back and listens", event: Timeout{},
			state:   with(master, func(s *State) { s.Deadline = at(time.Second - v2Down100 - 1) }),
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100) }),
			actions: []Action{Become{Backup, ReasonStalled}},
		},
		{
			name: "master: stalled, and another is master", event: hears(9, 99),
			state: with(master, func(s *State) { s.Deadline = at(-time.Minute) }),
			want: with(backup, func(s *State) {
				s.Deadline, s.Expect = at(v2Down100), ReasonPreempting
				knows(s, 9, 99)
			}),
			actions: []Action{Become{Backup, ReasonStalled}},
		},
		{
			name: "(710)-(715) master: priority 0", event: hears(9, 0), state: master,
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}},
		},
		{
			name: "(725)-(765) master: higher priority, without preempt too", config: func(c *Config) { c.Preempt = false },
			event: hears(1, 101), state: master,
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 1, 101) }),
			actions: []Action{Become{Backup, ReasonHigherPriority}},
		},
		{
			name: "(745) master: learns the interval when it yields", state: master,
			event: AdvertReceived{From: peer(1), Priority: 101, Interval: 2 * time.Second},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				knows(s, 1, 101)
			}),
			actions: []Action{Become{Backup, ReasonHigherPriority}},
		},
		{
			name: "(745) master: no more of a forged one than of any", state: master,
			event: AdvertReceived{From: peer(1), Priority: 255, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				knows(s, 1, 255)
			}),
			actions: []Action{Become{Backup, ReasonHigherPriority}},
		},
		{
			name: "(735) master: equal priority, greater address", event: hears(6, 100), state: master,
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100); knows(s, 6, 100) }),
			actions: []Action{Become{Backup, ReasonHigherAddress}},
		},
		{
			name: "RFC 9568 6.4.3 master: equal priority, lower address", event: hears(4, 100), state: master,
			want:    with(master, func(s *State) { s.Asserted = true }),
			actions: []Action{Send{100}},
		},
		{
			name: "RFC 9568 6.4.3 master: lower priority", event: hears(9, 99), state: master,
			want:    with(master, func(s *State) { s.Asserted = true }),
			actions: []Action{Send{100}},
		},
		{
			name: "(775) master: a second loser in one interval", event: hears(9, 99),
			state: with(master, func(s *State) { s.Asserted = true }),
			want:  with(master, func(s *State) { s.Asserted = true }),
		},
		{name: "master: its own address and priority", event: hears(5, 100), state: master, want: master},
		{name: "master: its own address, priority 0", event: hears(5, 0), state: master, want: master},
		{name: "backup: its own address", event: hears(5, 255), state: backup, want: backup},

		{name: "fault before startup", event: Trouble{}, want: State{Role: Fault}, actions: []Action{Become{Fault, ReasonFault}}},
		{name: "fault: another trouble", state: fault, event: Trouble{}, want: fault},
		{name: "fault: adverts", state: fault, event: hears(9, 0), want: fault},
		{name: "fault: timeout", state: fault, event: Timeout{}, want: fault},
		{name: "fault: shutdown", state: fault, event: Shutdown{}, actions: []Action{Become{Initialize, ReasonStopped}}},
		{
			name: "fault: recover waits in full", state: fault, event: Recover{},
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100) }),
			actions: []Action{Become{Backup, ReasonRecovered}},
		},
		{
			name: "fault: recover of the owner", config: func(c *Config) { c.Priority = Owner },
			state: State{Role: Fault, Priority: 255}, event: Recover{},
			want:    State{Role: Master, Deadline: at(time.Second), Priority: 255, MasterInterval: time.Second},
			actions: []Action{Send{255}, Become{Master, ReasonRecovered}},
		},

		{
			name: "backup: a higher priority shortens the wait", state: backup, event: SetPriority{228},
			want: with(backup, func(s *State) { s.Priority, s.Deadline = 228, at(2500 * time.Millisecond) }),
		},
		{
			name: "backup: a lower priority lengthens it", state: backup, event: SetPriority{36},
			want: with(backup, func(s *State) { s.Priority, s.Deadline = 36, at(3250 * time.Millisecond) }),
		},
		{
			name: "master: a new priority waits for the next advert", state: master, event: SetPriority{36},
			want: with(master, func(s *State) { s.Priority = 36 }),
		},
		{
			name: "nobody is made the owner", state: master, event: SetPriority{255},
			want: with(master, func(s *State) { s.Priority = 254 }),
		},
		{name: "priority 0 is none", state: master, event: SetPriority{0}, want: master},
		{
			name: "the owner stays it", config: func(c *Config) { c.Priority = Owner }, event: SetPriority{36},
			state: with(master, func(s *State) { s.Priority = 255 }),
			want:  with(master, func(s *State) { s.Priority = 255 }),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := base()
			if tt.config != nil {
				tt.config(&c)
			}
			got, actions := c.Step(tt.state, tt.event, t0)
			if diff := cmp.Diff(tt.want, got, compareTime, compareAddr); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.actions, actions); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
		})
	}
}

// A reload keeps the role and moves the running timer.
func TestReconfigured(t *testing.T) {
	t0 := time.Unix(100, 0)
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	for _, tt := range []struct {
		name   string
		v      Version
		change func(*Config)
		state  State
		want   State
	}{
		{
			name: "nothing", v: V3, change: func(*Config) {},
			state: State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second), PreemptAfter: t0},
			want:  State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second), PreemptAfter: t0},
		},
		{
			name: "backup: priority", v: V3, change: func(c *Config) { c.Priority = 228 },
			state: State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 228, MasterInterval: time.Second, Deadline: at(500 * time.Millisecond)},
		},
		{
			name: "backup: priority under a change of its own", v: V3, change: func(c *Config) { c.Priority = 120 },
			state: State{Role: Backup, Priority: 80, MasterInterval: time.Second, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second - 20*time.Second/256)},
		},
		{
			name: "backup: interval not learnt", v: V3, change: func(c *Config) { c.Interval = 2 * time.Second },
			state: State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 100, MasterInterval: 2 * time.Second, Deadline: at(time.Second + v2Down100)},
		},
		{
			name: "backup: interval learnt", v: V3, change: func(c *Config) { c.Interval = 2 * time.Second },
			state: State{Role: Backup, Priority: 100, MasterInterval: 500 * time.Millisecond, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 100, MasterInterval: 500 * time.Millisecond, Deadline: at(time.Second)},
		},
		{
			name: "v2 backup: interval", v: V2, change: func(c *Config) { c.Interval = 2 * time.Second },
			state: State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 100, MasterInterval: 2 * time.Second, Deadline: at(4 * time.Second)},
		},
		{
			name: "backup: preempt off", v: V3, change: func(c *Config) { c.Preempt = false },
			state: State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second), PreemptAfter: t0},
			want:  State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second)},
		},
		{
			name: "master: shorter interval", v: V3, change: func(c *Config) { c.Interval = 100 * time.Millisecond },
			state: State{Role: Master, Priority: 100, MasterInterval: time.Second, Deadline: at(900 * time.Millisecond)},
			want:  State{Role: Master, Priority: 100, MasterInterval: 100 * time.Millisecond, Deadline: at(100 * time.Millisecond)},
		},
		{
			name: "master: longer interval", v: V3, change: func(c *Config) { c.Interval = 10 * time.Second },
			state: State{Role: Master, Priority: 100, MasterInterval: time.Second, Deadline: at(900 * time.Millisecond)},
			want:  State{Role: Master, Priority: 100, MasterInterval: 10 * time.Second, Deadline: at(900 * time.Millisecond)},
		},
		{
			name: "master: becomes the owner", v: V3, change: func(c *Config) { c.Priority = Owner },
			state: State{Role: Master, Priority: 90, MasterInterval: time.Second, Deadline: at(time.Second)},
			want:  State{Role: Master, Priority: 255, MasterInterval: time.Second, Deadline: at(time.Second)},
		},
		{name: "before startup", v: V3, change: func(c *Config) { c.Priority = 120 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			old, c := testConfig(tt.v), testConfig(tt.v)
			tt.change(&c)
			got, actions := c.Step(tt.state, Reconfigured{Old: old}, t0)
			want := tt.want
			if tt.state == (State{}) {
				want.MasterInterval = got.MasterInterval // not looked at before Startup
			}
			if diff := cmp.Diff(want, got, compareTime, compareAddr); diff != "" || len(actions) > 0 {
				t.Errorf("%v, state (-want +got):\n%s", actions, diff)
			}
		})
	}
}

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
		h := rapid.SampledFrom(s.hosts).Draw(t, "host")
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
			s.step(h, Trouble{})
		case 7:
			s.step(h, Recover{})
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
		s.step(h, Recover{})
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

// Nothing from outside makes Step panic or break what always holds.
func FuzzStep(f *testing.F) {
	f.Add(uint8(3), uint8(100), true, []byte{0, 0, 2, 40, 3, 255, 3, 0, 2, 9})
	f.Add(uint8(2), uint8(255), false, []byte{1, 0, 3, 254, 4, 0, 5, 0, 6, 9, 7, 1})
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
	switch kind % 9 {
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
			if a.Priority == 0 && (s.Role == Master || s.Role == Backup) {
				t.Fatalf("goodbye, but %v", s.Role)
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
