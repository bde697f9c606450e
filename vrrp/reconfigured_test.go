package vrrp

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
			want:  State{Role: Backup, Priority: 100, MasterInterval: 2 * time.Second, Deadline: at(time.Second + v2Down100), Seen: t0},
		},
		{
			name: "backup: interval learnt", v: V3, change: func(c *Config) { c.Interval = 2 * time.Second },
			state: State{Role: Backup, Priority: 100, MasterInterval: 500 * time.Millisecond, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 100, MasterInterval: 500 * time.Millisecond, Deadline: at(time.Second)},
		},
		{
			name: "v2 backup: interval", v: V2, change: func(c *Config) { c.Interval = 2 * time.Second },
			state: State{Role: Backup, Priority: 100, MasterInterval: time.Second, Deadline: at(time.Second)},
			want:  State{Role: Backup, Priority: 100, MasterInterval: 2 * time.Second, Deadline: at(4 * time.Second), Seen: t0},
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
