package director

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

func TestUpWeight(t *testing.T) {
	passing, failing := healthcheck.Check{Kind: probe.TCP{}}.Of(netip.AddrPort{}), healthcheck.Check{Kind: probe.HTTP{}}.Of(netip.AddrPort{})
	up := upOf(map[healthcheck.Spec]bool{passing: true})
	for _, test := range []struct {
		name   string
		weight int
		checks []config.WeightCheck
		want   int
	}{
		{"none", 5, nil, 5},
		{"added while it passes", 5, []config.WeightCheck{{Check: passing, Weight: 3}}, 8},
		{"not added while it fails", 5, []config.WeightCheck{{Check: failing, Weight: 3}}, 5},
		{"taken away while it fails", 5, []config.WeightCheck{{Check: failing, Weight: -3}}, 2},
		{"left while it passes", 5, []config.WeightCheck{{Check: passing, Weight: -3}}, 5},
		{"never below 0", 5, []config.WeightCheck{{Check: failing, Weight: -9}}, 0},
		{"never above 65535", 5, []config.WeightCheck{{Check: passing, Weight: 65535}}, 65535},
		{"bounded at the end only", 5, []config.WeightCheck{{Check: failing, Weight: -9}, {Check: passing, Weight: 9}}, 5},
	} {
		server := config.RealServer{Weight: test.weight, WeightChecks: test.checks}
		if got := (Facts{Up: up}).upWeight(&config.VirtualService{}, &server); got != test.want {
			t.Errorf("%s: weight %d, want %d", test.name, got, test.want)
		}
	}
}

func TestRampOfAMinute(t *testing.T) {
	r := rampTo(101, time.Minute)
	for _, test := range []struct {
		elapsed time.Duration
		weight  int
		next    time.Duration
	}{
		{-time.Second, 1, 600 * time.Millisecond},
		{0, 1, 600 * time.Millisecond},
		{599 * time.Millisecond, 1, 600 * time.Millisecond},
		{600 * time.Millisecond, 2, 1200 * time.Millisecond},
		{30 * time.Second, 51, 30600 * time.Millisecond},
		{time.Minute - 1, 100, time.Minute},
		{time.Minute, 101, 0},
		{time.Hour, 101, 0},
	} {
		if weight, next := r.weight(test.elapsed), r.next(test.elapsed); weight != test.weight || next != test.next {
			t.Errorf("after %v: weight %d, next change after %v; want %d, %v",
				test.elapsed, weight, next, test.weight, test.next)
		}
	}
}

func TestRampRisesInSteps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		full := rapid.IntRange(0, MaxWeight).Draw(t, "full")
		over := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "over"))
		r := rampTo(full, over)
		elapsed := time.Duration(rapid.Int64Range(-int64(time.Second), int64(over)+1).Draw(t, "elapsed"))
		weight, next := r.weight(elapsed), r.next(elapsed)
		if weight < min(full, 1) || weight > full || elapsed >= over && weight != full {
			t.Fatalf("weight %d after %v", weight, elapsed)
		}
		if next == 0 {
			if weight != full {
				t.Fatalf("weight %d for ever", weight)
			}
			return
		}
		if next <= elapsed || next > over {
			t.Fatalf("after %v the next change is after %v", elapsed, next)
		}
		if before, after := r.weight(next-1), r.weight(next); before != weight || after <= weight {
			t.Fatalf("weight %d after %v, %d right before the next change, %d after", weight, elapsed, before, after)
		}
		if again := r.next(next); again != 0 && again-next < min(slowStartPace, over) {
			t.Fatalf("changes after %v and %v", next, again)
		}
	})
}

// TestNextChangeWaitsForNothing: nobody is woken for what does not happen.
func TestNextChangeWaitsForNothing(t *testing.T) {
	c := relayConfig()
	service := &c.Services[0]
	service.SlowStart = time.Minute
	service.RealServers[0].Weight = 9
	up := allUp(c)
	f := Facts{
		Config: c, Up: upOf(up), Now: time.Now(),
		Recovered: map[ServerKey]time.Time{},
	}
	if next := nextChange(f); !next.IsZero() {
		t.Errorf("without a recovery the next change is at %v", next)
	}
	f.Recovered[ServerKey{service.IPVS.ServiceKey, service.RealServers[0].Address}] = f.Now
	if next := nextChange(f); next.Sub(f.Now) != time.Minute/8 {
		t.Errorf("the weight rises after %v, want %v", next.Sub(f.Now), time.Minute/8)
	}
	f.Stopping = true
	if next := nextChange(f); !next.IsZero() {
		t.Errorf("a service that goes has its next change at %v", next)
	}
	f.Stopping = false
	clear(up)
	if next := nextChange(f); !next.IsZero() {
		t.Errorf("a real server that is down again has its next change at %v", next)
	}
}
