package director

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
)

// weighing is a service of real servers with these weights, the first of which
// are up.
func weighing(weights []int, up int) (config.VirtualService, func(healthcheck.Spec) bool) {
	var s config.VirtualService
	verdicts := map[healthcheck.Spec]bool{}
	for i, weight := range weights {
		check := healthcheck.Check{Retries: i}.Of(netip.AddrPort{})
		verdicts[check] = i < up
		s.RealServers = append(s.RealServers, config.RealServer{Weight: weight, Checks: []healthcheck.Spec{check}})
	}
	return s, upOf(verdicts)
}

// quorate is the answer for a service that had its quorum before, or had not.
func quorate(s config.VirtualService, up func(healthcheck.Spec) bool, before bool) bool {
	return Facts{Up: up, Quorate: map[string]bool{s.Name: before}}.tally(&s).Quorate
}

func TestQuorum(t *testing.T) {
	for _, test := range []struct {
		name          string
		quorum        config.Quorum
		weights       []int
		up            int
		before, after bool
	}{
		{"none is 1: none is up", config.Quorum{}, []int{1, 1}, 0, true, false},
		{"none is 1: one is up", config.Quorum{}, []int{1, 1}, 1, false, true},
		{"weight 0 is nothing", config.Quorum{}, []int{0, 1}, 1, true, false},
		{"met", config.Quorum{Weight: 3}, []int{1, 2, 5}, 2, false, true},
		{"missed", config.Quorum{Weight: 4}, []int{1, 2, 5}, 2, true, false},
		{"hysteresis: kept", config.Quorum{Weight: 4, Hysteresis: 1}, []int{1, 2, 5}, 2, true, true},
		{"hysteresis: lost", config.Quorum{Weight: 4, Hysteresis: 1}, []int{1, 1, 5}, 2, true, false},
		{"hysteresis: not regained", config.Quorum{Weight: 3, Hysteresis: 1}, []int{1, 2, 5}, 2, false, false},
		{"hysteresis: regained", config.Quorum{Weight: 3, Hysteresis: 1}, []int{2, 2, 5}, 2, false, true},
		{"all is enough", config.Quorum{Weight: 3, Hysteresis: 2}, []int{1, 2}, 2, false, true},
		{"less than all is not", config.Quorum{Weight: 3, Hysteresis: 2}, []int{1, 3}, 1, false, false},
		{"no server", config.Quorum{}, nil, 0, true, false},
	} {
		s, up := weighing(test.weights, test.up)
		s.Quorum = test.quorum
		if got := quorate(s, up, test.before); got != test.after {
			t.Errorf("%s: quorate %v, want %v", test.name, got, test.after)
		}
	}
}

// TestQuorumIsSteady: asked again with its own answer, it gives the same, and what
// is enough to get the quorum is enough to keep it.
func TestQuorumIsSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 6).Draw(t, "weights")
		s, up := weighing(weights, rapid.IntRange(0, len(weights)).Draw(t, "up"))
		s.Quorum.Weight = rapid.IntRange(0, 30).Draw(t, "quorum")
		s.Quorum.Hysteresis = rapid.IntRange(0, max(s.Quorum.Weight-1, 0)).Draw(t, "hysteresis")
		for _, before := range []bool{false, true} {
			if first := quorate(s, up, before); quorate(s, up, first) != first {
				t.Fatalf("%v, then %v", first, !first)
			}
		}
		if quorate(s, up, false) && !quorate(s, up, true) {
			t.Fatal("enough to get it, not to keep it")
		}
	})
}
