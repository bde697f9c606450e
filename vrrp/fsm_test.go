package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

type stepTest struct {
	name    string
	config  func(*Config)
	state   State
	event   Event
	want    State
	actions []Action
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
		MasterInterval: time.Second, Expect: ReasonMasterDown, Seen: t0,
	}
	master := State{Role: Master, Deadline: at(400 * time.Millisecond), Priority: 100, MasterInterval: time.Second}
	fault := State{Role: Fault, Priority: 100}
	with := func(s State, f func(*State)) State { f(&s); return s }
	hears := func(from byte, priority uint8) AdvertReceived {
		return AdvertReceived{From: peer(from), Priority: priority, Interval: time.Second}
	}
	knows := func(s *State, from byte, priority uint8) { s.MasterAddress, s.MasterPriority = peer(from), priority }
	follows := func(s *State, from byte, priority uint8) { knows(s, from, priority); s.Follows = true }
	slow := func(s *State, heard time.Time, trust time.Duration) { s.SlowHeard, s.SlowTrust = heard, trust }

	tests := []stepTest{
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
				MasterInterval: time.Second, Expect: ReasonMasterDown, Seen: t0,
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
			name: "(430) backup: priority 0 of another than the master", event: hears(9, 0),
			state: with(backup, func(s *State) { knows(s, 8, 200) }),
			want: with(backup, func(s *State) {
				knows(s, 8, 200)
				s.Deadline, s.Expect = at(v2Skew100), ReasonMasterLeft
			}),
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
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 9, 101) }),
		},
		{
			name: "(445) backup: equal priority, even of a lower address", event: hears(1, 100), state: backup,
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 1, 100) }),
		},
		{
			name: "(450) backup: learns a longer interval", state: backup,
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 2 * time.Second},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				follows(s, 9, 200)
			}),
		},
		{
			name: "(450) backup: learns a shorter interval", state: backup,
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 100 * time.Millisecond},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 100*time.Millisecond, at(v2Down100/10)
				follows(s, 9, 200)
			}),
		},
		{
			name: "(450) backup: believes at first twice its own interval", state: backup,
			event: AdvertReceived{From: peer(9), Priority: 255, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				follows(s, 9, 255)
				slow(s, t0, 2*time.Second)
			}),
		},
		{
			name: "(450) backup: believes a pause that was kept", state: with(backup, func(s *State) { slow(s, at(-5*time.Second), 2*time.Second) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 5 * time.Second},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 5*time.Second, at(5*v2Down100)
				follows(s, 9, 200)
				slow(s, t0, 10*time.Second)
			}),
		},
		{
			name: "(450) backup: trust grows with every advert", state: with(backup, func(s *State) { slow(s, at(-time.Second), 4*time.Second) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 8*time.Second, at(8*v2Down100)
				follows(s, 9, 200)
				slow(s, t0, 8*time.Second)
			}),
		},
		{
			name: "(450) backup: but not with a burst", state: with(backup, func(s *State) { slow(s, at(-999*time.Millisecond), 4*time.Second) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 4*time.Second, at(4*v2Down100)
				follows(s, 9, 200)
				slow(s, t0, 4*time.Second)
			}),
		},
		{
			name: "(450) backup: and ends with a long pause", state: with(backup, func(s *State) { slow(s, at(-time.Hour), MaxIntervalV3) }),
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				follows(s, 9, 200)
				slow(s, t0, 2*time.Second)
			}),
		},
		{
			name: "v2 backup: learns nothing", config: func(c *Config) { c.Version = V2 }, state: backup,
			event: AdvertReceived{From: peer(9), Priority: 200, Interval: 2 * time.Second},
			want:  with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 9, 200) }),
		},
		{
			name: "(470) backup: lower priority, the timer runs on", event: hears(9, 99), state: backup,
			want: with(backup, func(s *State) { s.Expect = ReasonPreempting; knows(s, 9, 99) }),
		},
		{
			name: "(445) backup without preempt: lower priority", config: func(c *Config) { c.Preempt = false },
			event: hears(9, 99), state: backup,
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 9, 99) }),
		},
		{
			name: "preempt delay begins", config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			event: hears(9, 99), state: backup,
			want: with(backup, func(s *State) {
				s.Deadline, s.PreemptAfter = at(v2Down100), at(10*time.Second)
				follows(s, 9, 99)
			}),
		},
		{
			name: "preempt delay goes on", config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			event: hears(9, 99), state: with(backup, func(s *State) { s.PreemptAfter = at(time.Second) }),
			want: with(backup, func(s *State) {
				s.Deadline, s.PreemptAfter = at(v2Down100), at(time.Second)
				follows(s, 9, 99)
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
			want: with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 9, 100) }),
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
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 1, 101) }),
			actions: []Action{Become{Backup, ReasonHigherPriority}},
		},
		{
			name: "(745) master: learns the interval when it yields", state: master,
			event: AdvertReceived{From: peer(1), Priority: 101, Interval: 2 * time.Second},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				follows(s, 1, 101)
			}),
			actions: []Action{Become{Backup, ReasonHigherPriority}},
		},
		{
			name: "(745) master: no more of a forged one than of any", state: master,
			event: AdvertReceived{From: peer(1), Priority: 255, Interval: MaxIntervalV3},
			want: with(backup, func(s *State) {
				s.MasterInterval, s.Deadline = 2*time.Second, at(2*v2Down100)
				follows(s, 1, 255)
				slow(s, t0, 2*time.Second)
			}),
			actions: []Action{Become{Backup, ReasonHigherPriority}},
		},
		{
			name: "(735) master: equal priority, greater address", event: hears(6, 100), state: master,
			want:    with(backup, func(s *State) { s.Deadline = at(v2Down100); follows(s, 6, 100) }),
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
			want: with(backup, func(s *State) { s.Priority, s.Deadline = 228, at(2500*time.Millisecond) }),
		},
		{
			name: "backup: a lower priority lengthens it", state: backup, event: SetPriority{36},
			want: with(backup, func(s *State) { s.Priority, s.Deadline = 36, at(3250*time.Millisecond) }),
		},
		{
			name: "master: a lower priority is said at once", state: master, event: SetPriority{36},
			want:    with(master, func(s *State) { s.Priority = 36 }),
			actions: []Action{Send{36}},
		},
		{
			name: "master: but not by one that is stalled", event: SetPriority{36},
			state: with(master, func(s *State) { s.Deadline = at(-time.Minute) }),
			want:  with(master, func(s *State) { s.Deadline, s.Priority = at(-time.Minute), 36 }),
		},
		{
			name: "master: a higher priority waits for the next advert", state: master, event: SetPriority{136},
			want: with(master, func(s *State) { s.Priority = 136 }),
		},
		{
			name: "nobody is made the owner", state: master, event: SetPriority{255},
			want: with(master, func(s *State) { s.Priority = 254 }),
		},
		{
			name: "priority 0 is the configured one", event: SetPriority{0}, want: master,
			state: with(master, func(s *State) { s.Priority = 36 }),
		},
		{
			name: "the owner stays it", config: func(c *Config) { c.Priority = Owner }, event: SetPriority{36},
			state: with(master, func(s *State) { s.Priority = 255 }),
			want:  with(master, func(s *State) { s.Priority = 255 }),
		},
	}
	for _, tt := range append(tests, stepsOnOrder(t0, backup, master, with)...) {
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
