package director

import (
	"context"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// byVIP gives each real server that asked says a path check, with a mark.
func byVIP(c *config.Config, asked func(service, server int) bool) {
	mark := config.FirstPathMark
	c.Services = slices.Clone(c.Services)
	for n := range c.Services {
		s := &c.Services[n]
		s.RealServers = slices.Clone(s.RealServers)
		for i := range s.RealServers {
			server := &s.RealServers[i]
			if s.IPVS.Mark != 0 || !server.Address.IsValid() || !asked(n, i) {
				continue
			}
			check := every(time.Second, server.Address).Check()
			check.Via = s.IPVS.Address
			spec := check.Of(server.Address)
			spec.Mark = mark
			mark++
			server.Checks = append(slices.Clone(server.Checks), spec)
		}
	}
}

func everyServer(int, int) bool { return true }

func TestPlanOfPathChecks(t *testing.T) {
	c := relayConfig()
	byVIP(c, everyServer)
	for name, role := range map[string]vrrp.Role{"path-checks-master": vrrp.Master, "path-checks-backup": vrrp.Backup} {
		// What is down is asked still.
		facts := Facts{Config: c, Up: upOf(nil), Roles: map[string]vrrp.Role{"relay": role}}
		golden(t, filepath.Join("testdata", "plan", name+".want"), Plan(facts).String())
	}
}

// TestPathServices: each path check has one service with the one real server
// that it asks about, in every role; it is lvsd's, and nothing else comes of it.
func TestPathServices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		plain := *c
		byVIP(c, func(int, int) bool { return rapid.Bool().Draw(t, "path") })
		f := drawFacts(t, c)
		want, owned := Plan(f), OwnedBy(c)
		paths := 0
		for _, s := range c.Services {
			for _, server := range s.RealServers {
				for _, spec := range server.Checks {
					if spec.Mark == 0 {
						continue
					}
					paths++
					key := ipvs.ServiceKey{Family: s.IPVS.Family, Mark: spec.Mark}
					if !owned.Services.Has(key) {
						t.Fatalf("%v is nobody's", key)
					}
					service, there := want.Services[key]
					if there == f.Stopping {
						t.Fatalf("stopping %v, %v is there: %v", f.Stopping, key, there)
					}
					if f.Stopping {
						continue
					}
					expected := []ipvs.Destination{{
						Address:    netip.AddrPortFrom(server.Address.Addr(), 0),
						Forwarding: server.Forwarding, Tunnel: server.Tunnel, Weight: 1,
					}}
					if !slices.Equal(service.RealServers, expected) {
						t.Fatalf("%v has %v, want %v", key, service.RealServers, expected)
					}
				}
			}
		}
		marked := 0
		for key := range want.Services {
			if key.Mark >= config.FirstPathMark && key.Mark <= config.LastPathMark {
				marked++
			}
		}
		if !f.Stopping && marked != paths {
			t.Fatalf("%d services for %d path checks", marked, paths)
		}
		// Without the checks they go.
		have := snapshotOf(want).State(owned)
		f.Config = &plain
		left := Plan(f)
		for _, op := range Diff(have, left) {
			op.applyTo(have)
		}
		for key := range have.Services {
			if _, wanted := left.Services[key]; !wanted {
				t.Fatalf("%v is left", key)
			}
		}
	})
}

func TestPathRequirements(t *testing.T) {
	const accept, filter = "net.ipv4.conf.eth0.accept_local", "net.ipv4.conf.eth1.rp_filter"
	value := func(c *config.Config, name string) string {
		for _, r := range Requirements(c) {
			if r.Name == name && r.Always {
				return r.Value
			}
		}
		return ""
	}
	c := relayConfig()
	if got := value(c, accept); got != "" {
		t.Errorf("without path checks %s = %q", accept, got)
	}
	byVIP(c, everyServer)
	if got := value(c, accept); got != "1" {
		t.Errorf("%s = %q, want 1", accept, got)
	}
	if got := value(c, filter); got != "" {
		t.Errorf("%s = %q, want nothing", filter, got)
	}
	server := &c.Services[0].RealServers[0]
	path := server.Checks[1]
	check := path.Check()
	check.Route.Interface = "eth1"
	server.Checks[1] = check.Of(path.Target)
	server.Checks[1].Mark = path.Mark
	if one, two := value(c, "net.ipv4.conf.eth1.accept_local"), value(c, filter); one != "1" || two != "2" {
		t.Errorf("through eth1: accept_local = %q, rp_filter = %q", one, two)
	}
}

// TestPathServicesAreKept: what somebody does to them is put right, they are no
// services of the status, and a file without the checks takes them away.
func TestPathServicesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		plain := *n.config
		byVIP(n.config, func(_, server int) bool { return server == 0 })
		n.start()
		advance(5 * time.Second)
		key := ipvs.ServiceKey{Family: ipvs.IPv4, Mark: config.FirstPathMark}
		path := pathServices(n.config)[key]
		kept := func(when string) {
			t.Helper()
			n.kernel.change(func(s State) {
				if diff := cmp.Diff(path, s.Services[key], compareStates); diff != "" {
					t.Errorf("%s (-want +got):\n%s", when, diff)
				}
			})
		}
		kept("at the start")
		n.kernel.change(func(s State) { delete(s.Services, key) })
		advance(3 * n.config.Global.Resync)
		kept("after it was deleted")
		n.kernel.change(func(s State) {
			service := s.Services[key]
			service.RealServers = slices.Clone(service.RealServers)
			service.RealServers[0].Weight = 0
			s.Services[key] = service
		})
		advance(3 * n.config.Global.Resync)
		kept("after its weight was changed")
		status := n.director.Status()
		if len(status.Services) != len(plain.Services) || len(status.Foreign) > 0 {
			t.Errorf("%d services, foreign %v", len(status.Services), status.Foreign)
		}
		if err := n.director.Reload(t.Context(), &plain); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		n.kernel.change(func(s State) {
			if _, there := s.Services[key]; there {
				t.Error("it is there without the check")
			}
		})
		n.stop(context.Canceled)
	})
}
