package director

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// fileCheck is one by which a server tells its weight.
func fileCheck(n int) healthcheck.Spec {
	return healthcheck.Check{
		Kind: probe.File{Path: "/run/weight"}, Interval: time.Hour, Timeout: time.Second, Retries: n, Rise: 1, Fall: 1,
	}.Of(netip.MustParseAddrPort("192.0.2.1:25"))
}

func TestToldWeight(t *testing.T) {
	first, second, failing := fileCheck(1), fileCheck(2), fileCheck(3)
	silent := healthcheck.Check{Kind: probe.Script{}}.Of(netip.AddrPort{})
	verdicts := map[healthcheck.Spec]bool{first: true, second: true, silent: true}
	told := map[healthcheck.Spec]probe.Weight{
		first: {Known: true, Value: 30}, second: {Known: true, Value: 20}, failing: {Known: true, Value: 1},
		silent: {Known: true, Value: 2}, // a script that is not dynamic says nothing
	}
	for _, test := range []struct {
		name   string
		checks []healthcheck.Spec
		added  int
		want   int
	}{
		{"none", nil, 0, 100},
		{"one", []healthcheck.Spec{first}, 0, 30},
		{"the least of several", []healthcheck.Spec{first, second}, 0, 20},
		{"in any order", []healthcheck.Spec{second, first}, 0, 20},
		{"not of one that fails", []healthcheck.Spec{failing, first}, 0, 30},
		{"not of one that cannot tell", []healthcheck.Spec{silent, first}, 0, 30},
		{"and weight checks add to it", []healthcheck.Spec{first}, 5, 35},
		{"within the bounds", []healthcheck.Spec{first}, 65535, 65535},
	} {
		server := config.RealServer{Weight: 100, AnyCheck: true, Checks: test.checks}
		if test.added != 0 {
			server.WeightChecks = []config.WeightCheck{{Check: silent, Weight: test.added}}
		}
		f := Facts{Up: upOf(verdicts), Told: func(spec healthcheck.Spec) probe.Weight { return told[spec] }}
		if got := f.upWeight(&config.VirtualService{}, &server); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

// TestDrainedCountsForNothing: a server that tells 0 is up, and not of those that
// make the quorum; a service tracker counts it likewise.
func TestDrainedCountsForNothing(t *testing.T) {
	service := config.VirtualService{Quorum: config.Quorum{Weight: 10}}
	checks := []healthcheck.Spec{fileCheck(1), fileCheck(2)}
	for _, check := range checks {
		service.RealServers = append(service.RealServers, config.RealServer{Weight: 10, Checks: []healthcheck.Spec{check}})
	}
	for weight, want := range map[int]tally{
		0: {Up: 10, Needed: 10, Quorate: true}, 5: {Up: 15, Needed: 10, Quorate: true},
	} {
		ask := func(spec healthcheck.Spec) healthcheck.Status {
			return healthcheck.Status{
				Verdict: healthcheck.Verdict{State: healthcheck.Up, Up: true},
				Weight:  probe.Weight{Known: spec == checks[0], Value: weight},
			}
		}
		f := Facts{
			Up:   func(healthcheck.Spec) bool { return true },
			Told: func(spec healthcheck.Spec) probe.Weight { return ask(spec).Weight },
		}
		if got := f.tally(&service); got != want {
			t.Errorf("told %d: %+v, want %+v", weight, got, want)
		}
		if got := findService(service, 11, ask).State; (got == track.Up) != (weight > 0) {
			t.Errorf("told %d: the tracker is %v", weight, got)
		}
	}
}

// TestWeightAloneChanges: a weight that a check tells reaches the kernel at once,
// without its being read.
func TestWeightAloneChanges(t *testing.T) {
	c := farm(2, 2)
	server := &c.Services[0].RealServers[0]
	file := healthcheck.Check{Kind: probe.File{Path: "/run/weight"}}.Of(server.Address)
	server.Checks = append(server.Checks, file)
	s := newSteps(t, c)
	s.kernel.takeDone()
	s.kernel.unreadable = errInjected
	for _, weight := range []int{3, 0, 5, -1} {
		s.tells(file, weight)
		s.step()
	}
	s.tells(file, 5) // is the configured one
	s.step()
	edit := "ipvsadm -e -t 10.1.0.0:80 -r 10.100.0.0:80 -g -w "
	if diff := cmp.Diff([]string{edit + "3", edit + "0", edit + "5"}, s.kernel.takeDone()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	var lines []string
	for line := range strings.Lines(s.log.String()) {
		if _, text, ok := strings.Cut(line, `msg="check tells another weight" `); ok {
			lines = append(lines, strings.TrimSpace(text))
		}
	}
	want := []string{"told_weight=3 told_weight_before=none", "told_weight=0 told_weight_before=3", "told_weight=5 told_weight_before=0", "told_weight=none told_weight_before=5", "told_weight=5 told_weight_before=none"}
	for i := range want {
		want[i] = "check=file target=10.100.0.0:80 " + want[i] + ` code="" reason=""`
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// TestCheckLog: one line for a change of state, with the weight if that is new;
// one when a warning comes, another when it goes.
func TestCheckLog(t *testing.T) {
	c := farm(1, 1)
	spec := c.Services[0].RealServers[0].Checks[0]
	s := newSteps(t, c)
	before := len(s.log.String())
	seven := probe.Weight{Known: true, Value: 7}
	for _, change := range []healthcheck.Change{
		{From: healthcheck.Unknown, To: healthcheck.Up, Weight: seven, Warning: "expires"},
		{From: healthcheck.Up, To: healthcheck.Up, Weight: seven, WeightBefore: seven, Warning: "expired", WarningBefore: "expires"},
		{From: healthcheck.Up, To: healthcheck.Down, Weight: seven, WeightBefore: seven, Warning: "expired", WarningBefore: "expired", Result: probe.Result{Code: probe.L4CON, Reason: "refused"}},
		{From: healthcheck.Down, To: healthcheck.Up, WeightBefore: seven, WarningBefore: "expired"},
	} {
		change.Spec = spec
		s.verdictChanged(change)
	}
	s.poolNoticed(healthcheck.Notice{Kind: healthcheck.Held, Text: "most fail"})
	s.poolNoticed(healthcheck.Notice{Kind: healthcheck.Held, Text: "it was 3s", Over: true})
	var got []string
	for line := range strings.Lines(s.log.String()[before:]) {
		_, line, _ = strings.Cut(line, " ") // the time
		got = append(got, strings.Replace(strings.TrimSpace(line), " check=tcp target=10.100.0.0:80", "", 1))
	}
	want := []string{
		`level=INFO msg="check up" from=unknown code="" reason="" told_weight=7 told_weight_before=none`,
		`level=WARN msg="check warns" warning=expires`,
		`level=WARN msg="check warns" warning=expired`,
		`level=WARN msg="check down" from=up code=L4CON reason=refused`,
		`level=INFO msg="check up" from=down code="" reason="" told_weight=none told_weight_before=7`,
		`level=INFO msg="check warns no more" before=expired`,
		`level=WARN msg="checks held" reason="most fail"`,
		`level=INFO msg="checks go on as usual" after=held reason="it was 3s"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

// TestKernelSeedsVerdicts: what serves proves that its checks pass, whatever
// another service with the same check has.
func TestKernelSeedsVerdicts(t *testing.T) {
	c := farm(2, 2)
	shared := c.Services[0].RealServers[0].Checks[0]
	lone := c.Services[1].RealServers[1].Checks[0]
	first, second := &c.Services[0].RealServers[0], &c.Services[1].RealServers[0]
	second.Checks = []healthcheck.Spec{shared, lone}
	have := Plan(Facts{Config: c})
	weigh := func(n int, server *config.RealServer, weight int) {
		service := have.Services[c.Services[n].IPVS.ServiceKey]
		i := slices.IndexFunc(service.RealServers, func(d ipvs.Destination) bool { return d.Address == server.Address })
		service.RealServers[i].Weight = weight
	}
	weigh(0, first, 5)
	if up := have.verdicts(c, Admin{}); !up[shared] || up[lone] {
		t.Errorf("one serves, one does not: shared %v, lone %v", up[shared], up[lone])
	}
	weigh(0, first, 0)
	weigh(1, second, 5)
	weigh(1, &c.Services[1].RealServers[1], 0)
	if up := have.verdicts(c, Admin{}); !up[shared] || !up[lone] {
		t.Errorf("all checks of one that serves pass: shared %v, lone %v", up[shared], up[lone])
	}
	second.AnyCheck = true
	if up := have.verdicts(c, Admin{}); up[shared] || up[lone] {
		t.Errorf("one of any passes, but others say that these do not: shared %v, lone %v", up[shared], up[lone])
	}
	weigh(1, &c.Services[1].RealServers[1], 5)
	if up := have.verdicts(c, Admin{}); up[shared] || !up[lone] {
		t.Errorf("shared %v, lone %v", up[shared], up[lone])
	}
}

// TestRestartKeepsToldWeights: what a server told a predecessor stands until the
// check has answered, drained ones stay, and a preview says the same.
func TestRestartKeepsToldWeights(t *testing.T) {
	for _, onFailure := range []config.OnFailure{config.Quiesce, config.Remove} {
		synctest.Test(t, func(t *testing.T) {
			n := newNode(t, vrrptest.New(), 1)
			service := &n.config.Services[0]
			service.OnFailure = onFailure
			for i := range service.RealServers {
				service.RealServers[i].Weight = 100
				service.RealServers[i].Checks = []healthcheck.Spec{
					healthcheck.Check{
						Kind: probe.File{Path: t.TempDir() + "/weight"}, Interval: time.Hour, Timeout: time.Second, Rise: 1, Fall: 1,
					}.Of(service.RealServers[i].Address),
				}
			}
			left := Plan(Facts{Config: n.config, Up: upOf(allUp(n.config))})
			servers := left.Services[service.IPVS.ServiceKey].RealServers
			servers[0].Weight, servers[1].Weight = 30, 0
			n.kernel.change(func(s State) { maps.Copy(s.Services, left.Services) })
			n.kernel.takeDone()
			p := n.previewed(n.starting().Preview)
			for _, change := range p.Changes {
				if change.Kind == ChangeIPVS {
					t.Errorf("foreseen: %s", change.Command)
				}
			}
		})
	}
}

// TestPreviewKnowsToldWeights: what servers tell the daemon counts in what a
// reload would change, and one that tells nothing gets its new configured weight.
func TestPreviewKnowsToldWeights(t *testing.T) {
	c := relayConfig()
	servers := c.Services[0].RealServers
	for i := range servers {
		servers[i].Weight = 50
		servers[i].Checks = []healthcheck.Spec{fileCheck(i)}
	}
	kernel := newModel()
	kernel.state = Plan(Facts{Config: c, Up: upOf(allUp(c)), Kept: map[ServerKey]int{
		serverKey(&c.Services[0], servers[0].Address): 30, serverKey(&c.Services[0], servers[1].Address): 40,
	}})
	first, err := kernel.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	plan := func(statuses map[healthcheck.Spec]healthcheck.Status) map[string]int {
		twin := newTwin(Options{Config: c, Kernel: kernel})
		if err := twin.adopt(Memory{}, first); err != nil {
			t.Fatal(err)
		}
		if err := twin.hear(statuses); err != nil {
			t.Fatal(err)
		}
		weights := map[string]int{}
		for _, server := range servicesOnly(twin.partFacts(c.Services))[c.Services[0].IPVS.ServiceKey].RealServers {
			weights[server.Address.Addr().String()] = server.Weight
		}
		return weights
	}
	up := healthcheck.Status{Verdict: healthcheck.Verdict{State: healthcheck.Up, Up: true}}
	telling := up
	telling.Weight = probe.Weight{Known: true, Value: 7}
	if diff := cmp.Diff(map[string]int{"192.0.2.1": 30, "192.0.2.2": 40}, plan(nil)); diff != "" {
		t.Errorf("unanswered (-want +got):\n%s", diff)
	}
	answers := map[healthcheck.Spec]healthcheck.Status{servers[0].Checks[0]: telling, servers[1].Checks[0]: up}
	if diff := cmp.Diff(map[string]int{"192.0.2.1": 7, "192.0.2.2": 50}, plan(answers)); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
}
