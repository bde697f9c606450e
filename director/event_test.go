package director

import (
	"context"
	"errors"
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
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// happenings are the events after seq, a line for each.
func happenings(d *Director, seq uint64) []string {
	var all []string
	for _, e := range d.Events(seq) {
		all = append(all, fmt.Sprintf("%s %s: %s", e.Kind, e.Severity, e.Text))
	}
	return all
}

func wantEvents(t *testing.T, d *Director, seq uint64, want ...string) (last uint64) {
	t.Helper()
	if diff := cmp.Diff(want, happenings(d, seq)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if all := d.Events(0); len(all) > 0 {
		last = all[len(all)-1].Seq
	}
	return last
}

// TestEventsOfANode: a node alone from its start to its end.
func TestEventsOfANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Trackers = []config.Tracker{{Name: "uplink", Kind: config.TrackInterface, Interface: "eth9"}}
		n.config.Groups = []config.SyncGroup{{Name: "all", Instances: []string{"relay"}}}
		n.start()
		advance(5 * time.Second)
		last := wantEvents(t, n.director, 0,
			"daemon.started info: lvsd started",
			"tracker.state info: tracker uplink is up: eth9 is up",
			"instance.state info: relay is BACKUP with priority 100, was INITIALIZE: started",
			"group.state info: sync group all is BACKUP, was INITIALIZE: relay: started",
			"instance.state info: relay is MASTER with priority 100, was BACKUP: no advert from a master",
			"group.state info: sync group all is MASTER, was BACKUP: relay: no advert from a master",
		)
		for _, e := range n.director.Events(0) {
			if e.Node != "node" {
				t.Errorf("node %q in %+v", e.Node, e)
			}
		}
		advance(10 * time.Minute)
		last = wantEvents(t, n.director, last) // nothing happened

		n.kernel.setLink("eth9", false)
		advance(time.Second)
		last = wantEvents(t, n.director, last, "tracker.state warning: tracker uplink is down: eth9 is down")

		n.kernel.hear(relayClaim)
		advance(2 * time.Second)
		advance(conflictPatience)
		last = wantEvents(t, n.director, last,
			"address.conflict warning: another host, 02:00:00:00:00:09 on eth0, has VIPs of this MASTER: 192.0.2.100",
			"address.conflict info: 02:00:00:00:00:09 on eth0 has VIPs of this node no more: 192.0.2.100",
		)

		n.kernel.change(func(s State) { delete(s.VIPs, relayVIP) })
		advance(2 * time.Second)
		last = wantEvents(t, n.director, last,
			"kernel.drift warning: repaired what somebody else changed: found absent, did ip address add 192.0.2.100/32 dev eth0")

		n.kernel.failWith(errors.New("no memory"))
		n.kernel.change(func(s State) { delete(s.Services, n.config.Services[0].IPVS.ServiceKey) })
		advance(5 * time.Second)
		n.kernel.failWith(nil)
		advance(5 * time.Second)
		kinds := []EventKind{}
		for _, e := range n.director.Events(last) {
			kinds, last = append(kinds, e.Kind), e.Seq
		}
		if diff := cmp.Diff([]EventKind{EventKernelFailed, EventDrift, EventKernelRecovered}, kinds); diff != "" {
			t.Errorf("a kernel that fails (-want +got):\n%s\n%s", diff, n.log)
		}

		next := *n.config
		if err := n.director.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		n.director.ReloadFailed(errors.New("a brace is missing"))
		advance(time.Second)
		last = wantEvents(t, n.director, last,
			"config.reloaded info: went over to another configuration",
			"config.refused error: reload refused, nothing changed: a brace is missing")

		n.kernel.setLink("eth0", false)
		advance(time.Second)
		n.stop(fmt.Errorf("signal terminated"))
		got := happenings(n.director, last)
		want := []string{
			"instance.state warning: relay is FAULT with priority 100, was MASTER: ",
			"group.state warning: sync group all is FAULT, was MASTER: ",
			"daemon.stopping info: lvsd stops and gives up what it holds: signal terminated",
			"instance.state info: relay is INITIALIZE with priority 100, was FAULT: ",
			"group.state info: sync group all is INITIALIZE, was FAULT: ",
		}
		if len(got) != len(want) {
			t.Fatalf("at the end: %q", got)
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("at the end: %q, want %q", got[i], want[i])
			}
		}
	})
}

// failWith makes every operation fail, or none.
func (m *model) failWith(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = nil
	if err != nil {
		m.fail = func(Op) error { return err }
	}
}

// TestEventsOfServers: what a check says, what becomes of the weight, and how many
// are left.
func TestEventsOfServers(t *testing.T) {
	c := farm(1, 3)
	service := &c.Services[0]
	service.Name, service.Quorum.Weight = "web", 6
	s := newSteps(t, c)
	checks := []healthcheck.Spec{
		service.RealServers[0].Checks[0], service.RealServers[1].Checks[0], service.RealServers[2].Checks[0],
	}
	last := wantEvents(t, s.Director, 0) // that all is well at first is no news
	s.verdict(checks[0], false)
	s.step()
	last = wantEvents(t, s.Director, last, "server.down warning: server web/10.100.0.0:80 down; weight 5 -> 0; web now 2 of 3 up")
	s.verdict(checks[1], false)
	s.verdict(checks[2], false)
	s.step()
	last = wantEvents(t, s.Director, last,
		"server.down warning: server web/10.101.0.0:80 down; weight 5 -> 0; web now 0 of 3 up",
		"server.down warning: server web/10.102.0.0:80 down; weight 5 -> 0; web now 0 of 3 up",
		"service.quorum_down error: service web has lost its quorum: weight 0 is up, quorum 6",
	)
	s.step()
	last = wantEvents(t, s.Director, last)
	for i := range checks {
		s.verdict(checks[i], true)
	}
	s.step()
	wantEvents(t, s.Director, last,
		"server.up info: server web/10.100.0.0:80 up; weight 0 -> 5; web now 3 of 3 up",
		"server.up info: server web/10.101.0.0:80 up; weight 0 -> 5; web now 3 of 3 up",
		"server.up info: server web/10.102.0.0:80 up; weight 0 -> 5; web now 3 of 3 up",
		"service.quorum_up info: service web has its quorum again: weight 15 is up, quorum 6",
	)
	for _, e := range s.Events(0) {
		if e.Service != "web" || len(e.Addresses) != 1 || e.Addresses[0] != "tcp 10.1.0.0:80" || e.From == e.To {
			t.Errorf("%+v", e)
		}
	}
	if e := s.Events(0)[0]; e.Server != "10.100.0.0:80" || e.From != "up" || e.To != "down" {
		t.Errorf("%+v", e)
	}
	if text := s.log.String(); strings.Count(text, `msg="server down" service=web server=10.100.0.0:80 servers_up=2 servers=3 effect="weight 5 -> 0"`) != 1 {
		t.Errorf("log:\n%s", text)
	}
}

// TestEventSaysWhatTheCheckSays, and what OnFailure and operators make of it.
func TestEventSaysWhatTheCheckSays(t *testing.T) {
	c := farm(1, 1)
	c.Services[0].OnFailure = config.Remove
	s := newSteps(t, c)
	service := &c.Services[0]
	check := service.RealServers[0].Checks[0]
	failed := healthcheck.Status{}
	failed.State = healthcheck.Down
	failed.Last.Code, failed.Last.Reason = "L7RSP", `451 "try later"`
	s.statusOf = func(healthcheck.Spec) healthcheck.Status { return failed }
	s.verdictChanged(healthcheck.Change{Spec: check, From: healthcheck.Up, To: healthcheck.Down})
	s.step()
	e := s.Events(0)[0]
	want := `server service 0/10.100.0.0:80 down: L7RSP 451 "try later"; removed, had weight 5; service 0 now 0 of 1 up`
	if e.Text != want || e.Code != "L7RSP" || e.Reason != `451 "try later"` {
		t.Errorf("%+v", e)
	}
}

// TestEventsOfTwoMasters: what an instance hears, and that it ends.
func TestEventsOfTwoMasters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		strong, weak := newNode(t, lan, 1), newNode(t, lan, 2)
		strong.config.VRRP[0].Router.Priority = 150
		lan.Cut(strong.address, weak.address)
		lan.Cut(weak.address, strong.address)
		strong.start()
		weak.start()
		advance(10 * time.Second)
		lan.Join(weak.address, strong.address) // weak does not hear strong yet
		advance(time.Minute)
		lan.Join(strong.address, weak.address)
		advance(2 * time.Minute)
		var notices []string
		for _, e := range strong.director.Events(0) {
			if e.Kind == EventInstanceNotice {
				notices = append(notices, e.Instance+" "+e.Code+" "+e.To+" "+e.Severity)
			}
		}
		want := []string{"relay two_masters begun warning", "relay two_masters over info"}
		if diff := cmp.Diff(want, notices); diff != "" {
			t.Errorf("notices (-want +got):\n%s", diff)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestEventsOfChecksAsAWhole: what is the matter with all of them, and its end.
func TestEventsOfChecksAsAWhole(t *testing.T) {
	d := New(Options{Config: farm(1, 1), Network: noNetwork{}, Log: slog.New(slog.DiscardHandler)})
	d.poolNoticed(healthcheck.Notice{Kind: "held", Text: "most fail"})
	d.poolNoticed(healthcheck.Notice{Kind: "held", Text: "it was 3s", Over: true})
	wantEvents(t, d, 0, "checks.notice warning: checks held: most fail", "checks.notice info: checks go on as usual: it was 3s")
}

// TestConfigurationKnowsTheKinds: patterns of alerts may mean every kind and no other.
func TestConfigurationKnowsTheKinds(t *testing.T) {
	var kinds []string
	for _, kind := range EventKinds() {
		kinds = append(kinds, string(kind))
	}
	if diff := cmp.Diff(kinds, config.EventKinds()); diff != "" {
		t.Errorf("config.EventKinds (-director +config):\n%s", diff)
	}
}

// TestEveryKindIsDocumented in the table of docs/alerts.md.
func TestEveryKindIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "alerts.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range EventKinds() {
		if !strings.Contains(string(text), "\n| `"+string(kind)+"` |") {
			t.Errorf("docs/alerts.md has no row for %s", kind)
		}
	}
}

func TestExplainInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Trackers = []config.Tracker{
			{Name: "uplink", Kind: config.TrackInterface, Interface: "eth9"},
			{Name: "other", Kind: config.TrackInterface, Interface: "eth8"},
		}
		n.config.VRRP[0].Track = []config.Tracked{{Tracker: "uplink", Weight: -10}}
		n.config.Groups = []config.SyncGroup{{Name: "all", Instances: []string{"relay"}}}
		n.start()
		advance(5 * time.Second)
		n.kernel.setLink("eth9", false)
		advance(time.Second)
		e, err := n.director.ExplainInstance("relay")
		if err != nil {
			t.Fatal(err)
		}
		var kinds []EventKind
		for _, event := range e.Events {
			kinds = append(kinds, event.Kind)
		}
		want := []EventKind{EventTracker, EventInstance, EventGroup, EventInstance, EventGroup, EventTracker}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if len(e.Trackers) != 1 || e.Trackers[0].Name != "uplink" || e.Group == nil || e.Instance.Priority != 90 {
			t.Errorf("explained %+v", e)
		}
		if _, err := n.director.ExplainInstance("rely"); !errors.Is(err, ErrUnknownInstance) || !strings.Contains(err.Error(), `"relay"`) {
			t.Errorf("error %v", err)
		}
		n.stop(context.Canceled)
	})
}

func TestExplainService(t *testing.T) {
	c := farm(3, 2)
	c.Services[0].Name, c.Services[1].Name = "web", "web" // two addresses of one
	c.Services[1].RealServers = c.Services[0].RealServers
	s := newSteps(t, c)
	for i := range 30 {
		s.verdict(c.Services[0].RealServers[0].Checks[0], i%2 == 1)
		s.step()
	}
	s.verdict(c.Services[2].RealServers[0].Checks[0], false)
	s.step()
	e, err := s.ExplainService("web")
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Services) != 2 || len(e.Servers) != 2 || len(e.Servers[0].Places) != 2 || len(e.Events) != explainedEvents {
		t.Errorf("%d services, %d servers, %d events", len(e.Services), len(e.Servers), len(e.Events))
	}
	for _, event := range e.Events {
		if event.Service != "web" {
			t.Errorf("%+v", event)
		}
	}
	if _, err := s.ExplainService("wep"); !errors.Is(err, ErrUnknownService) || !strings.Contains(err.Error(), `"web"`) {
		t.Errorf("error %v", err)
	}
}
