package integration

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

var example = filepath.Join("..", "examples", "mail-relay", "lvsd.toml")

// TestRelay runs the mail relay of four nodes through a day of its life. Its
// parts share the cluster, and each leaves it settled, because four mail servers
// take long to start.
func TestRelay(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedPostfix)
	c := relay.New(t, relay.Options{Relays: 4, Example: example})
	c.StartAll()
	c.WaitAllUp()
	for _, part := range []struct {
		name string
		run  func(*testing.T, *relay.Cluster)
	}{
		{"every relay serves through the VIP", everyRelayServes},
		{"list is what ipvsadm prints", listIsIPVSADM},
		{"restarts and reloads lose no connection", restartsLoseNothing},
		{"an invalid file changes nothing", invalidReload},
		{"a stopped Postfix leaves the rotation and returns", postfixDownAndUp},
		{"a port used again is not sent to a stopped Postfix", portUsedAgain},
		{"what others change is repaired", driftIsRepaired},
		{"a clean stop of the MASTER", cleanStop},
		{"the MASTER's link goes down", linkDown},
		{"the MASTER is stopped and continued", stopAndContinue},
		{"the MASTER's node dies and comes back", nodeDies},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, c) }) {
			t.Fatalf("the cluster is not to be relied on after %q", part.name)
		}
	}
}

// load starts short sessions, and connections that stay, through the VIP, and
// waits until they work.
func load(c *relay.Cluster, held int) *lab.Client {
	return start(c, lab.SMTPLoad{Target: relay.Service, Rate: 5, Workers: 4, Held: held}, 10)
}

// hold is load without the short sessions.
func hold(c *relay.Cluster, held int) *lab.Client {
	return start(c, lab.SMTPLoad{Target: relay.Service, Held: held}, 0)
}

func start(c *relay.Cluster, l lab.SMTPLoad, sessions int) *lab.Client {
	l.HoldInterval = 500 * time.Millisecond
	client := c.Client.StartSMTP(l)
	c.Lab.WaitFor("the load to run", func() error {
		summary := client.Summary()
		for n := range l.Held {
			if summary.Held[n+1].NOOPs == 0 {
				return fmt.Errorf("held connection %d: %v", n+1, summary)
			}
		}
		return more(summary, 0, sessions)
	})
	return client
}

// goesOn waits until that many more sessions succeeded, and returns how many
// more failed.
func goesOn(c *relay.Cluster, client *lab.Client, sessions int) (failures int) {
	before := client.Summary()
	c.Lab.WaitFor("sessions to go on", func() error {
		now := client.Summary()
		return more(now, before.Sessions-before.Failures+now.Failures, sessions)
	})
	return client.Summary().Failures - before.Failures
}

// unharmed fails the test if anything failed.
func unharmed(t *testing.T, s lab.Summary) {
	t.Helper()
	t.Log(s)
	if s.Failures > 0 {
		t.Errorf("%d sessions failed", s.Failures)
	}
	for n, held := range s.Held {
		if held.End != nil {
			t.Errorf("held connection %d, by %s, ended: %s", n, held.Relay, held.End.Error)
		}
	}
}

func everyRelayServes(t *testing.T, c *relay.Cluster) {
	client := load(c, 0)
	c.Lab.WaitFor("sessions on every relay", func() error { return spread(client.Summary(), 4, 5) })
	unharmed(t, client.Stop())
}

// listIsIPVSADM compares with connections that stay and no others, because the
// two programs look one after the other. Names instead of numbers, and every
// form of table, are compared in director/ipvsadm.
func listIsIPVSADM(t *testing.T, c *relay.Cluster) {
	client := hold(c, 4)
	for _, r := range c.Relays {
		c.Lab.WaitFor("the same table in both listings of "+r.Name, func() error {
			return same(r.CLI("list", "-n"), r.Run("ipvsadm", "-Ln"))
		})
	}
	master := c.Master()
	c.Lab.WaitFor("the same connections in both listings of "+master.Name, func() error {
		ours := master.CLI("list", "-n", "-c")
		if !strings.Contains(ours, "ESTABLISHED") {
			return fmt.Errorf("no connections:\n%s", ours)
		}
		// The seconds until a connection expires go on between the two.
		return same(expiry.ReplaceAllString(ours, " mm:ss"),
			expiry.ReplaceAllString(master.Run("ipvsadm", "-Lnc"), " mm:ss"))
	})
	unharmed(t, client.Stop())
}

var expiry = regexp.MustCompile(` [0-9]{2}:[0-9]{2}`)

func same(lvsd, ipvsadm string) error {
	if lvsd != ipvsadm {
		return fmt.Errorf("lvsd:\n%s\nipvsadm:\n%s", lvsd, ipvsadm)
	}
	return nil
}

func restartsLoseNothing(t *testing.T, c *relay.Cluster) {
	for _, step := range []struct {
		name   string
		master bool
		signal syscall.Signal
	}{
		{"restart of the MASTER", true, syscall.SIGUSR2},
		{"SIGKILL and start of the MASTER", true, syscall.SIGKILL},
		{"restart of a BACKUP", false, syscall.SIGUSR2},
		{"SIGKILL and start of a BACKUP", false, syscall.SIGKILL},
	} {
		inTime(t, c, step.name, func() time.Duration {
			node := c.Master()
			if !step.master {
				node = other(c, node)
			}
			return node.Restart(step.signal)
		})
	}
	inTime(t, c, "reload", func() time.Duration {
		text := c.Text()
		if strings.Contains(text, "fall = 3") {
			text = strings.ReplaceAll(text, "fall = 3", "fall = 2")
		} else {
			text = strings.ReplaceAll(text, "fall = 2", "fall = 3")
		}
		c.Configure(text)
		for _, r := range c.Relays {
			reloaded := strings.Count(r.LVSD.Output(), "msg=reloaded")
			r.LVSD.Signal(syscall.SIGHUP)
			c.Lab.WaitFor("reload of "+r.Name, func() error {
				if strings.Count(r.LVSD.Output(), "msg=reloaded") == reloaded {
					return fmt.Errorf("lvsd has not said so")
				}
				return nil
			})
		}
		return 0
	})
}

// inTime does something under load that must lose no connection and leave the
// MASTER where it is, if it takes less than three advert intervals. On a machine
// that stands still for longer it is done again.
func inTime(t *testing.T, c *relay.Cluster, name string, do func() time.Duration) {
	t.Helper()
	const tries = 5
	for range tries {
		master := c.Master()
		client := load(c, 8)
		took := do()
		goesOn(c, client, 20)
		c.WaitSettled()
		c.WaitAllUp()
		summary := client.Stop()
		if took > 3*c.Interval {
			t.Logf("%s took %v, too long to tell anything", name, took)
			continue
		}
		t.Logf("%s took %v", name, took.Round(time.Millisecond))
		if now := c.Master(); now != master {
			t.Fatalf("%s: %s is MASTER instead of %s", name, now.Name, master.Name)
		}
		unharmed(t, summary)
		return
	}
	t.Fatalf("%s: too slow %d times", name, tries)
}

// says is an error unless the relay's lvsd has logged the text.
func says(r *relay.Relay, text string) error {
	if !strings.Contains(r.LVSD.Output(), text) {
		return fmt.Errorf("lvsd of %s has not said %q", r.Name, text)
	}
	return nil
}

func invalidReload(t *testing.T, c *relay.Cluster) {
	client := load(c, 4)
	valid := c.Text()
	c.Configure(strings.ReplaceAll(valid, `scheduler = "wlc"`, `scheduler = "wlcc"`))
	for _, r := range c.Relays {
		before := r.Run("ipvsadm", "-Sn")
		r.LVSD.Signal(syscall.SIGHUP)
		c.Lab.WaitFor("refusal by "+r.Name, func() error { return says(r, "lvsd.toml:") })
		if err := says(r, `nearest is \"wlc\"`); err != nil {
			t.Error(err)
		}
		if after := r.Run("ipvsadm", "-Sn"); after != before {
			t.Errorf("the table of %s changed from\n%s\nto\n%s", r.Name, before, after)
		}
		if status, err := r.Status(); err != nil || status.Reload.OK {
			t.Errorf("%s: status of the reload %+v, %v", r.Name, status.Reload, err)
		}
	}
	c.Configure(valid)
	c.WaitSettled()
	unharmed(t, client.Stop())
}

func postfixDownAndUp(t *testing.T, c *relay.Cluster) {
	client := load(c, 0)
	for _, server := range []*relay.Relay{c.Master(), other(c, c.Master())} {
		_ = server.Postfix.Stop() // it ends by the signal, which counts as an error
		for _, on := range c.Relays {
			c.WaitWeight(on, server, 0)
		}
		goesOn(c, client, 10) // what was under way ends
		if failures := goesOn(c, client, 30); failures > 0 {
			t.Errorf("%d sessions failed although %s had weight 0: %v", failures, server.Name, client.Summary())
		}
		server.Postfix.Start()
		c.WaitAllUp()
		took := client.Summary().ByRelay[server.Name]
		c.Lab.WaitFor("sessions on "+server.Name, func() error {
			if now := client.Summary().ByRelay[server.Name]; now < took+3 {
				return fmt.Errorf("it took %d sessions, %d since it is back", now, now-took)
			}
			return nil
		})
	}
	t.Log(client.Stop())
}

// portUsedAgain connects twice from one port. IPVS still has the first
// connection, in FIN_WAIT, when the second comes: it must be scheduled anew.
func portUsedAgain(t *testing.T, c *relay.Cluster) {
	const port = 40000
	greet := func() (name string, err error) {
		var conn net.Conn
		err = c.Client.Do(func() (err error) {
			from := &net.TCPAddr{IP: c.Client.Address.AsSlice(), Port: port}
			conn, err = (&net.Dialer{LocalAddr: from, Timeout: time.Minute}).Dial("tcp4", relay.Service.String())
			return err
		})
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close() }()
		// The server closes first, so that the client's port is free at once.
		if _, err := fmt.Fprint(conn, "QUIT\r\n"); err != nil {
			return "", err
		}
		text, err := io.ReadAll(conn)
		name, _, _ = strings.Cut(strings.TrimPrefix(string(text), "220 "), " ")
		return name, err
	}
	first, err := greet()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Relays, func(r *relay.Relay) bool { return r.Name == first })
	_ = c.Relays[i].Postfix.Stop() // it ends by the signal, which counts as an error
	c.WaitWeight(c.Master(), c.Relays[i], 0)
	if second, err := greet(); err != nil || second == first {
		t.Errorf("first %s, then %q, %v", first, second, err)
	}
	c.Relays[i].Postfix.Start()
	c.WaitAllUp()
}

// other is a relay that is not r.
func other(c *relay.Cluster, r *relay.Relay) *relay.Relay {
	for _, o := range c.Relays {
		if o != r {
			return o
		}
	}
	return nil
}

// driftIsRepaired flushes the table, the rules and the VIP. That each repair
// takes at most two seconds on a machine with time to spare follows from the
// resync of one second, which the director's tests hold in virtual time.
func driftIsRepaired(t *testing.T, c *relay.Cluster) {
	master := c.Master()
	backup := other(c, master)
	table := master.Run("ipvsadm", "-Sn")
	master.Run("ipvsadm", "-C")
	c.Lab.WaitFor("the table of "+master.Name, func() error {
		if now := master.Run("ipvsadm", "-Sn"); now != table {
			return fmt.Errorf("table is\n%s\nwant\n%s", now, table)
		}
		return nil
	})
	backup.Run("iptables", "-t", "nat", "-F")
	c.Lab.WaitFor("the rule of "+backup.Name, func() error {
		if !backup.HasRule() {
			return fmt.Errorf("no rule")
		}
		return nil
	})
	master.Run("ip", "address", "del", relay.Service.Addr().String()+"/32", "dev", lab.LinkName)
	c.WaitSettled()
	for _, r := range []*relay.Relay{master, backup} {
		if err := says(r, "repaired what somebody else changed"); err != nil {
			t.Error(err)
		}
	}
	if now := c.Master(); now != master {
		t.Errorf("%s is MASTER instead of %s", now.Name, master.Name)
	}
	client := load(c, 0)
	unharmed(t, client.Stop())
}

// switchover does something to the MASTER under load and checks that another
// relay takes over and that the connections which that one served itself, by the
// rule, live on.
func switchover(t *testing.T, c *relay.Cluster, what func(old *relay.Relay)) (old *relay.Relay) {
	t.Helper()
	client := load(c, 16)
	served := client.Summary().Held
	old = c.Master()
	what(old)
	c.Lab.WaitFor("another MASTER than "+old.Name, func() error {
		for _, r := range c.Masters() {
			if r != old {
				return nil
			}
		}
		return fmt.Errorf("none yet")
	})
	c.Lab.WaitFor("sessions through the new MASTER", func() error { return more(client.Summary(), client.Summary().Failures, 20) })
	next := newMaster(c, old)
	goesOn(c, client, 20)
	summary := client.Stop()
	t.Logf("%s took over from %s: %v", next.Name, old.Name, summary)
	own := 0
	for n, held := range served {
		if held.Relay != next.Name {
			continue
		}
		own++
		if end := summary.Held[n].End; end != nil {
			t.Errorf("connection %d, which %s served before it was MASTER, ended: %s", n, next.Name, end.Error)
		}
	}
	if own == 0 {
		t.Errorf("%s served none of the held connections, nothing is shown", next.Name)
	}
	return old
}

func newMaster(c *relay.Cluster, old *relay.Relay) *relay.Relay {
	for _, r := range c.Masters() {
		if r != old {
			return r
		}
	}
	return old
}

func cleanStop(t *testing.T, c *relay.Cluster) {
	old := switchover(t, c, func(old *relay.Relay) {
		old.LVSD.Signal(syscall.SIGTERM)
		if err := old.LVSD.Err(); err != nil {
			t.Errorf("lvsd of %s ended with %v", old.Name, err)
		}
		if old.HoldsVIP() || !old.HasRule() {
			t.Errorf("after its stop %s has the VIP %v, the rule %v", old.Name, old.HoldsVIP(), old.HasRule())
		}
	})
	old.StartLVSD()
	c.WaitSettled()
	c.WaitAllUp()
}

func linkDown(t *testing.T, c *relay.Cluster) {
	old := switchover(t, c, func(old *relay.Relay) { old.SetLink(false) })
	if state := old.State(); state != "fault" {
		t.Errorf("%s without its link is %s", old.Name, state)
	}
	old.SetLink(true)
	c.WaitSettled()
	c.WaitAllUp()
}

func stopAndContinue(t *testing.T, c *relay.Cluster) {
	old := c.Master()
	client := load(c, 0)
	old.LVSD.Signal(syscall.SIGSTOP)
	c.Lab.WaitFor("another MASTER", func() error {
		for _, r := range c.Relays {
			if r == old {
				continue
			}
			if state := r.State(); state == "master" {
				return nil
			}
		}
		return fmt.Errorf("none yet")
	})
	old.LVSD.Signal(syscall.SIGCONT)
	c.WaitSettled()
	goesOn(c, client, 20)
	t.Logf("%s is MASTER after %s was stopped: %v", c.Master().Name, old.Name, client.Stop())
	settled := load(c, 0)
	unharmed(t, settled.Stop())
}

func nodeDies(t *testing.T, c *relay.Cluster) {
	old := switchover(t, c, func(old *relay.Relay) {
		old.SetCable(false)
		old.LVSD.Signal(syscall.SIGKILL)
		<-old.LVSD.Done()
	})
	old.SetCable(true)
	old.StartLVSD()
	c.WaitSettled()
	c.WaitAllUp()
	if c.Master() == old {
		t.Errorf("%s came back and took the VIP, although preempt is off", old.Name)
	}
	client := load(c, 0)
	unharmed(t, client.Stop())
}
