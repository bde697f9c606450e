package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// TestCommandLine: what people type is answered by a running daemon.
func TestCommandLine(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(*node, *virtualRouter) {})
	p.stage("the higher priority is MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
	})
	p.stage("status", func(t *testing.T) {
		p.typed(t, 0, []string{"INSTANCE", "VI_1", "MASTER"}, "status")
		p.typed(t, 0, []string{"LVSD OK: VI_1 is MASTER", " | servers_up=0;;;0;0 masters=1;;;0;1 "}, "status", "--nagios")
		p.typed(t, 0, []string{"not in maintenance"}, "maintenance")
	})
	p.stage("explain an instance", func(t *testing.T) {
		p.typed(t, 0, []string{"VI_1: MASTER", "priority: 150", "VIP 10.99.0.100: held", "no advert from a master"}, "explain", "VI_1")
		var e director.InstanceExplanation
		if err := json.Unmarshal([]byte(p.typed(t, 0, nil, "explain", "--instance", "VI_1", "--json")), &e); err != nil || e.Instance.State != "master" {
			t.Errorf("%v: %+v", err, e.Instance)
		}
		p.typed(t, 2, []string{`no such VRRP instance`, `nearest is "VI_1"`}, "explain", "--instance", "VI_2")
		p.typed(t, 2, []string{"no such virtual service"}, "explain", "--service", "smtp")
	})
	p.stage("events", p.showsEvents)
	p.stage("orders of what is not there", func(t *testing.T) {
		p.typed(t, 2, []string{"no such virtual service"}, "server", "drain", "smtp", "192.0.2.1")
		p.typed(t, 2, []string{"no such virtual service"}, "service", "drain", "smtp")
		p.typed(t, 2, []string{"no such"}, "check-now", "192.0.2.1")
	})
	p.stage("reload", p.reloadsByCommand)
	p.stage("maintenance with nobody to leave to", func(t *testing.T) {
		p.second.stop()
		p.typed(t, 1, []string{"no other node became MASTER"}, "maintenance", "on")
		p.settle(p.first)
		p.typed(t, 0, []string{"not in maintenance"}, "maintenance")
	})
	p.stage("nobody is there", func(t *testing.T) {
		p.first.stop()
		p.typed(t, 3, []string{"not running"}, "status")
		p.typed(t, 2, []string{"LVSD CRITICAL: lvsd is not running"}, "status", "--nagios")
	})
}

// typed runs a command on the first node, which must exit with the code and say the
// parts, and returns what it said.
func (p *pair) typed(t *testing.T, code int, parts []string, arguments ...string) string {
	t.Helper()
	out, err := p.first.lvsd(arguments...)
	if got := exitCode(err); got != code {
		t.Errorf("lvsd %s: exit code %d, want %d: %s", arguments, got, code, out)
	}
	for _, part := range parts {
		if !strings.Contains(out, part) {
			t.Errorf("lvsd %s: no %q in:\n%s", arguments, part, out)
		}
	}
	return out
}

// showsEvents: what happened is told, the newest last, and by kind.
func (p *pair) showsEvents(t *testing.T) {
	out := p.typed(t, 0, []string{"daemon.started", "instance.state"}, "events")
	if strings.Index(out, "daemon.started") > strings.LastIndex(out, "instance.state") {
		t.Errorf("the newest is not last:\n%s", out)
	}
	for line := range strings.Lines(p.typed(t, 0, nil, "events", "--kind", "instance.*", "--json")) {
		var e director.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || !strings.HasPrefix(string(e.Kind), "instance.") || e.Instance != "VI_1" {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// reloadsByCommand: a good file is gone over to, a bad one changes nothing, and one that nobody
// confirms is taken back.
func (p *pair) reloadsByCommand(t *testing.T) {
	before, err := os.ReadFile(p.first.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(p.first.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	instance := func(name string) bool {
		all, err := p.first.all()
		if err != nil {
			t.Fatal(err)
		}
		_, is := all[name]
		return is
	}
	write(string(before) + "garbage = 1\n")
	p.typed(t, 1, []string{"lvsd.toml:", "garbage"}, "reload")
	p.typed(t, 1, []string{"garbage"}, "reload", "--dry-run")
	p.typed(t, 1, []string{"LVSD WARNING: last reload refused: "}, "status", "--nagios")

	more := strings.NewReplacer("VI_1", "VI_2", "vrid = 20", "vrid = 21", "10.99.0.100", "10.99.0.101").Replace(string(before))
	write(string(before) + "\n" + more)
	p.typed(t, 0, []string{"instance VI_2 is BACKUP"}, "reload", "--dry-run")
	if instance("VI_2") {
		t.Error("a dry run reloaded")
	}
	p.typed(t, 0, []string{"reloaded"}, "reload")
	if !instance("VI_2") {
		t.Error("after the reload there is no VI_2")
	}
	p.typed(t, 1, []string{"no reload waits to be confirmed"}, "confirm")

	write(string(before))
	p.typed(t, 0, []string{"unless confirmed before: lvsd confirm"}, "reload", "--confirm", "2s")
	p.lab.WaitFor("the reload to be taken back", func() error {
		status, err := p.first.status()
		if err == nil && (!status.Confirm.IsZero() || len(status.Instances) != 2) {
			err = fmt.Errorf("%d instances, to be confirmed until %v", len(status.Instances), status.Confirm)
		}
		return err
	})
	p.typed(t, 0, nil, "reload", "--confirm", "10m")
	p.typed(t, 0, []string{"the last reload is rolled back in ", "unless confirmed: lvsd confirm"}, "status")
	p.typed(t, 1, []string{"confirmed"}, "reload")
	p.typed(t, 0, []string{"confirmed"}, "confirm")
	if instance("VI_2") {
		t.Error("the reload that was confirmed did not stay")
	}
}
