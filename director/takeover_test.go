package director

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// routed gives the instance VIPs of other forms, and routing.
func routed(c *config.Config) {
	vip6 := netif.VIP{Address: netif.Address{Interface: "eth0", Addr: netip.MustParseAddr("2001:db8::100"), Bits: 64}}
	prefix := netif.HostVIP("eth0", netip.MustParseAddr("192.0.2.101"))
	prefix.Bits, prefix.Label, prefix.Broadcast = 24, "eth0:vip", netip.MustParseAddr("192.0.2.255")
	instance := &c.VRRP[0]
	instance.VIPs = append(instance.VIPs, config.VIP{VIP: vip6, Excluded: true}, config.VIP{VIP: prefix, Excluded: true})
	instance.Routes = []netif.Route{{
		Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1"),
		Source: relayVIP.Addr, Table: 254,
	}}
	instance.Rules = []netif.Rule{{Priority: 100, From: netip.PrefixFrom(relayVIP.Addr, 32), Table: 1000}}
}

// stray is a route as a predecessor may have left it.
var stray = netif.Route{Destination: netip.MustParsePrefix("198.51.100.0/24"), Type: netif.Blackhole, Table: 254}

func TestRoutingStandsWhileMaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		routed(n.config)
		n.kernel.change(func(s State) { s.Routes.Add(stray) })
		n.start()
		n.want(relayState(n.config, vrrp.Backup))
		advance(4 * time.Second)
		n.want(relayState(n.config, vrrp.Master))
		n.kernel.change(func(s State) {
			clear(s.Routes)
			clear(s.Rules)
		})
		n.kernel.changed()
		synctest.Wait()
		n.want(relayState(n.config, vrrp.Master))
		n.stop(context.Canceled)
		if left := n.kernel.now(); len(left.Routes)+len(left.Rules) != 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

// TestVIPsPutBackAreAnnounced: whatever took them away, the neighbours may have
// noticed.
func TestVIPsPutBackAreAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		routed(n.config)
		n.start()
		advance(30 * time.Second)
		for _, vip := range n.config.VRRP[0].VIPs {
			n.kernel.takeAnnounced()
			n.kernel.change(func(s State) { delete(s.VIPs, vip.VIP) })
			n.kernel.changed()
			synctest.Wait()
			n.want(relayState(n.config, vrrp.Master))
			advance(restDelay)
			if got := n.kernel.takeAnnounced(); got != 5 {
				t.Errorf("%v was put back and announced %d times, want 5", vip, got)
			}
			advance(10 * time.Second)
			if got := n.kernel.takeAnnounced(); got != 5 {
				t.Errorf("%v was announced %d times more, want 5", vip, got)
			}
		}
		changed := n.config.VRRP[0].VIPs[2].VIP
		changed.Label = ""
		n.kernel.change(func(s State) {
			delete(s.VIPs, n.config.VRRP[0].VIPs[2].VIP)
			s.VIPs.Add(changed)
		})
		advance(n.config.Global.Resync)
		n.want(relayState(n.config, vrrp.Master))
		n.stop(context.Canceled)
	})
}

// TestCrashedPredecessorsVIPs are adopted or removed, whatever their form.
func TestCrashedPredecessorsVIPs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		routed(n.config)
		left := relayState(n.config, vrrp.Master)
		n.kernel.change(func(s State) {
			for vip := range left.VIPs {
				s.VIPs.Add(vip)
			}
			for route := range left.Routes {
				s.Routes.Add(route)
			}
		})
		n.start()
		n.want(relayState(n.config, vrrp.Backup))
		n.stop(context.Canceled)
	})
}

// TestTakeOverWaitsForNothing: a new MASTER has its VIPs and has announced them
// while reading the kernel's state hangs.
func TestTakeOverWaitsForNothing(t *testing.T) {
	for _, redirect := range []config.RedirectScope{config.RedirectServices, config.RedirectAllTCP} {
		t.Run(string(redirect), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, vrrptest.New(), 1)
				n.config.VRRP[0].Redirect = redirect
				n.start()
				advance(3500 * time.Millisecond)
				stuck := make(chan struct{})
				n.kernel.mu.Lock()
				n.kernel.reading = stuck
				n.kernel.mu.Unlock()
				advance(time.Second)
				between := relayState(n.config, vrrp.Backup)
				between.VIPs.Add(relayVIP)
				n.want(between)
				announced := n.kernel.takeAnnounced()
				if now := redirect == config.RedirectServices; now != (announced > 0) {
					t.Errorf("announced %d times before the rule is gone", announced)
				}
				close(stuck)
				advance(time.Second)
				n.want(relayState(n.config, vrrp.Master))
				if total := announced + n.kernel.takeAnnounced(); total != 5 {
					t.Errorf("announced %d times in all, want 5", total)
				}
				n.stop(context.Canceled)
			})
		})
	}
}

// TestRefusedVIPGoesToFault: a node that cannot have the VIP lets the other one
// have it, and tries again after a while.
func TestRefusedVIPGoesToFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		strong, weak := newNode(t, lan, 1), newNode(t, lan, 2)
		strong.config.VRRP[0].Router.Priority = 150
		refused := true
		var tried []time.Time
		strong.kernel.fail = func(op Op) error {
			if _, ok := op.(AddVIP); ok && refused {
				tried = append(tried, time.Now())
				return errInjected
			}
			return nil
		}
		strong.start()
		weak.start()
		advance(10 * time.Second)
		strong.want(relayState(strong.config, vrrp.Fault))
		weak.want(relayState(weak.config, vrrp.Master))
		faults := strong.director.Status().Instances[0].Faults
		if diff := cmp.Diff([]string{"vip: " + errInjected.Error()}, faults); diff != "" {
			t.Errorf("faults (-want +got):\n%s", diff)
		}
		advance(2 * time.Minute)
		if rows := rowsOf(tried, refusedRetry); rows < 2 || rows > 5 {
			t.Errorf("%d rows of tries in 130 s, want one in some 30 s", rows)
		}
		strong.kernel.mu.Lock()
		refused = false
		strong.kernel.mu.Unlock()
		advance(time.Minute)
		strong.want(relayState(strong.config, vrrp.Master))
		weak.want(relayState(weak.config, vrrp.Backup))
		strong.stop(context.Canceled)
		weak.stop(context.Canceled)
	})
}

// rowsOf counts the groups of tries with at least the pause between them.
func rowsOf(tried []time.Time, pause time.Duration) int {
	rows := 0
	for i, at := range tried {
		if i == 0 || at.Sub(tried[i-1]) >= pause {
			rows++
		}
	}
	return rows
}

// TestFailureOfAVIPIsClear: the others come, what depends on it is not tried, and
// there is one error.
func TestFailureOfAVIPIsClear(t *testing.T) {
	c := relayConfig()
	routed(c)
	kernel := newModel()
	kernel.fail = func(op Op) error {
		if add, ok := op.(AddVIP); ok && add.VIP == relayVIP {
			return errInjected
		}
		return nil
	}
	want := relayState(c, vrrp.Master)
	_, err := Apply(t.Context(), kernel, Diff(NewState(), want))
	if err == nil || strings.Count(err.Error(), "\n") != 0 || !strings.Contains(err.Error(), relayVIP.Addr.String()) {
		t.Errorf("error %q, want one that names the VIP", fmt.Sprint(err))
	}
	delete(want.VIPs, relayVIP)
	clear(want.Routes)
	if diff := cmp.Diff(want, kernel.now(), compareStates); diff != "" {
		t.Errorf("kernel (-want +got):\n%s", diff)
	}
	if refused := refusedVIPs(err); len(refused) != 1 || refused[relayVIP.Address] == nil {
		t.Errorf("refused %v", refused)
	}
}
