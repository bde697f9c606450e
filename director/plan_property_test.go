package director

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director/ipvs"
)

// foreignTo is the part of a kernel's State that o does not own.
func foreignTo(s State, o Owned) State {
	foreign, owned := NewState(), snapshotOf(s).State(o)
	for key, service := range s.Services {
		if _, ours := owned.Services[key]; !ours {
			foreign.Services[key] = service
		}
	}
	for vip := range s.VIPs {
		if !owned.VIPs.Has(vip) {
			foreign.VIPs.Add(vip)
		}
	}
	for state, daemon := range s.Daemons {
		if _, ours := owned.Daemons[state]; !ours {
			foreign.Daemons[state] = daemon
		}
	}
	for name, value := range s.Timeouts {
		if _, ours := owned.Timeouts[name]; !ours {
			foreign.Timeouts[name] = value
		}
	}
	for tunnel := range s.Decapsulations {
		if !owned.Decapsulations.Has(tunnel) {
			foreign.Decapsulations.Add(tunnel)
		}
	}
	return foreign
}

// TestPlanReachesAnyKernel plans a random configuration on a random kernel, which
// holds things of lvsd's, of an earlier configuration's and of others'.
func TestPlanReachesAnyKernel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kernel := drawKernel(t, "kernel")
		c, earlier := drawConfig(t), drawConfig(t)
		facts, owned := drawFacts(t, c), OwnedBy(c)
		if rapid.Bool().Draw(t, "a predecessor") {
			owned.Merge(OwnedBy(earlier))
			for key, service := range Plan(drawFacts(t, earlier)).Services {
				kernel.Services[key] = service
			}
		}
		foreign := foreignTo(kernel, owned)

		want := Plan(facts)
		for _, op := range Diff(snapshotOf(kernel).State(owned), want) {
			op.applyTo(kernel)
		}
		have := snapshotOf(kernel).State(owned)
		mustBe(t, have, want)
		if ops := Diff(have, want); len(ops) != 0 {
			t.Fatalf("an unchanged kernel needs %v", ops)
		}
		if diff := cmp.Diff(foreign, foreignTo(kernel, owned), compareStates); diff != "" {
			t.Fatalf("what lvsd does not own (-before +after):\n%s", diff)
		}
	})
}

// TestPlanNeverOwnsLess: what is planned must be known as lvsd's when it is read
// again, or it would be planned for ever.
func TestPlanNeverOwnsLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		want := Plan(drawFacts(t, c))
		mustBe(t, snapshotOf(want).State(OwnedBy(c)), want)
	})
}

// TestPlanChangesOnlyWhenItSays: Plan takes the time, and nextChange tells when
// that matters.
func TestPlanChangesOnlyWhenItSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t, drawConfig(t))
		for range 1000 {
			next := nextChange(f)
			later := f
			later.Now = next.Add(-1)
			if next.IsZero() {
				later.Now = f.Now.Add(24 * time.Hour)
			} else if !next.After(f.Now) {
				t.Fatalf("at %v the next change is at %v", f.Now, next)
			}
			if diff := cmp.Diff(Plan(f), Plan(later), compareStates); diff != "" {
				t.Fatalf("between %v and %v, without a change due (-then +now):\n%s", f.Now, later.Now, diff)
			}
			if next.IsZero() {
				return
			}
			f.Now = next
		}
		t.Fatal("it never comes to an end")
	})
}

// TestPlanServesWhatIsUp: without a sorry server whatever is up serves, unless an
// operator has taken it out; with one somebody does if anything can.
func TestPlanServesWhatIsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		f := drawFacts(t, c)
		for _, s := range c.Services {
			planned := planService(f, s)
			serving := map[string]int{}
			for _, server := range planned.RealServers {
				serving[server.Address.String()] = server.Weight
			}
			some, quorate := false, f.tally(&s).Quorate
			for i := range s.RealServers {
				server := &s.RealServers[i]
				up := f.isAvailable(&s, server) && f.upWeight(&s, server) > 0
				some = some || up
				if _, there := serving[server.Address.String()]; up && quorate && !there {
					t.Fatalf("%v is up and not in %v", server.Address, planned)
				}
			}
			sorry := s.Sorry != nil && serving[s.Sorry.Address.String()] > 0
			if sorry == quorate && s.Sorry != nil {
				t.Fatalf("quorate %v, sorry server %v: %v", quorate, sorry, planned)
			}
			if quorate && !some {
				t.Fatalf("quorate without a server: %v", planned)
			}
		}
	})
}

// TestDiffServiceIsDiff: what is planned for one service alone comes to the same.
func TestDiffServiceIsDiff(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawState(t, "have"), drawState(t, "want")
		for key, wanted := range want.Services {
			part := NewState()
			if present, there := have.Services[key]; there {
				part.Services[key] = present
			}
			ops := diffService(part.Services[key], wanted)
			for _, op := range ops {
				part = part.With(op)
			}
			only := NewState()
			only.Services = map[ipvs.ServiceKey]Service{key: wanted}
			if diff := cmp.Diff(only, part, compareStates); diff != "" {
				t.Fatalf("after %v (-want +got):\n%s", ops, diff)
			}
		}
	})
}
