package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// vip is the address of the service in every lab.
var vip = netip.MustParseAddr("10.77.0.100")

// smtp is the virtual service.
var smtp = netip.AddrPortFrom(vip, 25)

// relays is a client and relays that are directors and real servers at once.
type relays struct {
	*lab.Lab
	t      *testing.T
	client *lab.Host
	hosts  []*lab.Host
}

// newRelays returns n relays with a real Postfix on each.
func newRelays(t *testing.T, n int) *relays {
	t.Helper()
	r := &relays{Lab: lab.New(t), t: t}
	r.client = r.Host("client", "10.77.0.10/24")
	for i := range n {
		h := r.Host(fmt.Sprintf("relay%d", i+1), fmt.Sprintf("10.77.0.%d/24", i+1))
		h.StartPostfix()
		r.hosts = append(r.hosts, h)
	}
	return r
}

// balance makes the service on every relay, with all relays by direct routing.
func (r *relays) balance() {
	r.t.Helper()
	for _, h := range r.hosts {
		h.Run("ipvsadm", "-A", "-t", smtp.String(), "-s", "rr")
		for _, real := range r.hosts {
			h.Run("ipvsadm", "-a", "-t", smtp.String(), "-r", real.Address.String()+":25", "-g")
		}
	}
}

// become makes one relay the MASTER of the VIP and the others BACKUP: the VIP
// before the rule goes, and the announcement last.
func (r *relays) become(master *lab.Host) {
	r.t.Helper()
	addVIP(master)
	redirect(master, "-D")
	r.announce(master)
}

// yield makes a MASTER a BACKUP.
func yield(h *lab.Host) {
	redirect(h, "-A")
	h.Run("ip", "addr", "del", vip.String()+"/32", "dev", lab.LinkName)
}

func addVIP(h *lab.Host) {
	h.Run("ip", "addr", "add", vip.String()+"/32", "dev", lab.LinkName)
}

// redirect adds or deletes the rule by which a BACKUP takes what the MASTER
// forwards to it.
func redirect(h *lab.Host, operation string) {
	h.Run("iptables", "-w", "5", "-t", "nat", operation, "PREROUTING", "-d", vip.String()+"/32",
		"-p", "tcp", "--syn", "--dport", "25", "-j", "REDIRECT")
}

// keepConntrack adds a rule that does nothing but use conntrack.
func keepConntrack(h *lab.Host) {
	h.Run("iptables", "-w", "5", "-t", "nat", "-A", "PREROUTING", "-m", "conntrack", "--ctstate", "INVALID")
}

// announce sends gratuitous ARP until the client has heard it.
func (r *relays) announce(h *lab.Host) {
	r.t.Helper()
	mac := h.MAC()
	r.WaitFor("the client to know "+h.Name+" as the VIP's owner", func() error {
		// Its status tells of answers, of which there are none.
		_, _ = h.Try("arping", "-q", "-U", "-c", "1", "-w", "1", "-I", lab.LinkName, vip.String())
		out := r.client.Run("ip", "neigh", "show", vip.String())
		if !strings.Contains(out, mac) {
			return fmt.Errorf("it has %q, want %s", strings.TrimSpace(out), mac)
		}
		return nil
	})
}

// everyRelayServes waits until each relay has taken a new session.
func (r *relays) everyRelayServes(c *lab.Client) {
	r.t.Helper()
	before := c.Summary().ByRelay
	r.WaitFor("every relay to serve", func() error {
		s := c.Summary()
		for _, h := range r.hosts {
			if s.ByRelay[h.Name] <= before[h.Name] {
				return fmt.Errorf("%s does not: %v", h.Name, s)
			}
		}
		return nil
	})
}

// A BACKUP with the rule serves what the MASTER sends it, and does not balance
// a second time although it has the same service.
func TestRedirectServesOnBackup(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedPostfix)
	r := newRelays(t, 2)
	r.balance()
	addVIP(r.hosts[0])
	redirect(r.hosts[1], "-A")
	load := r.client.StartSMTP(lab.SMTPLoad{Target: smtp, Rate: 10, Workers: 4})
	r.everyRelayServes(load)
	if s := load.Stop(); s.Failures != 0 {
		t.Errorf("sessions failed: %v", s)
	}
	stats := r.hosts[1].Run("ipvsadm", "-Ln", "--stats")
	if want := []string{"TCP", smtp.String(), "0", "0", "0", "0", "0"}; !slices.Equal(strings.Fields(statsLine(stats, smtp)), want) {
		t.Errorf("the BACKUP balanced too:\n%s", stats)
	}
}

// Connections that the new MASTER served as BACKUP are translated by
// conntrack. Deleting the last rule that uses conntrack takes conntrack's hooks
// out of the namespace and the translation with them, so another rule must
// stand.
func TestSwitchKeepsRedirectedConnections(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedPostfix)
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("conntrack kept=%t", kept), func(t *testing.T) {
			r := newRelays(t, 2)
			r.balance()
			old, next := r.hosts[0], r.hosts[1]
			addVIP(old)
			redirect(next, "-A")
			if kept {
				keepConntrack(next)
			}
			load := r.client.StartSMTP(lab.SMTPLoad{Target: smtp, Held: 4})
			r.heldTalk(load, next)
			r.become(next)
			yield(old)
			if kept {
				r.heldTalk(load, next)
				load.Stop()
				return
			}
			r.WaitFor("the connections to be reset", func() error {
				for n, held := range load.Summary().Held {
					if held.Relay == next.Name && (held.End == nil || !strings.Contains(held.End.Error, "reset")) {
						return fmt.Errorf("held %d: %+v", n, held)
					}
				}
				return nil
			})
			load.Stop()
		})
	}
}

// heldTalk waits until held connections served by a relay have all talked on,
// and that there are some.
func (r *relays) heldTalk(c *lab.Client, h *lab.Host) {
	r.t.Helper()
	before := c.Summary().Held
	const more = 5 // NOOPs: some may have been under way
	r.WaitFor("held connections of "+h.Name, func() error {
		some := false
		s := c.Summary()
		for n, held := range s.Held {
			if held.Relay != h.Name {
				continue
			}
			some = true
			if held.End != nil {
				r.t.Fatalf("held connection failed:\n%v", s)
			}
			if held.NOOPs < before[n].NOOPs+more {
				return errors.New(s.String())
			}
		}
		if !some {
			return fmt.Errorf("none: %v", s)
		}
		return nil
	})
}

// statsLine is the line of a service in "ipvsadm -Ln --stats".
func statsLine(text string, service netip.AddrPort) string {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == service.String() {
			return line
		}
	}
	return ""
}
