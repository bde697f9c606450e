package director

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// reporter is a director that does not run, whose checks say what down says: the
// reason, empty is up.
func reporter(c *config.Config, down func(healthcheck.Spec) string) *Director {
	kernel := newModel()
	d := New(Options{Config: c, Version: "1.0", Kernel: kernel, Network: kernel, Log: slog.New(slog.DiscardHandler)})
	d.statusOf = func(spec healthcheck.Spec) healthcheck.Status {
		if reason := down(spec); reason != "" {
			result := probe.Result{Code: "L4CON", Reason: reason}
			return healthcheck.Status{Verdict: healthcheck.Verdict{State: healthcheck.Down}, Last: result, LastFailure: result}
		}
		return healthcheck.Status{Verdict: healthcheck.Verdict{State: healthcheck.Up, Up: true}}
	}
	d.view.have = Plan(Facts{Config: c, Up: func(spec healthcheck.Spec) bool { return down(spec) == "" }})
	return d
}

func TestReport(t *testing.T) {
	c := relayConfig()
	c.Hash = "0123456789abcdef"
	first := c.Services[0].RealServers[0]
	d := reporter(c, func(spec healthcheck.Spec) string {
		if spec == first.Checks[0] {
			return "connection refused"
		}
		return ""
	})
	d.view.snapshot.Services = []ipvs.ServiceEntry{{
		Service: c.Services[0].IPVS,
		Destinations: []ipvs.DestinationEntry{{
			Destination: ipvs.Destination{Address: c.Services[0].RealServers[1].Address}, Active: 7,
		}},
	}}
	want := NodeReport{
		Version: "1.0", Started: d.started, ConfigHash: c.Hash, Roles: map[string]string{},
		Servers: []ServerReport{
			{Service: "smtp", Address: "192.0.2.1:25", State: "down", Reason: first.Checks[0].String() + " L4CON: connection refused"},
			{Service: "smtp", Address: "192.0.2.2:25", State: "up", Weight: 1, Active: 7},
		},
	}
	if diff := cmp.Diff(want, d.Report()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	d.view.have = NewState()
	if weight := d.Report().Servers[1].Weight; weight != -1 {
		t.Errorf("weight %d of a real server that the kernel does not have", weight)
	}
}

// TestReportIsTheStatus: a report says the same as the status does.
func TestReportIsTheStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Hash = "0123456789abcdef"
		n.start()
		for _, role := range []string{"backup", "master"} {
			report, status := n.director.Report(), n.director.Status()
			want := NodeReport{
				Version: status.Version, Started: status.Started, ConfigHash: status.ConfigHash, Ready: status.Ready,
				Roles: map[string]string{"relay": role}, Servers: status.ServerReports(),
			}
			if diff := cmp.Diff(want, report); diff != "" || status.Instances[0].State != role {
				t.Errorf("as %s (-want +got):\n%s", role, diff)
			}
			advance(5 * time.Second)
		}
		n.stop(context.Canceled)
	})
}

// TestReportBounds: of many real servers only those are told of that are not up, and
// of these not any number.
func TestReportBounds(t *testing.T) {
	servers := func(count int, state string) []ServerReport {
		all := make([]ServerReport, count)
		for i := range all {
			all[i] = ServerReport{Address: fmt.Sprint(i), State: state}
		}
		return all
	}
	for name, c := range map[string]struct {
		servers []ServerReport
		want    int
		omitted bool
	}{
		"few":             {servers(reportAll, stateUp), reportAll, false},
		"many":            {servers(reportAll+1, stateUp), 0, true},
		"many, some down": {slices.Concat(servers(reportAll, stateUp), servers(3, stateDown), servers(2, stateUnknown)), 5, true},
		"all down":        {servers(reportMost, stateDown), reportMost, true},
		"too many down":   {servers(reportMost+1, stateDown), reportMost, false},
	} {
		r := NodeReport{Servers: c.servers}
		r.bound()
		if len(r.Servers) != c.want || r.UpOmitted != c.omitted {
			t.Errorf("%s: told of %d, others omitted %v, want %d, %v", name, len(r.Servers), r.UpOmitted, c.want, c.omitted)
		}
	}
	for _, text := range []string{strings.Repeat("x", 1000), strings.Repeat("ä", 1000), "x" + strings.Repeat("ä", 1000)} {
		r := NodeReport{Servers: []ServerReport{{Reason: text}}}
		r.bound()
		got := r.Servers[0].Reason
		if len(got) < reportReason-utf8.UTFMax || len(got) > reportReason || !strings.HasPrefix(text, got) || !utf8.ValidString(got) {
			t.Errorf("%.10s is cut to %d bytes: %q", text, len(got), got)
		}
	}
}

func TestDisagreements(t *testing.T) {
	server := func(address, state string) ServerReport {
		return ServerReport{Service: "web", Address: address, State: state, Reason: map[string]string{stateDown: "refused"}[state]}
	}
	node := func(name string, reachable bool, servers ...ServerReport) NodeStatus {
		return NodeStatus{Name: name, Reachable: reachable, NodeReport: NodeReport{Servers: servers}}
	}
	own := []ServerReport{
		server("192.0.2.11:80", stateUp), server("192.0.2.12:80", stateDown), server("192.0.2.13:80", stateUnknown),
		server("192.0.2.14:80", stateDraining), server("192.0.2.15:80", stateUp),
	}
	large := node("large", true, server("192.0.2.15:80", stateDown))
	large.UpOmitted, large.ConfigHash = true, "00c0ffee"
	otherFile := node("other file", true)
	otherFile.UpOmitted, otherFile.ConfigHash = true, "00c0ffef"
	elsewhere := node("elsewhere", true, server("192.0.2.11:80", stateDown))
	elsewhere.Servers[0].Service = "smtp"
	got := Disagreements(own, "00c0ffee", []NodeStatus{
		node("agrees", true, own...),
		node("opposed", true, server("192.0.2.11:80", stateDown), server("192.0.2.12:80", stateUp), server("192.0.2.13:80", stateUp), server("192.0.2.14:80", stateDown)),
		node("away", false, server("192.0.2.11:80", stateDown)),
		node("young", true, server("192.0.2.11:80", stateUnknown), server("192.0.2.12:80", stateUnknown)),
		node("without", true),
		elsewhere, large, otherFile,
	})
	want := []Disagreement{
		{Service: "web", Address: "192.0.2.11:80", State: stateUp, Others: []Opinion{{"opposed", stateDown, "refused"}}},
		{Service: "web", Address: "192.0.2.12:80", State: stateDown, Others: []Opinion{{"opposed", stateUp, ""}, {"large", stateUp, ""}}},
		{Service: "web", Address: "192.0.2.15:80", State: stateUp, Others: []Opinion{{"large", stateDown, "refused"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("disagreements (-want +got):\n%s", diff)
	}
	if got := (Status{}).Disagreements(); got == nil || len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// BenchmarkReport is what each node does once an interval, beside BenchmarkStatus,
// which it is to be far from.
func BenchmarkReport(b *testing.B) { benchmarkReport(b, func(d *Director) { d.Report() }) }

func BenchmarkStatus(b *testing.B) { benchmarkReport(b, func(d *Director) { d.Status() }) }

func benchmarkReport(b *testing.B, run func(*Director)) {
	benchmarkSizes(b, func(b *testing.B, f Facts) {
		d := reporter(f.Config, func(healthcheck.Spec) string { return "" })
		d.view.snapshot = snapshotOf(d.view.have)
		for b.Loop() {
			run(d)
		}
	})
}
