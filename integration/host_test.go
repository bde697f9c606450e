package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"

	"github.com/lvsd/lvsd/integration/relay"
)

// foreignRules are somebody else's, as iptables prints them.
var foreignRules = map[string]string{
	"nat":    "-A PREROUTING -d " + hostVIP + "/32 -p tcp -m tcp --dport 9 -m comment --comment \"not lvsd\" -j RETURN",
	"filter": "-A FORWARD -s 10.99.0.99/32 -j DROP",
}

// TestFailover: whatever happens to the MASTER, the other node takes over, and
// afterwards there is one holder of the VIP, the client knows which, and the
// other one has the rule.
func TestFailover(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedTcpdump)
	t.Parallel()
	p := newPair(t)
	for _, n := range p.nodes() {
		for table, rule := range foreignRules {
			n.Run("sh", "-c", "iptables -t "+table+" "+rule)
		}
	}
	p.stage("the higher priority is MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.settle(p.first)
	})
	p.links()
	p.silence()
	p.stops()
	p.stage("a connection through the rule outlives the rule", p.connection)
	p.stage("foreign rules are untouched", func(t *testing.T) {
		for _, n := range p.nodes() {
			for table, rule := range foreignRules {
				var others []string
				for line := range strings.Lines(n.Run("iptables", "-t", table, "-S")) {
					if strings.HasPrefix(line, "-A") && !strings.Contains(line, "--comment lvsd") {
						others = append(others, strings.TrimSpace(line))
					}
				}
				if len(others) != 1 || others[0] != rule {
					t.Errorf("%s: table %s has %q, want %q", n.Name, table, others, rule)
				}
			}
		}
	})
}

// links: the MASTER loses its link in either way.
func (p *pair) links() {
	p.stage("link down, the other takes over", func(*testing.T) {
		p.first.SetLink(false)
		p.settle(p.second)
	})
	p.stage("link up, the higher priority preempts", func(*testing.T) {
		p.first.SetLink(true)
		p.settle(p.first)
	})
	p.stage("cable pulled, the other takes over", func(*testing.T) {
		p.first.reload(func(v *virtualRouter) { v.Keys += "preempt = false\n" })
		p.first.SetCable(false)
		p.settle(p.second)
	})
	p.stage("cable plugged, no preemption", func(t *testing.T) {
		p.first.SetCable(true)
		p.settle(p.second)
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.hears(p.first, 5) // longer than Master_Down_Interval
		p.settle(p.second)
		undisturbed()
	})
	p.stage("preemption allowed, it happens", func(*testing.T) {
		p.first.reload(func(v *virtualRouter) { v.Keys = pairKeys })
		p.settle(p.first)
	})
}

// silence: the MASTER lives but is not heard.
func (p *pair) silence() {
	p.stage("the MASTER is stopped in its tracks, the other takes over", func(*testing.T) {
		p.first.daemon.Signal(syscall.SIGSTOP)
		p.lab.WaitFor("the other to be MASTER", func() error { return p.second.inState("master") })
		p.lab.WaitFor("the client to know", func() error { return p.clientSees(p.second.Host) })
	})
	p.stage("it goes on, and there is one holder", func(t *testing.T) {
		p.first.daemon.Signal(syscall.SIGCONT)
		p.settle(p.first)
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.hears(p.second, 2)
		undisturbed()
	})
	p.stage("they are deaf to each other, both are MASTER", func(*testing.T) {
		block(p.first.Host, true)
		block(p.second.Host, true)
		p.lab.WaitFor("the second MASTER", func() error { return p.second.inState("master") })
		p.lab.WaitFor("the client to know it", func() error { return p.clientSees(p.second.Host) })
	})
	p.stage("the one that hears the other makes itself known again", func(*testing.T) {
		block(p.first.Host, false)
		p.lab.WaitFor("the client to know", func() error { return p.clientSees(p.first.Host) })
	})
	p.stage("they hear each other, one yields", func(*testing.T) {
		block(p.second.Host, false)
		p.settle(p.first)
	})
}

// stops: the MASTER is stopped by its operator.
func (p *pair) stops() {
	p.stage("a clean stop says goodbye, and the rule stays", func(t *testing.T) {
		adverts := p.client.Capture("ip proto 112 and src host " + p.first.Address.String())
		p.first.stop()
		p.settle(p.second)
		if n := strings.Count(adverts.Print(), "prio 0,"); n != 1 {
			t.Errorf("%d adverts with priority 0, want one:\n%s", n, adverts.Print())
		}
		adverts.Stop()
		if reason := p.second.now().Reason; reason != "the master left" {
			t.Errorf("the other took over because %q", reason)
		}
		p.wantLeft(t, true)
	})
	p.stage("it is back, and preempts", func(*testing.T) {
		p.first.start()
		p.settle(p.first)
	})
	p.stage("a clean stop takes the rule along if told so", func(t *testing.T) {
		p.first.reload(func(v *virtualRouter) { v.Keys += "keep_redirect_on_stop = false\n" })
		p.first.stop()
		p.settle(p.second)
		p.wantLeft(t, false)
	})
	p.stage("it is back again", func(*testing.T) {
		p.first.start()
		p.settle(p.first)
	})
}

// wantLeft checks what a clean stop has left on the first node.
func (p *pair) wantLeft(t *testing.T, rule bool) {
	t.Helper()
	if holds(p.first.Host) {
		t.Error("the VIP is still there")
	}
	if left, err := p.first.redirects(); err != nil || left != rule {
		t.Errorf("the rule is there: %v, want %v (%v)", left, rule, err)
	}
}

// connection: a client that was served by the BACKUP through the rule, as a
// MASTER with IPVS would forward it, keeps its connection when that BACKUP
// becomes MASTER and deletes the rule.
func (p *pair) connection(t *testing.T) {
	p.client.Run("ip", "neigh", "replace", hostVIP, "lladdr", p.second.MAC(), "dev", lab.LinkName, "nud", "permanent")
	p.echo(t, p.second)
	old := p.connect(t)
	if want := p.second.Address.String() + ":" + echoPort; old.server != want {
		t.Errorf("the BACKUP serves as %s, want %s: not through the rule", old.server, want)
	}
	p.first.stop()
	p.settle(p.second)
	if err := old.alive(p.lab); err != nil {
		t.Errorf("connection opened before the switch: %v", err)
	}
	if young := p.connect(t); young.server != hostVIP+":"+echoPort {
		t.Errorf("the MASTER serves as %s, want the VIP", young.server)
	}
	p.client.Run("ip", "neigh", "del", hostVIP, "dev", lab.LinkName)
	p.first.start()
	p.settle(p.first)
}

// TestHolds: nothing that is no reason for a change of roles brings one about.
func TestHolds(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedTcpdump)
	t.Parallel()
	p := newPair(t)
	p.first.start()
	p.second.start()
	p.settle(p.first)
	p.repairs()
	p.reloads()
	p.restarts()
}

// repairs: what others change in the kernel is put right.
func (p *pair) repairs() {
	for _, c := range []struct {
		name    string
		node    *node
		command string
	}{
		{"a VIP deleted on the MASTER comes back", p.first, "ip address del " + hostVIP + "/32 dev " + lab.LinkName},
		{"a VIP added on the BACKUP goes", p.second, "ip address add " + hostVIP + "/32 dev " + lab.LinkName},
		{"a rule flushed on the BACKUP comes back", p.second, "iptables -t nat -F"},
		{
			"a rule added on the MASTER goes", p.first,
			"iptables -t nat -A PREROUTING -d " + hostVIP + " -p tcp -m comment --comment lvsd -j REDIRECT",
		},
	} {
		p.stage(c.name, func(t *testing.T) {
			undisturbed := p.undisturbed(t, p.nodes()...)
			c.node.Run("sh", "-c", c.command)
			p.settle(p.first)
			undisturbed()
		})
	}
}

// reloads: SIGHUP.
func (p *pair) reloads() {
	p.stage("a file with an error changes nothing", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		before := p.first.now()
		p.first.write("[[vrrp]]\nname = \"VI_1\"\n  priorty = 1\n")
		if reload := p.first.hangUp(); reload.OK {
			t.Error("the reload was accepted")
		}
		where := p.first.config + ":3:3: vrrp.priorty"
		p.lab.WaitFor("the log to name the place", func() error {
			if log := p.first.daemon.Output(); !strings.Contains(log, where) {
				return fmt.Errorf("no %s in %s", where, log)
			}
			return nil
		})
		p.hears(p.second, 2)
		p.settle(p.first)
		if after := p.first.now(); after.Priority != before.Priority {
			t.Errorf("the priority is %d, was %d", after.Priority, before.Priority)
		}
		undisturbed()
	})
	p.stage("another priority is told to the BACKUP", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.first.reload(func(v *virtualRouter) { v.Priority = 140 })
		p.lab.WaitFor("the BACKUP to know", func() error {
			if i := p.second.now(); i.MasterPriority != 140 {
				return fmt.Errorf("it takes the MASTER's priority for %d", i.MasterPriority)
			}
			return nil
		})
		p.settle(p.first)
		undisturbed()
	})
	p.stage("a second lvsd in the same run directory is refused", func(t *testing.T) {
		undisturbed := p.undisturbed(t, p.nodes()...)
		out, err := p.first.Try(relay.Binary(p), "run", "-c", p.first.config, "--run-dir", p.first.run)
		if err == nil || !strings.Contains(out, "another lvsd uses "+p.first.run) {
			t.Errorf("the second lvsd ended with %v and printed %s", err, out)
		}
		p.settle(p.first)
		undisturbed()
	})
}

// restarts: lvsd goes on as MASTER when it is back in time.
func (p *pair) restarts() {
	p.stage("a slower pace", func(t *testing.T) {
		// The restart must fit into three intervals on any machine.
		for _, n := range []*node{p.second, p.first} {
			n.reload(func(v *virtualRouter) { v.Interval = 5 * p.interval })
		}
		p.hears(p.second, 2)
	})
	adverts := p.client.Capture("ip proto 112")
	p.stage("killed and started", func(t *testing.T) {
		p.restart(t, func() {
			p.first.daemon.Signal(syscall.SIGKILL)
			<-p.first.daemon.Done()
		})
	})
	p.stage("handed over and started", func(t *testing.T) { p.restart(t, p.handOver) })

	hung := filepath.Join(p.lab.Dir("first"), "hung")
	p.stage("a hook hangs, the adverts go on", func(t *testing.T) {
		hook := filepath.Join(p.lab.Dir("first"), "hang")
		if err := os.WriteFile(hook, []byte("#!/bin/sh\necho $$ >"+hung+"\nexec sleep 100000\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		p.first.reload(func(v *virtualRouter) {
			v.Keys += fmt.Sprintf("notify = { any = [%q], timeout = \"1h\" }\n", hook)
		})
		p.restart(t, p.handOver)
		p.lab.WaitFor("the hook to run", func() error { return running(hung) })
		undisturbed := p.undisturbed(t, p.nodes()...)
		p.first.reload(func(v *virtualRouter) { v.Interval = p.interval })
		p.second.reload(func(v *virtualRouter) { v.Interval = p.interval })
		p.hears(p.second, 5)
		undisturbed()
		if err := running(hung); err != nil {
			t.Errorf("the hook did not hang: %v", err)
		}
	})
	p.stage("a hanging hook does not hold up a hand-over", func(t *testing.T) { p.restart(t, p.handOver) })
	if printed := adverts.Print(); strings.Contains(printed, "prio 0,") {
		p.Errorf("somebody has said goodbye:\n%s", printed)
	}
	p.first.daemon.Kill() // a clean stop waits for the hook
}

// handOver ends the first lvsd in the way that leaves everything in place.
func (p *pair) handOver() {
	p.first.daemon.Signal(syscall.SIGUSR2)
	if err := p.first.daemon.Err(); err != nil {
		p.current.Errorf("lvsd ended: %v", err)
	}
}

// restart ends the first lvsd and starts it at once.
func (p *pair) restart(t *testing.T, end func()) {
	t.Helper()
	undisturbed := p.undisturbed(t, p.second)
	end()
	if !holds(p.first.Host) {
		t.Error("the VIP went with lvsd")
	}
	p.first.start()
	p.settle(p.first)
	if reason := p.first.now().Reason; reason != "resumed after a restart" {
		t.Errorf("it is MASTER because %q", reason)
	}
	p.hears(p.second, 1)
	undisturbed()
}

// running is an error unless the process whose identity is in the file runs.
func running(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var pid int
	if _, err := fmt.Sscan(string(text), &pid); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return syscall.Kill(pid, 0)
}
