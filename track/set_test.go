package track

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func always(ok bool) func(context.Context, Spec, int) bool {
	return func(context.Context, Spec, int) bool { return ok }
}

// within returns an answer that takes d, or fails when its context ends.
func within(d time.Duration) func(context.Context, Spec, int) bool {
	return func(ctx context.Context, _ Spec, _ int) bool {
		select {
		case <-time.After(d):
			return true
		case <-ctx.Done():
			return false
		}
	}
}

func TestScheduleIsFromStartToStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scriptSpec("quick"), scriptSpec("slow")).scripted(
			func(ctx context.Context, s Spec, n int) bool {
				if s.Name == "slow" && n == 1 {
					return within(12*time.Second)(ctx, s, n)
				}
				return within(2*time.Second)(ctx, s, n)
			})
		r.run()
		r.after(20 * time.Second)
		const s = time.Second
		r.expectStarts("quick", 0, 5*s, 10*s, 15*s, 20*s)
		r.expectStarts("slow", 0, 5*s, 17*s)
	})
}

func TestRiseAndFall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := scriptSpec("db")
		spec.Script.Rise, spec.Script.Fall = 2, 3
		r := newRig(t, spec).scripted(func(_ context.Context, _ Spec, n int) bool { return "+---++"[min(n, 5)] == '+' })
		r.run()
		for i, want := range []Status{
			{State: Up, Reason: "run 0"},
			{State: Up, Reason: "run 1 (failure 1 of 3)"},
			{State: Up, Reason: "run 2 (failure 2 of 3)"},
			{State: Down, Reason: "run 3"},
			{State: Down, Reason: "run 4 (success 1 of 2)"},
			{State: Up, Reason: "run 5"},
		} {
			synctest.Wait()
			want.Since = r.zero.Add([]time.Duration{0, 0, 0, 15, 15, 25}[i] * time.Second)
			if got := r.All()["db"]; got != want {
				t.Errorf("run %d: %+v, want %+v", i, got, want)
			}
			r.after(5 * time.Second)
		}
		r.expectChanges("db unknown -> up", "db up -> down", "db down -> up")
	})
}

func TestUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scriptSpec("stays"), scriptSpec("differs"), scriptSpec("goes")).scripted(within(time.Second))
		r.run()
		r.after(7 * time.Second)
		before := r.All()["stays"]
		differs := scriptSpec("differs", "/bin/false")
		differs.Script.Interval = time.Minute
		r.update(scriptSpec("stays"), differs, scriptSpec("comes"))
		if got := r.All(); got["stays"] != before || got["differs"].State != Unknown || len(got) != 3 {
			t.Errorf("trackers %+v", got)
		}
		r.after(10 * time.Second)
		const s = time.Second
		r.expectStarts("stays", 0, 5*s, 10*s, 15*s)
		r.expectStarts("differs", 0, 5*s, 7*s)
		r.expectStarts("goes", 0, 5*s)
		r.expectStarts("comes", 7*s, 12*s, 17*s)
	})
}

// TestUpdateCopies: who changes a Spec afterwards does not change the tracker,
// and the next Update sees the difference.
func TestUpdateCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spec := scriptSpec("db", "/bin/true", "argument")
		r := newRig(t, spec).scripted(always(true))
		r.run()
		synctest.Wait()
		spec.Script.Command[1] = "other"
		r.update(spec)
		if got := r.All()["db"]; got.State != Unknown {
			t.Errorf("the tracker did not start anew: %+v", got)
		}
	})
}

func TestUpdateRefusesAll(t *testing.T) {
	r := newRig(t, scriptSpec("good"))
	lame := scriptSpec("lame")
	lame.Script.Interval = 0
	err := r.Update([]Spec{scriptSpec("new"), lame, {Name: "none"}, scriptSpec("new")})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"lame", "none", "new"} {
		if !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
	if all := r.All(); len(all) != 1 {
		t.Errorf("trackers changed: %v", all)
	}
}

// TestSuccessorWaits: a script that ends slowly does not run beside the one that
// replaces it.
func TestSuccessorWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scriptSpec("db")).scripted(func(ctx context.Context, _ Spec, n int) bool {
			if n == 0 {
				<-ctx.Done()
				<-time.After(2 * time.Second)
			}
			return true
		})
		r.run()
		r.after(time.Second)
		r.update(scriptSpec("db", "/bin/true", "other"))
		r.after(time.Second)
		r.expectStarts("db", 0)
		r.after(time.Second)
		r.expectStarts("db", 0, 3*time.Second)
		r.expectChanges("db unknown -> up")
	})
}

func TestAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t).scripted(func(ctx context.Context, s Spec, n int) bool {
			if s.Name == "slow" {
				return within(20*time.Second)(ctx, s, n)
			}
			return false
		})
		if !r.answered() {
			t.Error("an empty set waits for an answer")
		}
		r.update(scriptSpec("quick"), scriptSpec("slow"))
		r.run()
		first := r.Answered()
		r.after(5 * time.Second)
		if r.answered() {
			t.Error("answered without the slow one")
		}
		r.after(20 * time.Second)
		if !r.answered() {
			t.Error("not answered")
		}
		<-first
		r.update(scriptSpec("quick"), scriptSpec("slow", "/bin/false"))
		if r.answered() {
			t.Error("answered without the new one")
		}
		r.update(scriptSpec("quick"))
		if !r.answered() {
			t.Error("waits for a tracker that is gone")
		}
	})
}

func TestRunWaitsForTheLastScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		r := newRig(t, scriptSpec("db")).scripted(func(ctx context.Context, _ Spec, _ int) bool {
			<-ctx.Done()
			<-time.After(2 * time.Second)
			ended = true
			return true
		})
		stop := r.run()
		r.after(time.Second)
		stop()
		if !ended {
			t.Error("Run did not wait")
		}
		r.expectChanges()
		r.update(scriptSpec("late"))
		r.after(time.Minute)
		r.expectStarts("late")
		if err := r.Run(t.Context()); err == nil {
			t.Error("ran twice")
		}
	})
}

func TestObserverMayUseTheSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, scriptSpec("db")).scripted(always(true))
		r.observe = func(c Change) {
			if r.All()["db"] != c.To || c.To.State != Up {
				t.Errorf("change %+v, status %+v", c, r.All())
			}
			r.update()
		}
		r.run()
		r.after(time.Second)
		if all := r.All(); len(all) != 0 {
			t.Errorf("the observer's update was lost: %v", all)
		}
	})
}

func TestValidate(t *testing.T) {
	good := []Spec{
		scriptSpec("script"),
		{Name: "process", Process: &Process{Name: "haproxy", Quorum: 1}},
		{Name: "file", File: &File{Path: "/run/weight"}},
	}
	for _, s := range good {
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	for want, change := range map[string]func(*Spec){
		"name":             func(s *Spec) { s.Name = "" },
		"2 of them":        func(s *Spec) { s.File = &File{Path: "/run/weight"} },
		"0 of them":        func(s *Spec) { s.Script = nil },
		"absolute path":    func(s *Spec) { s.Script.Command = []string{"true"} },
		"zero byte":        func(s *Spec) { s.Script.Command = append(s.Script.Command, "\x00") },
		"interval":         func(s *Spec) { s.Script.Interval = 0 },
		"timeout":          func(s *Spec) { s.Script.Timeout = -1 },
		"rise and fall":    func(s *Spec) { s.Script.Fall = 0 },
		"neither a name":   func(s *Spec) { s.Script.User = "a b" },
		"process name":     func(s *Spec) { s.Script, s.Process = nil, &Process{Name: "/bin/x", Quorum: 1} },
		"quorum":           func(s *Spec) { s.Script, s.Process = nil, &Process{Name: "x"} },
		"delays":           func(s *Spec) { s.Script, s.Process = nil, &Process{Name: "x", Quorum: 1, UpDelay: -1} },
		`file "run/weight`: func(s *Spec) { s.Script, s.File = nil, &File{Path: "run/weight"} },
	} {
		s := scriptSpec("bad")
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
}

func TestStateText(t *testing.T) {
	for state, want := range map[State]string{Unknown: "unknown", Down: "down", Up: "up", 9: "state 9"} {
		if got, _ := state.MarshalText(); string(got) != want {
			t.Errorf("state %d is %q, want %q", uint8(state), got, want)
		}
	}
}
