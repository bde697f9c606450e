package integration

import (
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/integration/lab"
)

// TestHold: what an operator asks for by hand is done, and lasts for as long as
// the operator wants.
func TestHold(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(*node, *virtualRouter) {})
	ask := func(want string, arguments ...string) {
		p.Helper()
		if out, err := p.first.lvsd(append([]string{"vrrp"}, arguments...)...); err != nil || out != want {
			p.Fatalf("lvsd vrrp %v: %v: %s", arguments, err, out)
		}
	}
	p.stage("the higher priority is MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
	})
	p.stage("asked for what is not there, nothing happens", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		for _, c := range []struct{ want, arguments string }{
			{`"VI_2": no such VRRP instance, nearest is "VI_1"`, "give-up VI_2"},
			{`"VI_2": no such VRRP instance, nearest is "VI_1"`, "hold VI_2"},
			{`priority "255": want 1..254 or default`, "priority VI_1 255"},
		} {
			out, err := p.first.lvsd(append([]string{"vrrp"}, strings.Fields(c.arguments)...)...)
			if err == nil || !strings.HasPrefix(out, c.want) {
				t.Errorf("lvsd vrrp %s: %v: %s", c.arguments, err, out)
			}
		}
		undisturbed()
	})
	p.stage("give-up, and the other serves", func(t *testing.T) {
		p.echo(t, p.second)
		ask("VI_1: 10.99.0.2 is MASTER\n", "give-up", "VI_1")
		p.settle(p.second)
		if reason := p.second.now().Reason; reason != "the master left" {
			t.Errorf("the other took over because %q", reason)
		}
		p.connect(t)
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.hears(p.first, 5)
		undisturbed()
	})
	p.stage("released, it preempts", func(*testing.T) {
		ask("", "release", "VI_1")
		p.settle(p.first)
	})
	p.stage("held, the other takes over", func(t *testing.T) {
		ask("", "hold", "VI_1")
		p.settle(p.second)
		out, err := p.first.lvsd("status")
		if want := "  held, BACKUP until: lvsd vrrp release VI_1\n"; err != nil || !strings.Contains(out, want) {
			t.Errorf("lvsd status: %v: %s", err, out)
		}
	})
	p.heldOver()
	p.stage("released, it is MASTER again", func(*testing.T) {
		ask("", "release", "VI_1")
		p.settle(p.first)
	})
	p.stage("a lower priority by hand", func(t *testing.T) {
		ask("", "priority", "VI_1", "50")
		p.settle(p.second)
		if i := p.first.now(); i.Priority != 50 || i.BasePriority != 50 || !strings.HasPrefix(i.Explanation, "50 set by operator") {
			t.Errorf("priority %d of %d: %s", i.Priority, i.BasePriority, i.Explanation)
		}
	})
	p.stage("the configured priority again", func(*testing.T) {
		ask("", "priority", "VI_1", "default")
		p.settle(p.first)
	})
	p.stage("nobody to give up to", func(t *testing.T) {
		p.second.stop()
		out, err := p.first.lvsd("vrrp", "give-up", "VI_1")
		if err == nil || !strings.Contains(out, "no other node became MASTER") {
			t.Errorf("give-up: %v: %s", err, out)
		}
		p.settle(p.first)
	})
}

// heldOver: however lvsd ends, the node it is started on again does not become
// MASTER, not even alone.
func (p *pair) heldOver() {
	stays := func(*testing.T) {
		p.first.start()
		p.first.wait("held", func(i director.InstanceStatus) bool { return i.Held && i.State == "backup" })
		p.hears(p.first, 5)
		p.settle(p.second)
	}
	p.stage("stopped and started, it is held", func(t *testing.T) {
		p.first.stop()
		stays(t)
	})
	p.stage("killed and started, it is held", func(t *testing.T) {
		p.first.daemon.Signal(syscall.SIGKILL)
		<-p.first.daemon.Done()
		stays(t)
	})
	p.stage("held, it is not MASTER even alone", func(t *testing.T) {
		p.second.stop()
		undisturbed := p.undisturbed(t, p.first)
		p.first.wait("silence of the other", func(i director.InstanceStatus) bool {
			return i.Master == ""
		})
		undisturbed()
		p.second.start()
		p.settle(p.second)
	})
}
