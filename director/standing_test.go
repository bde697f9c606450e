package director

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// told makes every hook of the service append its arguments and what else it
// knows to a file, and returns what was told once the hooks are done.
func told(t *testing.T, c *config.VirtualService) func(*steps) []string {
	t.Helper()
	directory := t.TempDir()
	path := filepath.Join(directory, "told")
	script := filepath.Join(directory, "hook")
	text := fmt.Sprintf("#!/bin/sh\necho \"$@ $LVSD_STATE $LVSD_WEIGHT/$LVSD_QUORUM\" >> %s\n", path)
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	argv := []string{script}
	c.Hooks = config.ServiceHooks{QuorumUp: argv, QuorumDown: argv, ServerUp: argv, ServerDown: argv}
	return func(s *steps) []string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := s.endHooks(ctx); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSpace(string(content)), "\n")
	}
}

// settle waits until so many hooks have ended in all.
func (s *steps) settle(t *testing.T, count int) {
	t.Helper()
	timeout := time.After(2 * time.Minute)
	for strings.Count(s.log.String(), "hook ended") < count {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-timeout:
			t.Fatalf("not %d hooks ran:\n%s", count, s.log)
		}
	}
}

func TestQuorumAndItsHooks(t *testing.T) {
	c := farm(1, 3) // weights of 5
	service := &c.Services[0]
	service.Quorum = config.Quorum{Weight: 8, Hysteresis: 2}
	service.Omega = true
	ended := told(t, service)
	s := newSteps(t, c)
	first, second := service.RealServers[0].Checks[0], service.RealServers[1].Checks[0]

	s.verdict(first, false) // 10 is up
	s.step()
	s.verdict(second, false) // 5: lost
	s.step()
	s.verdict(first, true) // 10: regained
	s.step()
	s.verdict(second, true)
	s.step()
	s.omega()
	got := ended(s)
	// Only the last word on one thing waits.
	want := []string{
		"SERVER service 0 10.100.0.0:80 DOWN DOWN 15/8", "SERVER service 0 10.101.0.0:80 DOWN DOWN 15/8",
		"SERVER service 0 10.102.0.0:80 DOWN DOWN 15/8", "SERVICE service 0 DOWN DOWN 15/8",
	}
	last := got[max(len(got)-len(want), 0):]
	if diff := cmp.Diff(want, last); diff != "" {
		t.Errorf("last told (-want +got):\n%s\nall: %q", diff, got)
	}
	var quorum []string
	for line := range strings.Lines(s.log.String()) {
		if _, message, ok := strings.Cut(line, `msg="quorum `); ok {
			quorum = append(quorum, strings.TrimSpace(message))
		}
	}
	want = []string{
		`lost" service="service 0" weight_up=5 quorum=8`,
		`gained" service="service 0" weight_up=10 quorum=8`,
	}
	if diff := cmp.Diff(want, quorum); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// TestHooksInOrder: what is told of one service is told in its order.
func TestHooksInOrder(t *testing.T) {
	c := farm(1, 2)
	service := &c.Services[0]
	service.Quorum.Weight = 10
	ended := told(t, service)
	s := newSteps(t, c)
	s.settle(t, 3)
	check := service.RealServers[1].Checks[0]
	for n, up := range []bool{false, true} {
		s.verdict(check, up)
		s.step()
		s.settle(t, 5+2*n)
	}
	want := []string{
		"SERVER service 0 10.100.0.0:80 UP UP 10/10", "SERVER service 0 10.101.0.0:80 UP UP 10/10",
		"SERVICE service 0 UP UP 10/10",
		"SERVER service 0 10.101.0.0:80 DOWN DOWN 5/10", "SERVICE service 0 DOWN DOWN 5/10",
		"SERVER service 0 10.101.0.0:80 UP UP 10/10", "SERVICE service 0 UP UP 10/10",
	}
	if diff := cmp.Diff(want, ended(s)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// TestUnansweredChecksAreNoNews: before the checks have answered nothing is lost,
// and what a predecessor told is not told again.
func TestUnansweredChecksAreNoNews(t *testing.T) {
	c := farm(2, 1)
	ended := told(t, &c.Services[0])
	c.Services[1].Hooks = c.Services[0].Hooks
	kernel := newModel()
	left := Plan(Facts{Config: c, Up: func(healthcheck.Spec) bool { return true }})
	kernel.change(func(s State) {
		s.Services[c.Services[0].IPVS.ServiceKey] = left.Services[c.Services[0].IPVS.ServiceKey]
	})
	s := &steps{
		t: t, kernel: kernel, log: &syncBuffer{}, states: map[healthcheck.Spec]healthcheck.State{},
		since: map[healthcheck.Spec]time.Time{},
	}
	s.Director = New(Options{
		Config: c, Kernel: kernel, Network: kernel, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	s.statusOf = func(spec healthcheck.Spec) healthcheck.Status {
		state := s.states[spec]
		return healthcheck.Status{Verdict: healthcheck.Verdict{State: state, Up: state == healthcheck.Up}}
	}
	first, err := kernel.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.adopt(Memory{Quorate: map[string]bool{"service 0": true}}, first); err != nil {
		t.Fatal(err)
	}
	s.setStandings(t.Context(), c)
	s.step()
	if strings.Contains(s.log.String(), "quorum") {
		t.Errorf("something was lost before the checks have answered:\n%s", s.log)
	}
	for _, service := range c.Services {
		s.verdict(service.RealServers[0].Checks[0], true)
	}
	s.status.ready = true
	s.complete = true
	s.step()
	want := []string{"SERVER service 1 10.100.0.1:80 UP UP 5/1", "SERVICE service 1 UP UP 5/1"}
	if diff := cmp.Diff(want, ended(s)); diff != "" {
		t.Errorf("told (-want +got):\n%s\n%s", diff, s.log)
	}
	if quorate := s.quorateToRemember(); !quorate["service 0"] || !quorate["service 1"] {
		t.Errorf("a successor is told %v", quorate)
	}
}

// TestSlowStart: a real server that recovers gets its weight little by little,
// without the kernel being read for it; one that was never down gets it at once.
func TestSlowStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := farm(2, 2)
		c.Global.Resync = time.Hour
		service := &c.Services[0]
		service.SlowStart = 8 * time.Second
		s := newSteps(t, c)
		if s.riseAt != (time.Time{}) {
			t.Error("a start is no recovery")
		}
		check := service.RealServers[0].Checks[0]
		s.verdict(check, false)
		s.step()
		<-time.After(time.Second)
		s.kernel.takeDone()
		s.kernel.unreadable = errInjected
		s.verdict(check, true)
		s.step()
		facts := s.seenFacts(c)
		if until := facts.describeServer(service, &service.RealServers[0], s.checkStatus).SlowStart; time.Until(until) != service.SlowStart {
			t.Errorf("the status says until %v", until)
		}
		for range 20 {
			if s.riseAt.IsZero() {
				break
			}
			<-time.After(time.Until(s.wakeAt()))
			s.step()
		}
		var want []string
		for weight := 1; weight <= 5; weight++ {
			want = append(want, fmt.Sprintf("ipvsadm -e -t 10.1.0.0:80 -r 10.100.0.0:80 -g -w %d", weight))
		}
		if diff := cmp.Diff(want, s.kernel.takeDone()); diff != "" {
			t.Errorf("operations (-want +got):\n%s", diff)
		}
	})
}

// TestSenderOutlivesMastership: what the sender has not sent yet reaches the
// other nodes before it stops, at a switch and at a clean stop.
func TestSenderOutlivesMastership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &config.Sync{Instance: "relay", Daemons: config.SyncFollow, Interface: "eth0", ID: 11}
		n.start()
		advance(5 * time.Second)
		sends := func() bool { _, ok := n.kernel.now().Daemons[ipvs.DaemonMaster]; return ok }
		if !sends() {
			t.Fatalf("a MASTER without a sender\n%s", n.log)
		}
		n.config.Global.Resync = time.Hour // the end of the wait alone must do it
		if err := n.director.Reload(t.Context(), n.config); err != nil {
			t.Fatal(err)
		}
		n.kernel.setLink("eth0", false)
		advance(syncLinger - time.Second)
		if !sends() {
			t.Error("the sender of a former MASTER stopped at once")
		}
		advance(2 * time.Second)
		if sends() {
			t.Error("the sender of a former MASTER did not stop")
		}
		n.kernel.setLink("eth0", true)
		advance(5 * time.Second)
		if !sends() {
			t.Fatal("MASTER again without a sender")
		}

		n.cancel(context.Canceled)
		advance(time.Second)
		if n.kernel.now().holds(relayVIP.Addr) {
			t.Error("a stop keeps the VIP")
		}
		if !sends() {
			t.Error("a stop did not wait for the sender")
		}
		advance(syncLinger)
		if sends() {
			t.Error("a stop left the sender behind")
		}
		if err := <-n.ended; err != nil {
			t.Error(err)
		}
		if !strings.Contains(n.log.String(), "waiting until the other nodes know") {
			t.Errorf("the wait is not logged:\n%s", n.log)
		}
	})
}

// TestHandOverLeavesTheDaemons and everything else.
func TestHandOverLeavesTheDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &config.Sync{Instance: "relay", Daemons: config.SyncBoth, Interface: "eth0", ID: 11}
		n.start()
		advance(4*time.Second + syncSettle)
		n.kernel.takeDone()
		n.stop(ErrHandOver)
		n.start()
		advance(5 * time.Second)
		if ops := n.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("a restart changed %v", ops)
		}
		if got := len(n.director.Status().Daemons); got != 2 {
			t.Errorf("%d daemons in the status, want 2", got)
		}
		n.stop(context.Canceled)
	})
}

// TestRecoveryIsFoundAtOnce: when all real servers of a large service die, what
// that takes grows with their number, not with its square.
func TestRecoveryIsFoundAtOnce(t *testing.T) {
	const servers = 16384
	took := func(c *config.Config) time.Duration {
		for n := range c.Services {
			c.Services[n].SlowStart = time.Minute
		}
		d := New(Options{Config: c, Kernel: newModel(), Network: newModel(), Log: slog.New(slog.DiscardHandler)})
		d.statusOf = func(healthcheck.Spec) healthcheck.Status {
			return healthcheck.Status{Verdict: healthcheck.Verdict{State: healthcheck.Down}}
		}
		for _, spec := range specs(c) {
			d.verdicts = append(d.verdicts, healthcheck.Change{Spec: spec, From: healthcheck.Up, To: healthcheck.Down})
		}
		began := time.Now()
		d.takeVerdicts()
		return time.Since(began)
	}
	many := farm(servers, 1)
	one := farm(1, 1)
	one.Services[0].RealServers = nil
	for _, s := range many.Services {
		one.Services[0].RealServers = append(one.Services[0].RealServers, s.RealServers...)
	}
	apart, together := took(many), took(one)
	if together > 10*apart+500*time.Millisecond { // comparing all with all takes seconds
		t.Errorf("in one service %v, in %d services %v", together, servers, apart)
	}
}
