package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// joined makes the nodes tell each other of overrides at once, as the channel does,
// and gives each the address of its real server.
func joined(nodes ...*node) {
	for _, n := range nodes {
		n.spread = func(ctx context.Context, overrides []Override) (told []string, untold map[string]string) {
			for _, other := range nodes {
				if other == n {
					continue
				}
				if _, err := other.director.Merge(ctx, overrides); err == nil {
					told = append(told, other.name)
				}
			}
			synctest.Wait()
			return told, nil
		}
		n.kernel.change(func(s State) { s.VIPs.Add(netif.HostVIP("eth0", n.address)) })
	}
}

func (n *node) maintenance(on bool, length time.Duration) {
	n.t.Helper()
	if _, err := n.director.Maintenance(n.t.Context(), MaintenanceOrder{On: on, Reason: "new disk", By: "root", For: length}); err != nil {
		n.t.Fatalf("%v: maintenance %v: %v\n%s", time.Now(), on, err, n.log)
	}
	synctest.Wait() // routers take a word in their own goroutines
}

// TestMaintenance moves everything away from a node in the right order, keeps it away
// over a restart, and brings it back.
func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		spread := strong.spread
		strong.spread = nil
		strong.director.Spread = func(ctx context.Context, overrides []Override) ([]string, map[string]string) {
			if strong.instance().State != "master" && !overrides[0].Cleared {
				t.Error("it gave up before its real server was drained everywhere")
			}
			if overrides[0].Cleared && strong.instance().Held {
				t.Error("it is enabled before it is released")
			}
			return spread(ctx, overrides)
		}
		strong.maintenance(true, 0)
		strong.wantRole("backup")
		weak.wantRole("master")
		strong.wantWeights(0, 1)
		weak.wantWeights(0, 1)
		if m := strong.director.Status().Maintenance; m == nil || m.Reason != "new disk" || !strong.instance().Held {
			t.Errorf("status: maintenance %v, held %v", m, strong.instance().Held)
		}
		if m := weak.director.Status().Maintenance; m != nil {
			t.Errorf("the other node is in maintenance: %v", m)
		}

		strong.stop(ErrHandOver)
		strong.spread = spread
		strong.start()
		advance(30 * time.Second)
		strong.wantRole("backup")
		strong.wantWeights(0, 1)
		strong.maintenance(false, 0)
		advance(5 * time.Second)
		strong.wantRole("master")
		weak.wantRole("backup")
		strong.wantWeights(1, 1)
		weak.wantWeights(1, 1)
		if strong.instance().Held || len(strong.director.maintenanceNow().holds) != 0 {
			t.Error("something is held still")
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestMaintenanceOfABackup holds it, or it would become MASTER in the midst of it.
func TestMaintenanceOfABackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		weak.maintenance(true, 0)
		strong.wantWeights(1, 0)
		strong.stop(context.Canceled)
		advance(10 * time.Second)
		weak.wantRole("backup")
		weak.maintenance(false, 0)
		advance(5 * time.Second)
		weak.wantRole("master")
		weak.stop(context.Canceled)
	})
}

// TestMaintenanceEnds by its time, also while the daemon is not there, and by another
// node's word.
func TestMaintenanceEnds(t *testing.T) {
	for name, test := range map[string]struct {
		length time.Duration
		end    func(strong, weak *node)
	}{
		"by its time": {time.Minute, func(strong, _ *node) {
			advance(time.Minute - 5*time.Second)
			strong.wantRole("backup")
			advance(5 * time.Second)
		}},
		"while nobody is there": {time.Minute, func(strong, _ *node) {
			strong.stop(ErrHandOver)
			advance(2 * time.Minute)
			strong.start()
		}},
		"by another node": {0, func(_, weak *node) {
			if _, err := weak.director.Clear(weak.t.Context(), Target{Node: "node1"}, "root"); err != nil {
				weak.t.Error(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
				strong.maintenance(true, test.length)
				test.end(strong, weak)
				advance(5 * time.Second)
				strong.wantRole("master")
				strong.wantWeights(1, 1)
				weak.wantWeights(1, 1)
				if held, err := strong.holds.Load(); err != nil || len(held) != 0 {
					t.Errorf("held %v, %v", held, err)
				}
				strong.stop(context.Canceled)
				weak.stop(context.Canceled)
			})
		})
	}
}

// TestMaintenanceLeavesOthersHolds: what an operator holds stays held.
func TestMaintenanceLeavesOthersHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		if err := weak.director.Hold(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		weak.maintenance(true, 0)
		weak.maintenance(false, 0)
		if !weak.instance().Held {
			t.Error("it is released")
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestNoMaintenanceWithoutASuccessor: a VIP is not left without a MASTER, nor a node
// drained that goes on alone.
func TestNoMaintenanceWithoutASuccessor(t *testing.T) {
	silent := func(context.Context, []Override) ([]string, map[string]string) {
		return nil, map[string]string{"node2": "no answer"}
	}
	for name, test := range map[string]struct {
		spread SpreadFunc
		gaveUp int
	}{
		"no other node is known": {nil, 1},
		"no other node answers":  {silent, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, vrrptest.New(), 1)
				n.kernel.change(func(s State) { s.VIPs.Add(netif.HostVIP("eth0", n.address)) })
				n.spread = test.spread
				n.start()
				advance(5 * time.Second)
				_, err := n.director.Maintenance(t.Context(), MaintenanceOrder{On: true})
				if !errors.Is(err, ErrNoTakeover) {
					t.Errorf("%v", err)
				}
				advance(5 * time.Second)
				n.wantRole("master")
				n.wantWeights(1, 1)
				if n.instance().Held || n.director.Status().Maintenance != nil || len(n.director.maintenanceNow().holds) != 0 {
					t.Error("something is left of it")
				}
				if got := n.logged("giving up on request"); got != test.gaveUp {
					t.Errorf("it gave up %d times", got)
				}
				n.stop(context.Canceled)
			})
		})
	}
}

// TestNoMaintenanceOfTheLastNode: with the other one in maintenance nothing is drained
// and nothing given up, whoever was ordered first.
func TestNoMaintenanceOfTheLastNode(t *testing.T) {
	for name, order := range map[string]func(strong, weak *node) error{
		"one after the other": func(strong, weak *node) error {
			weak.maintenance(true, 0)
			_, err := strong.director.Maintenance(strong.t.Context(), MaintenanceOrder{On: true})
			if strong.logged("msg=ordered", "node node1") != 0 {
				strong.t.Errorf("it was drained for a while\n%s", strong.log)
			}
			return err
		},
		"both at once": func(strong, weak *node) error {
			spread := strong.director.Spread
			strong.director.Spread = func(ctx context.Context, overrides []Override) ([]string, map[string]string) {
				if !overrides[0].Cleared {
					weak.maintenance(true, 0)
				}
				return spread(ctx, overrides)
			}
			_, err := strong.director.Maintenance(strong.t.Context(), MaintenanceOrder{On: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
				if err := order(strong, weak); !errors.Is(err, ErrNoTakeover) || !strings.Contains(err.Error(), "node2") {
					t.Errorf("%v", err)
				}
				advance(time.Second)
				strong.wantRole("master")
				strong.wantWeights(1, 0)
				if strong.logged("giving up on request") != 0 || strong.instance().Held {
					t.Errorf("it gave up, or is held\n%s", strong.log)
				}
				strong.stop(context.Canceled)
				weak.stop(context.Canceled)
			})
		})
	}
}

// TestMaintenanceOutlivesAnotherName of the node: it goes on, and ends when it is
// ended.
func TestMaintenanceOutlivesAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		strong.maintenance(true, 0)
		strong.stop(ErrHandOver)
		strong.name = "renamed"
		strong.start()
		advance(10 * time.Second)
		strong.wantRole("backup")
		strong.wantWeights(0, 1)
		if strong.director.Status().Maintenance == nil {
			t.Error("it is in no maintenance")
		}
		if _, err := strong.director.Maintenance(t.Context(), MaintenanceOrder{On: true}); !errors.Is(err, ErrBadOrder) {
			t.Errorf("maintenance under two names: %v", err)
		}
		strong.maintenance(false, 0)
		advance(5 * time.Second)
		strong.wantRole("master")
		strong.wantWeights(1, 1)
		weak.wantWeights(1, 1)
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestDamagedOverrideFileInMaintenance: what is held stays so, and it is told that
// nothing will release it.
func TestDamagedOverrideFileInMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		strong.maintenance(true, 0)
		strong.stop(ErrHandOver)
		if err := os.WriteFile(strong.overrides, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		strong.start()
		advance(10 * time.Second)
		strong.wantRole("backup")
		if strong.logged("level=ERROR", "lvsd vrrp release", "relay") != 1 {
			t.Errorf("log:\n%s", strong.log)
		}
		if trouble := strong.director.Status().OverrideTrouble; !strings.Contains(trouble, "lvsd vrrp release") {
			t.Errorf("status: %q", trouble)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestInstanceThatComesInMaintenance, by a reload or a restart, is held like the
// others, and released with them.
func TestInstanceThatComesInMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		strong.maintenance(true, 0)
		for vrid := byte(77); vrid < 79; vrid++ {
			next := *strong.config
			added := next.VRRP[0]
			added.Router.Name, added.Router.VRID, added.VIPs = fmt.Sprint("relay", vrid), vrid, nil
			next.VRRP = append(slices.Clone(next.VRRP), added)
			strong.config = &next
			if vrid == 77 {
				if err := strong.director.Reload(t.Context(), &next); err != nil {
					t.Fatal(err)
				}
			} else {
				strong.stop(ErrHandOver)
				strong.start()
			}
			advance(10 * time.Second)
			strong.wantRole("backup")
		}
		strong.maintenance(false, 0)
		advance(10 * time.Second)
		strong.wantRole("master")
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestHoldInMaintenance outlives it.
func TestHoldInMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		weak.maintenance(true, 0)
		if err := weak.director.Hold(t.Context(), "relay"); err != nil {
			t.Fatal(err)
		}
		weak.maintenance(false, 0)
		if !weak.instance().Held {
			t.Error("it is released")
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestMaintenanceHoldsAreWrittenDownFirst: whoever is killed in the midst of it can
// still be released.
func TestMaintenanceHoldsAreWrittenDownFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		strong, weak := pair(t, func(strong, weak *node) { joined(strong, weak) })
		strong.maintenance(true, 0)
		o, err := overrideFile(strong.overrides).load()
		if diff := cmp.Diff([]string{"relay"}, o.Holds); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// TestOwnServers are addresses of this host that real servers have: no VIPs, and none
// that every host has.
func TestOwnServers(t *testing.T) {
	c := relayConfig()
	servers := &c.Services[0].RealServers
	for _, address := range []string{"127.0.0.1:25", "192.0.2.100:25", "[2001:db8::1]:25", "[fe80::1]:25"} {
		server := (*servers)[0]
		server.Address = netip.MustParseAddrPort(address)
		*servers = append(*servers, server)
	}
	s := newSteps(t, c)
	for _, address := range []string{"192.0.2.1", "192.0.2.9", "127.0.0.1", "192.0.2.100", "2001:db8::1", "fe80::1"} {
		s.view.snapshot.Addresses = append(s.view.snapshot.Addresses, netif.HostVIP("eth0", netip.MustParseAddr(address)))
	}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if got := s.ownServers(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
