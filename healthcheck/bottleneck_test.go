package healthcheck

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

func TestBottleneck(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b := bottleneck{at: now, found: 800, room: 700, pause: 10 * time.Second}
	most := bottleneck{at: now, found: math.MaxInt32 / 100, room: math.MaxInt32 / 100}
	none := bottleneck{at: now}
	for name, test := range map[string]struct {
		of    bottleneck
		after time.Duration
		want  int
	}{
		"never":          {bottleneck{}, 0, math.MaxInt},
		"at once":        {b, 0, 700},
		"the pause":      {b, 10 * time.Second, 700},
		"a second after": {b, 11 * time.Second, 800},
		"later":          {b, 13 * time.Second, 1000},
		"relief":         {b, 10*time.Second + relief, math.MaxInt},
		"nothing":        {none, heartbeat - 1, 0},
		"nothing, after": {none, heartbeat, 1},
		"small":          {none, time.Second, 9},
		"32 bits":        {most, relief - 1, math.MaxInt32/100 + 59*(math.MaxInt32/100/8)},
	} {
		if got := test.of.allows(now.Add(test.after)); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

// The probes leave descriptors to the rest of the process.
func TestGateLeavesDescriptors(t *testing.T) {
	for _, test := range []struct{ limit, concurrency, want int }{
		{0, 0, DefaultConcurrency},
		{1, 0, 1},
		{30, 0, 15},
		{1024, 0, 1024 - 128},
		{1024, 700, 700},
		{200, 700, 136},
		{1 << 20, 0, DefaultConcurrency},
	} {
		g := gate{limits: Limits{Concurrency: test.concurrency}, descriptors: test.limit}
		if got := g.concurrency(); got != test.want {
			t.Errorf("limit %d, concurrency %d: %d, want %d", test.limit, test.concurrency, got, test.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, after(time.Hour, probe.L4OK), append(of(60, 1), of(60, 2)...)...)
		r.run()
		synctest.Wait()
		r.Pool.mu.Lock()
		if r.gate.descriptors != descriptors() || descriptors() == 0 {
			t.Errorf("limit %d, want %d", r.gate.descriptors, descriptors())
		}
		r.gate.descriptors = 100
		r.Pool.mu.Unlock()
		r.after(warmup + 2*patience)
		r.expectNotices("delayed over=false 50 probes in flight, no more than 50 are allowed with 100 file descriptors: ")
	})
}

// After a shortage the gate does not live at the limit.
func TestGateStaysBelowAShortage(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		descriptors, flying int
		after               time.Duration
		want                int
	}{
		{1024, 801, recess, 700},
		{1024, 801, recess + time.Second, 800},
		{1024, 101, heartbeat + time.Second, 62}, // others took them
		{1024, 1, heartbeat, 1},
	} {
		g := gate{descriptors: test.descriptors, flying: test.flying}
		g.putOff(&check{}, now)
		if got := g.short.allows(now.Add(test.after)); got != test.want {
			t.Errorf("%+v: room for %d", test, got)
		}
	}
}
