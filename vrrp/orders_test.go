package vrrp

import "time"

// stepsOnOrder are the cases of TestStep for what the RFC does not know: what is
// ordered from outside, and a BACKUP that may have missed something.
func stepsOnOrder(t0 time.Time, backup, master State, with func(State, func(*State)) State) []stepTest {
	at := func(d time.Duration) time.Time { return t0.Add(d) }
	down := func(s *State) { s.Deadline = at(v2Down100) }
	due := func(s *State) { s.Deadline = t0 }
	grouped := func(s *State) { s.Grouped = true }
	return []stepTest{
		{
			name: "give up: goodbye, and time for a successor of any priority", state: master, event: GiveUp{},
			want: with(backup, func(s *State) {
				s.Yielded, s.Deadline = true, at(V3.MasterDownInterval(1, time.Second))
			}),
			actions: []Action{Send{0}, Become{Backup, ReasonGaveUp}},
		},
		{name: "give up: nothing to give", state: backup, event: GiveUp{}, want: backup},
		{
			name: "gave up: nobody followed", event: Timeout{},
			state:   with(backup, func(s *State) { s.Yielded, s.Deadline = true, t0 }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}, Become{Master, ReasonMasterDown}},
		},
		{
			name: "hold: goodbye", state: master, event: Hold{},
			want:    with(backup, func(s *State) { down(s); s.Held = true }),
			actions: []Action{Send{0}, Become{Backup, ReasonHeld}},
		},
		{
			name: "held: the timer runs out for nothing", event: Timeout{},
			state: with(backup, func(s *State) { due(s); s.Held = true }),
			want:  with(backup, func(s *State) { down(s); s.Held = true }),
		},
		{
			name: "held: no resuming", state: State{Held: true}, event: Startup{Resume: true},
			want:    with(backup, func(s *State) { down(s); s.Held = true }),
			actions: []Action{Become{Backup, ReasonStarted}},
		},
		{name: "release", state: with(backup, func(s *State) { s.Held, s.Yielded = true, true }), event: Release{}, want: backup},
		{
			name: "settle: in addition", config: func(c *Config) { c.Settle = time.Minute }, event: Startup{},
			want: with(backup, func(s *State) {
				s.Deadline, s.Settling = at(time.Minute+v2Down100), true
			}),
			actions: []Action{Become{Backup, ReasonStarted}},
		},
		{
			name: "settle: for the owner alone", event: Startup{},
			config:  func(c *Config) { c.Settle, c.Priority = time.Minute, Owner },
			want:    with(backup, func(s *State) { s.Deadline, s.Settling, s.Priority = at(time.Minute), true, Owner }),
			actions: []Action{Become{Backup, ReasonStarted}},
		},
		{
			name: "deaf: the timer waits", event: Timeout{Deaf: true},
			state: with(backup, due), want: with(backup, down),
		},
		{
			name: "late by an interval: in time", event: Timeout{},
			state:   with(backup, func(s *State) { s.Deadline = at(-time.Second) }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}, Become{Master, ReasonMasterDown}},
		},
		{
			name: "late by more: listens once more", event: Timeout{},
			state: with(backup, func(s *State) { s.Deadline = at(-time.Second - 1) }),
			want:  with(backup, func(s *State) { down(s); s.Listened = true }),
		},
		{
			name: "late before its time: listens once more", event: Timeout{},
			state: with(backup, func(s *State) { s.Seen = at(-2500*time.Millisecond - 1) }),
			want:  with(backup, func(s *State) { down(s); s.Listened = true }),
		},
		{
			name: "late again: takes over", event: Timeout{},
			state:   with(backup, func(s *State) { s.Deadline, s.Listened = at(-time.Minute), true }),
			want:    with(master, func(s *State) { s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}, Become{Master, ReasonMasterDown}},
		},
		{
			name: "group: wants, and waits", event: Timeout{},
			state: with(backup, func(s *State) { due(s); grouped(s) }),
			want:  with(backup, func(s *State) { grouped(s); s.Want, s.Deadline = true, at(time.Second) }),
		},
		{
			name: "group: permitted", event: Permit{},
			state:   with(backup, func(s *State) { grouped(s); s.Want = true }),
			want:    with(master, func(s *State) { grouped(s); s.Deadline = at(time.Second) }),
			actions: []Action{Send{100}, Become{Master, ReasonMasterDown}},
		},
		{
			name: "group: permitted too late", event: Permit{},
			state: with(backup, grouped), want: with(backup, grouped),
		},
		{
			name: "group: demoted", event: Demote{}, state: with(master, grouped),
			want:    with(backup, func(s *State) { down(s); grouped(s) }),
			actions: []Action{Send{0}, Become{Backup, ReasonGroup}},
		},
		{
			name: "group: has patience with a better master", state: with(master, grouped),
			event: AdvertReceived{From: hostAddr(9), Priority: 101, Interval: time.Second},
			want:  with(master, func(s *State) { grouped(s); s.Contested = t0 }),
		},
		{
			name: "left the group: takes over alone", state: with(backup, func(s *State) { grouped(s); s.Want = true }),
			event: Grouped{}, want: with(backup, due),
		},
	}
}
