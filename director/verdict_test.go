package director

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

func TestVerdictOf(t *testing.T) {
	const unknown, down, up = healthcheck.Unknown, healthcheck.Down, healthcheck.Up
	for _, test := range []struct {
		any    bool
		states []healthcheck.State // each came a second after the one before
		want   healthcheck.State
		by     int
	}{
		{false, nil, up, -1},
		{true, nil, up, -1},
		{false, []healthcheck.State{up, up}, up, 1},
		{true, []healthcheck.State{up, up}, up, 0},
		{false, []healthcheck.State{up, unknown, down, down}, down, 2},
		{true, []healthcheck.State{down, unknown, up, up}, up, 2},
		{false, []healthcheck.State{up, unknown}, unknown, 1},
		{true, []healthcheck.State{down, unknown}, unknown, 1},
		{true, []healthcheck.State{down, down}, down, 1},
	} {
		server, statuses := config.RealServer{AnyCheck: test.any}, map[healthcheck.Spec]healthcheck.Status{}
		for i, state := range test.states {
			spec := fileCheck(i)
			server.Checks = append(server.Checks, spec)
			statuses[spec] = healthcheck.Status{
				Verdict: healthcheck.Verdict{State: state, Up: state == up}, Since: time.Unix(int64(i), 0),
			}
		}
		v := verdictOf(&server, func(spec healthcheck.Spec) healthcheck.Status { return statuses[spec] })
		if v.State != test.want || v.By != test.by {
			t.Errorf("any %v, %v: %v by %d, want %v by %d", test.any, test.states, v.State, v.By, test.want, test.by)
		}
	}
}

// TestVerdictAgreesWithThePlan: where every check has answered, what is told and
// what is planned are the same.
func TestVerdictAgreesWithThePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		server := drawServer(t, 0, 25)
		up := map[healthcheck.Spec]bool{}
		for _, check := range server.Checks {
			up[check] = rapid.Bool().Draw(t, "up")
		}
		v := verdictOf(&server, func(spec healthcheck.Spec) healthcheck.Status {
			if up[spec] {
				return healthcheck.Status{Verdict: healthcheck.Verdict{State: healthcheck.Up, Up: true}}
			}
			return healthcheck.Status{Verdict: healthcheck.Verdict{State: healthcheck.Down}}
		})
		if planned := (Facts{Up: upOf(up)}).isUp(&server); planned != (v.State == healthcheck.Up) {
			t.Fatalf("told %v, planned as up: %v", v.State, planned)
		}
	})
}

// TestRecoveryOfAnyCheck: a slow start begins when the first of any checks
// passes, not when a second one does.
func TestRecoveryOfAnyCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := farm(1, 1)
		service := &c.Services[0]
		service.SlowStart = time.Minute
		server := &service.RealServers[0]
		second := healthcheck.Check{Kind: probe.TCP{}, Retries: 9}.Of(netip.MustParseAddrPort("192.0.2.9:1"))
		server.Checks, server.AnyCheck = append(server.Checks, second), true
		s := newSteps(t, c)
		expect := func(what string, want bool) {
			t.Helper()
			s.step()
			if got := len(s.recovered) > 0; got != want {
				t.Errorf("%s: slow start %v, want %v", what, got, want)
			}
		}
		first := server.Checks[0]
		s.verdict(first, false)
		expect("one of any fails", false)
		s.verdict(first, true)
		expect("it passes again", false)
		s.verdict(first, false)
		s.verdict(second, false)
		expect("none passes", false)
		<-time.After(time.Second)
		s.verdict(first, true)
		expect("one passes", true)
		<-time.After(2 * time.Minute)
		expect("when it has risen", false)
		s.verdict(second, true)
		expect("the second passes too", false)
		s.verdict(first, false)
		s.verdict(second, false)
		s.step()
		<-time.After(time.Second)
		s.verdict(first, true) // both in one step
		s.verdict(second, true)
		expect("both pass at once", true)
	})
}

// TestReasonIsWhatDecided: what this host could not ask, or a success that does
// not count yet, is no reason to be down.
func TestReasonIsWhatDecided(t *testing.T) {
	server := config.RealServer{Address: netip.MustParseAddrPort("192.0.2.1:25")}
	server.Checks = []healthcheck.Spec{every(time.Second, server.Address)}
	own := probe.Result{Code: probe.SOCKERR, Reason: "too many open files"}
	passed := probe.Result{Code: probe.L4OK, OK: true, Reason: "connected"}
	failed := probe.Result{Code: probe.L4CON, Reason: "refused"}
	for _, test := range []struct {
		state healthcheck.State
		last  probe.Result
		want  string
	}{
		{healthcheck.Down, failed, "tcp 192.0.2.1:25 L4CON: refused"},
		{healthcheck.Down, own, "tcp 192.0.2.1:25 L4CON: refused"},
		{healthcheck.Down, passed, "tcp 192.0.2.1:25 L4CON: refused"},
		{healthcheck.Up, passed, "tcp 192.0.2.1:25 L4OK"},
		{healthcheck.Up, own, "tcp 192.0.2.1:25"},
	} {
		v := verdict{State: test.state, Status: healthcheck.Status{Last: test.last, LastFailure: failed}}
		if got := v.reason(&server); got != test.want {
			t.Errorf("%v after %s: %q, want %q", test.state, test.last.Code, got, test.want)
		}
	}
}
