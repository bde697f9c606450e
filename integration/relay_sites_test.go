package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

// sites is the mail relay of eight nodes in two data centres, with a client in each.
type sites struct {
	*relay.Cluster
	far *lab.Segment
	// near and remote are the relays of each data centre, here and there its client.
	near, remote []*relay.Relay
	here, there  *lab.Host
}

// TestRelayOfTwoSites runs the file of examples/mail-relay for two data centres, over a
// line with 40 ms of delay each way, for both families.
func TestRelayOfTwoSites(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedPostfix)
	s := newSites(t)
	s.StartAll()
	s.waitRotation(s.Relays, s.Relays)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *sites)
	}{
		{"every relay serves the clients of both sites", everySiteServes},
		{"the MASTER's node dies and comes back", siteMasterDies},
		{"the line is cut and mended", lineIsCut},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, s) }) {
			t.Fatalf("the cluster is not to be relied on after %q", part.name)
		}
	}
}

func newSites(t *testing.T) *sites {
	c := relay.New(t, relay.Options{
		Relays: 8, Example: filepath.Join("..", "examples", "mail-relay", "two-sites.toml"), Edit: fewerChecks,
	})
	s := &sites{Cluster: c, near: c.Relays[:4], remote: c.Relays[4:], here: c.Client, there: c.Host("remote", 4)}
	s.far = c.Lab.Segment("far")
	s.far.Join("delay", "40ms", "5ms")
	s.far.Move(s.there)
	for _, r := range s.remote {
		s.far.Move(r.Host)
	}
	return s
}

// fewerChecks has checks come once a minute, and at once when they are asked for, and
// one of them fail a server: eight directors that check sixteen servers every two
// seconds are more mail sessions than an emulated machine has time for.
func fewerChecks(text string) string {
	return strings.NewReplacer("  interval = \"2s\"", "  interval = \"1m\"", "fall = 3", "fall = 1").Replace(text)
}

// waitRotation waits until each of the directors has these servers in rotation, in both
// families, and no others.
func (s *sites) waitRotation(directors, servers []*relay.Relay) {
	for _, on := range directors {
		on.CheckNow("smtp")
		on.CheckNow("smtp6")
	}
	for _, on := range directors {
		s.Lab.WaitFor("the weights on "+on.Name, func() error {
			status, err := on.Status()
			if err != nil {
				return err
			}
			for _, service := range status.Services {
				for i, server := range service.RealServers { // in the order of the file
					want := 0
					if slices.Contains(servers, s.Relays[i]) {
						want = 1
					}
					if server.KernelWeight != want {
						return fmt.Errorf("%s in %s has weight %d, want %d", server.Address, service.Name, server.KernelWeight, want)
					}
				}
			}
			return nil
		})
	}
}

// loads are one of each family from each of the hosts, with connections that stay.
func (s *sites) loads(held int, hosts ...*lab.Host) []*lab.Client {
	var clients []*lab.Client
	for _, h := range hosts {
		for _, target := range []netip.AddrPort{relay.Service, relay.Service6} {
			clients = append(clients, h.StartSMTP(lab.SMTPLoad{Target: target, Rate: 5, Workers: 8, Held: held}))
		}
	}
	for _, client := range clients {
		s.Lab.WaitFor("the load to run", func() error {
			summary := client.Summary()
			for n := range held {
				if summary.Held[n+1].NOOPs == 0 {
					return fmt.Errorf("held connection %d: %v", n+1, summary)
				}
			}
			return more(summary, 0, 5)
		})
	}
	return clients
}

func everySiteServes(t *testing.T, s *sites) {
	for _, client := range s.loads(0, s.here, s.there) {
		s.Lab.WaitFor("sessions on every relay", func() error { return spread(client.Summary(), 8, 2) })
		unharmed(t, client.Stop())
	}
}

// siteMasterDies: connections that the new MASTER served by the rule live on, in both
// families, and the node that comes back takes nothing.
func siteMasterDies(t *testing.T, s *sites) {
	old := s.Master()
	clients := s.loads(16, s.here)
	old.SetCable(false)
	old.LVSD.Signal(syscall.SIGKILL)
	<-old.LVSD.Done()
	s.Lab.WaitFor("another MASTER", func() error {
		if newMaster(s.Cluster, old) == old {
			return errors.New("none yet")
		}
		return nil
	})
	next := newMaster(s.Cluster, old)
	for _, client := range clients {
		s.Lab.WaitFor("sessions through "+next.Name, func() error { return more(client.Summary(), client.Summary().Failures, 20) })
		goesOn(s.Cluster, client, 20)
		own := 0
		summary := client.Stop()
		for n, held := range summary.Held {
			if held.Relay != next.Name {
				continue
			}
			own++
			if held.End != nil {
				t.Errorf("connection %d, which %s served before it was MASTER, ended: %s", n, next.Name, held.End.Error)
			}
		}
		if own == 0 {
			t.Errorf("%s served none of the held connections, nothing is shown", next.Name)
		}
	}
	old.SetCable(true)
	old.StartLVSD()
	s.WaitSettled()
	s.waitRotation(s.Relays, s.Relays)
	if s.Master() == old {
		t.Errorf("%s came back and took the VIP, although preempt is off", old.Name)
	}
}

// lineIsCut: each site has a MASTER and serves its own clients with its own relays;
// afterwards there is one again, which serves all with all.
func lineIsCut(t *testing.T, s *sites) {
	s.far.SetLine(false)
	for site, relays := range map[string][]*relay.Relay{"near": s.near, "remote": s.remote} {
		s.Lab.WaitFor("a MASTER of the "+site+" site", func() error {
			masters := slices.DeleteFunc(s.Masters(), func(r *relay.Relay) bool { return !slices.Contains(relays, r) })
			if len(masters) != 1 {
				return fmt.Errorf("%d relays of it are MASTER", len(masters))
			}
			return nil
		})
		s.waitRotation(relays, relays)
	}
	for _, client := range s.loads(0, s.here, s.there) {
		s.Lab.WaitFor("sessions on the relays of the site", func() error { return spread(client.Summary(), 4, 2) })
		unharmed(t, client.Stop())
	}
	s.far.SetLine(true)
	s.WaitSettled()
	s.waitRotation(s.Relays, s.Relays)
	everySiteServes(t, s)
}
