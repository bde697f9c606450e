package director

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// stage is a scene to be explained, at midday, that a test sets up.
type stage struct {
	scene
	statuses map[healthcheck.Spec]healthcheck.Status
	results  map[healthcheck.Spec][]probe.Result
}

var midday = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// newStage is the relay with checks that pass.
func newStage() *stage {
	c := relayConfig()
	s := &stage{statuses: map[healthcheck.Spec]healthcheck.Status{}, results: map[healthcheck.Spec][]probe.Result{}}
	s.ask = func(spec healthcheck.Spec) healthcheck.Status { return s.statuses[spec] }
	s.history = func(spec healthcheck.Spec) []probe.Result { return s.results[spec] }
	s.next = func(spec healthcheck.Spec) time.Time {
		if next := s.statuses[spec].Last.At.Add(spec.Check().Interval); !next.Before(midday) {
			return next
		}
		return time.Time{} // one is under way
	}
	s.facts = Facts{
		Config: c, Now: midday, Recovered: map[ServerKey]time.Time{}, Kept: map[ServerKey]int{}, Quorate: map[string]bool{},
		Up:   func(spec healthcheck.Spec) bool { return s.ask(spec).Up },
		Told: func(spec healthcheck.Spec) probe.Weight { return s.ask(spec).Weight },
	}
	s.quorum = func(f Facts, service *config.VirtualService) QuorumStatus {
		t := f.tally(service)
		return QuorumStatus{Needed: t.Needed, Up: t.Up, Quorate: t.Quorate, Since: midday.Add(-10 * time.Second)}
	}
	for i := range c.Services[0].RealServers {
		server := &c.Services[0].RealServers[i]
		server.Checks = []healthcheck.Spec{smtpCheck(server.Address)}
		s.passes(server.Checks[0], time.Hour)
	}
	return s
}

func smtpCheck(target netip.AddrPort) healthcheck.Spec {
	return healthcheck.Check{
		Kind: probe.SMTP{HeloName: "relay1"}, Interval: 5 * time.Second, Timeout: 5 * time.Second, Rise: 2, Fall: 3,
	}.Of(target)
}

func (s *stage) service() *config.VirtualService { return &s.facts.Config.Services[0] }

// server is the first real server, which is asked about.
func (s *stage) server() *config.RealServer { return &s.service().RealServers[0] }

// give makes these the checks of the server, which pass.
func (s *stage) give(checks ...healthcheck.Check) []healthcheck.Spec {
	s.server().Checks = nil
	for _, c := range checks {
		spec := c.Of(s.server().Address)
		s.server().Checks = append(s.server().Checks, spec)
		s.passes(spec, time.Hour)
	}
	return s.server().Checks
}

// result is one of so long ago.
func result(ago time.Duration, code probe.Code, reason, said string) probe.Result {
	return probe.Result{
		At: midday.Add(-ago), Duration: 400 * time.Microsecond, OK: code.OK(), Code: code, Reason: reason, Transcript: said, Tries: 1,
	}
}

// passes makes the check pass since so long ago.
func (s *stage) passes(spec healthcheck.Spec, since time.Duration) {
	r := result(2*time.Second, probe.L7OK, "220 mx ESMTP", "< 220 mx ESMTP\n> EHLO relay1\n< 250 mx\n> QUIT")
	if spec.Type() == "tcp" {
		r = result(2*time.Second, probe.L4OK, "", "* connected")
	}
	s.statuses[spec] = healthcheck.Status{
		Verdict: healthcheck.Verdict{State: healthcheck.Up, Up: true}, Since: midday.Add(-since), Last: r, Successes: 720,
	}
	s.results[spec] = s.earlier(r, 5*time.Second, 20)
}

// earlier are so many results as the last one, the oldest first.
func (s *stage) earlier(last probe.Result, interval time.Duration, count int) []probe.Result {
	var all []probe.Result
	for n := count - 1; n >= 0; n-- {
		r := last
		r.At, r.Transcript = last.At.Add(-time.Duration(n)*interval), ""
		r.Duration += time.Duration(n) * 10 * time.Microsecond
		all = append(all, r)
	}
	return all
}

// fails makes the check fail with the result, so many times by now.
func (s *stage) fails(spec healthcheck.Spec, r probe.Result, count int, down bool) {
	status := s.statuses[spec]
	interval := spec.Check().Interval
	failures := s.earlier(r, interval, count)
	status.Last, status.LastFailure, status.Failures = r, r, uint64(count)
	status.Streak = count
	if down {
		fall := spec.Check().Fall
		status.Streak, status.State, status.Up = 0, healthcheck.Down, false
		status.Since = failures[fall-1].At.Add(r.Duration)
	}
	s.statuses[spec] = status
	passed := s.results[spec]
	for i := range passed {
		passed[i].At = failures[0].At.Add(-time.Duration(len(passed)-i) * interval)
	}
	all := append(passed, failures...)
	s.results[spec] = all[max(len(all)-healthcheck.HistoryLength, 0):]
}

// settle makes the kernel what is planned.
func (s *stage) settle() {
	s.have = Plan(s.facts)
	entries := snapshotOf(s.have).Services
	for i := range entries {
		for j := range entries[i].Destinations {
			entries[i].Destinations[j].Active, entries[i].Destinations[j].Inactive = 3, 14
		}
	}
	s.snapshot.Services = entries
}

var loadCheck = healthcheck.Check{
	Kind:     probe.Script{Command: probe.ListOf("/usr/local/bin/load"), Dynamic: true},
	Interval: 10 * time.Second, Timeout: 5 * time.Second, Rise: 1, Fall: 1,
}

// tells makes the first server tell its weight by a script.
func (s *stage) tells(weight int) {
	spec := s.give(smtpCheck(s.server().Address).Check(), loadCheck)[1]
	status := s.statuses[spec]
	status.Last = result(3*time.Second, probe.L7OK, "exit status 32", "* ran /usr/local/bin/load")
	status.Weight = probe.Weight{Known: true, Value: weight}
	status.Last.Weight = status.Weight
	s.statuses[spec] = status
	s.results[spec] = s.earlier(status.Last, 10*time.Second, 3)
}

// ordered makes overrides of an hour ago stand.
func (s *stage) ordered(overrides ...Override) {
	for i := range overrides {
		overrides[i].Node, overrides[i].At = "relay1", midday.Add(-time.Hour)
	}
	s.facts.Admin = adminOf(setOf(overrides...), midday)
}

// TestExplain compares with what package main's golden texts are made from.
func TestExplain(t *testing.T) {
	for name, set := range map[string]func(s *stage){
		"up": func(*stage) {},
		"refused": func(s *stage) {
			s.fails(s.server().Checks[0], result(time.Second, probe.L4CON, "connect: connection refused", "* connect: connection refused"), 12, true)
		},
		"timeout": func(s *stage) {
			c := smtpCheck(s.server().Address).Check()
			c.Retries, c.RetryDelay, c.FastInterval = 2, time.Second, 2*time.Second
			spec := s.give(c)[0]
			r := result(19*time.Second, probe.L7TOUT, "greeting: timed out", "* connected to 192.0.2.1:25\n* timed out")
			r.Tries, r.Duration = 3, 5*time.Second
			s.fails(spec, r, 5, true)
		},
		"failing": func(s *stage) {
			s.fails(s.server().Checks[0], result(time.Second, probe.L7STS, "421 too busy", "< 421 too busy\n> QUIT"), 2, false)
		},
		"unknown": func(s *stage) {
			s.statuses[s.server().Checks[0]] = healthcheck.Status{
				Verdict: healthcheck.Verdict{Up: true, Inherited: true}, Since: midday.Add(-300 * time.Millisecond),
			}
			delete(s.results, s.server().Checks[0])
		},
		"unasked": func(s *stage) {
			spec := s.server().Checks[0]
			s.fails(spec, result(6*time.Second, probe.L4CON, "connect: connection refused", ""), 12, true)
			status := s.statuses[spec]
			status.Last, status.Inconclusive = result(time.Second, probe.SOCKERR, "socket: too many open files", ""), 1
			s.statuses[spec] = status
		},
		"unasked-up": func(s *stage) {
			spec := s.server().Checks[0]
			status := s.statuses[spec]
			status.Last, status.Inconclusive = result(time.Second, probe.SOCKERR, "socket: too many open files", ""), 1
			s.statuses[spec] = status
		},
		"held": func(s *stage) {
			spec := s.server().Checks[0]
			s.fails(spec, result(time.Second, probe.L4TOUT, "connect: timed out", "* connect: timed out"), 7, false)
			status := s.statuses[spec]
			status.Held = "2 of 2 checks began to fail at once: this host is suspected"
			s.statuses[spec] = status
			s.notices = []healthcheck.Notice{{Kind: healthcheck.Held, Text: "2 of 2 checks began to fail at once", At: midday.Add(-20 * time.Second)}}
		},
		"flapping": func(s *stage) {
			c := smtpCheck(s.server().Address).Check()
			c.Flap.Limit = 4
			spec := s.give(c)[0]
			s.fails(spec, result(61*time.Second, probe.L7RSP, "closed by the server", ""), 3, true)
			status := s.statuses[spec]
			status.Last, status.Flap = result(time.Second, probe.L7OK, "220 mx ESMTP", ""), healthcheck.FlapScore{Score: 4.75, Suppressed: true}
			status.Streak = 12
			s.statuses[spec] = status
		},
		"any": func(s *stage) {
			tcp := healthcheck.Check{Kind: probe.TCP{}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
			specs := s.give(smtpCheck(s.server().Address).Check(), tcp)
			s.server().AnyCheck = true
			s.fails(specs[0], result(time.Second, probe.L7RSP, "greeting: closed by the server", "* connected"), 30, true)
		},
		"none-of-any": func(s *stage) {
			tcp := healthcheck.Check{Kind: probe.TCP{}, Interval: time.Second, Timeout: time.Second, Rise: 1, Fall: 1}
			specs := s.give(smtpCheck(s.server().Address).Check(), tcp)
			s.server().AnyCheck = true
			s.fails(specs[0], result(time.Second, probe.L7RSP, "greeting: closed by the server", "* connected"), 30, true)
			s.fails(specs[1], result(time.Second, probe.L4CON, "connect: connection refused", ""), 4, true)
		},
		"told":    func(s *stage) { s.tells(30) },
		"drained": func(s *stage) { s.tells(0) },
		"kept": func(s *stage) {
			s.tells(30)
			spec := s.server().Checks[1]
			s.statuses[spec] = healthcheck.Status{Verdict: healthcheck.Verdict{Up: true, Inherited: true}, Since: midday.Add(-time.Second)}
			delete(s.results, spec)
			s.facts.Kept[serverKey(s.service(), s.server().Address)] = 12
		},
		"drain-ordered": func(s *stage) {
			s.ordered(Override{
				Target: relay1, State: Drain, Reason: "kernel upgrade", By: "root on relay1", Until: midday.Add(time.Hour),
			})
		},
		"weight-ordered":   func(s *stage) { s.tells(30); s.ordered(Override{Target: relay1, Weight: weighs(5)}) },
		"service-disabled": func(s *stage) { s.ordered(Override{Target: Target{Service: "smtp"}, State: Disabled, By: "root"}) },
		"maintenance-down": func(s *stage) {
			s.ordered(
				Override{Target: Target{Node: "relay1"}, Addresses: []netip.Addr{s.server().Address.Addr()}, State: Drain, By: "root"},
				Override{Target: relay1, Weight: weighs(5)},
			)
			s.fails(s.server().Checks[0], result(time.Second, probe.L4CON, "connect: connection refused", ""), 4, true)
		},
		"weight-checks": func(s *stage) {
			s.server().Weight = 20
			passing, failing := checkOf(*s.server()), every(9*time.Second, s.server().Address)
			s.passes(passing, time.Minute)
			s.passes(failing, time.Hour)
			s.fails(failing, result(time.Second, probe.L4CON, "connect: connection refused", ""), 2, true)
			s.server().WeightChecks = []config.WeightCheck{{Check: passing, Weight: 5}, {Check: failing, Weight: -10}}
		},
		"slow-start": func(s *stage) {
			s.service().SlowStart = time.Minute
			s.server().Weight = 100
			s.passes(s.server().Checks[0], 20*time.Second)
			s.facts.Recovered[serverKey(s.service(), s.server().Address)] = midday.Add(-20 * time.Second)
		},
		"quorum": func(s *stage) {
			s.service().Quorum.Weight = 2
			planCase{Facts: &s.facts}.sorry()
			s.fails(s.service().RealServers[1].Checks[0], result(time.Second, probe.L4CON, "connect: connection refused", ""), 4, true)
		},
		"shared": func(s *stage) {
			other := s.facts.Config.Services[0]
			other.Name, other.IPVS.Address = "submission", netip.MustParseAddrPort("192.0.2.100:587")
			other.RealServers = slices.Clone(other.RealServers)
			other.RealServers[0].Address = netip.MustParseAddrPort("192.0.2.1:587")
			s.facts.Config.Services = append(s.facts.Config.Services, other)
			s.facts.Config.Trackers = []config.Tracker{{Name: "mx", Kind: config.TrackCheck, Check: s.server().Checks[0]}}
		},
		"warning": func(s *stage) {
			status := s.statuses[s.server().Checks[0]]
			status.Warning = "certificate expires in 6 days, on 2026-11-26"
			s.statuses[s.server().Checks[0]] = status
		},
		"two-services": func(s *stage) {
			v6, other := s.facts.Config.Services[0], s.facts.Config.Services[0]
			v6.IPVS.Address = netip.MustParseAddrPort("192.0.2.101:25")
			other.Name, other.IPVS.Address = "inside", netip.MustParseAddrPort("10.0.0.1:25")
			other.OnFailure, other.RealServers = config.Remove, slices.Clone(other.RealServers)
			own := every(time.Second, s.server().Address)
			other.RealServers[0].Checks = []healthcheck.Spec{own}
			s.passes(own, time.Hour)
			s.fails(own, result(time.Second, probe.L4CON, "connect: no route to host", ""), 1, true)
			s.facts.Config.Services = append(s.facts.Config.Services, v6, other)
		},
		"unchecked": func(s *stage) { s.give(); s.server().Host = "mx.example" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage()
			set(s)
			s.settle()
			e, err := s.explain("192.0.2.1", "")
			if err != nil {
				t.Fatal(err)
			}
			wantExplanation(t, name, e)
		})
	}
}

// TestExplainDraining: one that the file does not name any more, and that the
// kernel has otherwise than planned.
func TestExplainDraining(t *testing.T) {
	s := newStage()
	s.settle()
	s.service().RealServers = s.service().RealServers[1:]
	key := s.service().IPVS.ServiceKey
	s.have.Services[key].RealServers[0].Weight = 0
	e, err := s.explain("192.0.2.1:25", "smtp")
	if err != nil {
		t.Fatal(err)
	}
	wantExplanation(t, "draining", e)
	s = newStage()
	s.settle()
	s.have.Services[key].RealServers[0].Weight = 7
	if e, err = s.explain("192.0.2.1:25", "smtp"); err != nil {
		t.Fatal(err)
	}
	want := []PlaceExplanation{{Service: "tcp 192.0.2.100:25", Planned: 1, Kernel: 7, Active: 3, Inactive: 14}}
	if diff := cmp.Diff(want, e.Servers[0].Places); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func wantExplanation(t *testing.T, name string, e Explanation) {
	t.Helper()
	var got bytes.Buffer
	encoder := json.NewEncoder(&got)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(e); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", "explain", name+".json")
	if *update {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, got.Bytes(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestExplainFinds: by address, port, name, or the beginning of one.
func TestExplainFinds(t *testing.T) {
	s := newStage()
	service := s.service()
	add := func(address, host string) {
		service.RealServers = append(service.RealServers, config.RealServer{Address: netip.MustParseAddrPort(address), Host: host})
	}
	add("192.0.2.10:25", "")
	add("[2001:db8::1]:25", "mx1.example")
	add("[2001:db8::2]:25", "mx1.example")
	add("[2001:db8::3]:25", "mx2.example")
	other := s.facts.Config.Services[0]
	other.Name, other.IPVS.Address = "web", netip.MustParseAddrPort("192.0.2.100:80")
	other.RealServers = []config.RealServer{{Address: netip.MustParseAddrPort("192.0.2.1:80")}}
	s.facts.Config.Services = append(s.facts.Config.Services, other)
	s.settle()
	for _, test := range []struct {
		asked, service string
		want           []string // real servers, or what the error says
		err            error
	}{
		{"192.0.2.1:25", "", []string{"192.0.2.1:25"}, nil},
		{"192.0.2.1", "", []string{"192.0.2.1:25", "192.0.2.1:80"}, nil},
		{"::ffff:192.0.2.1", "web", []string{"192.0.2.1:80"}, nil},
		{"192.0.2.10", "", []string{"192.0.2.10:25"}, nil},
		{"192.0.2.1:", "", []string{"192.0.2.1:25", "192.0.2.1:80"}, nil},
		{"192.0.2.1:8", "", []string{"192.0.2.1:80"}, nil},
		{"2001:DB8:0::1", "", []string{"[2001:db8::1]:25"}, nil},
		{"[2001:db8::3]", "", []string{"[2001:db8::3]:25"}, nil},
		{"mx1.example", "", []string{"[2001:db8::1]:25", "[2001:db8::2]:25"}, nil},
		{"MX1", "", []string{"[2001:db8::1]:25", "[2001:db8::2]:25"}, nil},
		{"mx", "", []string{`"mx" is the beginning of "mx1.example", "mx2.example"`}, ErrUnknownServer},
		{"192.0.2.1:26", "", []string{`"192.0.2.1:26", nearest is "192.0.2.1:25"`}, ErrUnknownServer},
		{"mx3.example", "", []string{`"mx3.example", nearest is "mx1.example"`}, ErrUnknownServer},
		{"zzz", "", []string{`"zzz", there are "192.0.2.1", "192.0.2.2", "192.0.2.10", "mx1.example"`}, ErrUnknownServer},
		{"", "", []string{`"", there are "192.0.2.1"`}, ErrUnknownServer},
		{"192.0.2.2", "wbe", []string{`"wbe", nearest is "web"`}, ErrUnknownService},
		{"192.0.2.2", "web", []string{`in the virtual service "web": "192.0.2.2", which is in "smtp"`}, ErrUnknownServer},
	} {
		e, err := s.explain(test.asked, test.service)
		if !errors.Is(err, test.err) || err != nil && !strings.Contains(err.Error(), test.want[0]) {
			t.Errorf("%q in %q: %v", test.asked, test.service, err)
		}
		var got []string
		for _, server := range e.Servers {
			got = append(got, server.Address)
		}
		if test.err == nil && !slices.Equal(got, test.want) {
			t.Errorf("%q in %q: %q, want %q", test.asked, test.service, got, test.want)
		}
	}
}

// TestExplainOfARunningDirector: what it knows gets there, from what the kernel
// has to who shares the probe.
func TestExplainOfARunningDirector(t *testing.T) {
	c := farm(2, 2)
	c.Services[1].RealServers[0] = c.Services[0].RealServers[0]
	s := newSteps(t, c)
	s.verdict(c.Services[0].RealServers[0].Checks[0], false)
	s.step()
	e, err := s.Explain("10.100.0.0", "service 0")
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Servers) != 1 {
		t.Fatalf("%d servers: %+v", len(e.Servers), e)
	}
	got := e.Servers[0]
	want := []PlaceExplanation{{Service: "tcp 10.1.0.0:80"}}
	users := []CheckUser{{Service: "service 1", Server: "10.100.0.0:80"}}
	if got.State != "down" || !cmp.Equal(got.Places, want) || !cmp.Equal(got.Checks[0].Shared, users) {
		t.Errorf("%+v", got)
	}
	if _, err := s.Explain("10.100.0.0", ipvs.TCP.String()); !errors.Is(err, ErrUnknownService) {
		t.Error(err)
	}
}
