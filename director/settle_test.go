package director

import (
	"context"
	"errors"
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

// settleWithin is Settle with a bound.
func (n *node) settleWithin(within time.Duration) error {
	ctx, cancel := context.WithTimeout(n.t.Context(), within)
	defer cancel()
	return n.director.Settle(ctx)
}

// goOver is a reload that must be possible.
func (n *node) goOver(c *config.Config) {
	n.t.Helper()
	if err := n.director.Reload(n.t.Context(), c); err != nil {
		n.t.Fatal(err)
	}
}

// refuse makes the model refuse an operation, or nothing.
func (n *node) refuse(refused func(Op) bool) {
	n.kernel.mu.Lock()
	defer n.kernel.mu.Unlock()
	n.kernel.fail = nil
	if refused != nil {
		n.kernel.fail = func(op Op) error {
			if refused(op) {
				return errInjected
			}
			return nil
		}
	}
}

// wantOwned: what lvsd owns is what the configuration names.
func (n *node) wantOwned(c *config.Config) {
	n.t.Helper()
	if diff := cmp.Diff(OwnedBy(c), n.director.ownedNow(), compareStates); diff != "" {
		n.t.Errorf("owned (-want +got):\n%s", diff)
	}
}

// otherVIP is the configuration with another VIP, which the service has too.
func otherVIP(c *config.Config) *config.Config {
	vip := netif.HostVIP("eth0", netip.MustParseAddr("192.0.2.101"))
	c.VRRP[0].VIPs = []config.VIP{{VIP: vip}}
	c.VRRP[0].Router.VIPs = []netip.Addr{vip.Addr}
	c.Services[0].IPVS.Address = netip.AddrPortFrom(vip.Addr, 25)
	return c
}

func TestSettleWaitsForTheKernel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		if err := n.settleWithin(time.Second); err != nil {
			t.Errorf("without a reload: %v", err)
		}
		n.refuse(func(Op) bool { return true })
		next := newNode(t, n.lan, 1).config
		next.Services[0].RealServers[0].Weight = 7
		n.goOver(next)
		if err := n.settleWithin(10 * time.Second); !errors.Is(err, errInjected) {
			t.Errorf("while the kernel refuses: %v", err)
		}
		n.refuse(nil)
		if err := n.settleWithin(time.Second); err != nil {
			t.Errorf("when it does not any more: %v", err)
		}
		n.want(relayState(next, vrrp.Master))
		n.stop(context.Canceled)
	})
}

// TestRefusedVIPKeepsMastership: a file with a VIP that the kernel refuses is taken
// back before it costs the instance its role.
func TestRefusedVIPKeepsMastership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		before, now := n.config, time.Now()
		next := otherVIP(newNode(t, n.lan, 1).config)
		n.refuse(func(op Op) bool {
			add, ok := op.(AddVIP)
			return ok && add.VIP.Addr == next.VRRP[0].VIPs[0].Addr
		})
		n.goOver(next)
		err := n.settleWithin(30 * time.Second)
		if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), "192.0.2.101") {
			t.Fatalf("a refused VIP: %v", err)
		}
		if took := time.Since(now); took > 5*time.Second {
			t.Errorf("it took %s to know", took)
		}
		if err := n.director.RollBack(t.Context(), before, err); err != nil {
			t.Fatal(err)
		}
		if err := n.settleWithin(5 * time.Second); err != nil {
			t.Errorf("after the roll back: %v", err)
		}
		n.want(relayState(before, vrrp.Master))
		status := n.director.Status()
		if status.Instances[0].State != "master" || !status.Instances[0].Since.Before(now) {
			t.Errorf("the role: %+v", status.Instances[0])
		}
		if status.Reload.OK || !strings.Contains(status.Reload.Error, "192.0.2.101") {
			t.Errorf("the status: %+v", status.Reload)
		}
		advance(time.Minute)
		n.want(relayState(before, vrrp.Master))
		n.wantOwned(before)
		n.stop(context.Canceled)
	})
}

// TestRollBackOwnsNothingMore: what only the failed file named is gone, and not
// lvsd's any more.
func TestRollBackOwnsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		before := n.config
		next := otherVIP(newNode(t, n.lan, 1).config)
		n.goOver(next)
		if err := n.settleWithin(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		if err := n.director.RollBack(t.Context(), before, errInjected); err != nil {
			t.Fatal(err)
		}
		if err := n.settleWithin(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		n.want(relayState(before, vrrp.Master))
		n.wantOwned(before)
		n.stop(context.Canceled)
	})
}

// TestReloadEndsAFaultOfVIPs: a file with other VIPs is not held up by those that the
// kernel has refused before.
func TestReloadEndsAFaultOfVIPs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.refuse(func(op Op) bool {
			add, ok := op.(AddVIP)
			return ok && add.VIP.Addr == relayVIP.Addr
		})
		n.start()
		advance(10 * time.Second)
		if state := n.director.Status().Instances[0].State; state != "fault" {
			t.Fatalf("with a refused VIP it is %s", state)
		}
		next := otherVIP(newNode(t, n.lan, 1).config)
		n.goOver(next)
		advance(10 * time.Second)
		n.want(relayState(next, vrrp.Master))
		n.stop(context.Canceled)
	})
}

// TestMissingInterfaceIsRefused: a reload that would move what works to an interface
// that cannot carry it touches nothing, nor does its preview; a new instance may have
// one.
func TestMissingInterfaceIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		since := n.director.Status().Instances[0].Since
		n.kernel.takeDone()
		n.kernel.setAbsent("eth9")
		n.kernel.setLink("eth8", false)
		moved, vip := newNode(t, n.lan, 1).config, newNode(t, n.lan, 1).config
		moved.VRRP[0].Interface = "eth9"
		vip.VRRP[0].VIPs[0].Interface = "eth8"
		for name, c := range map[string]*config.Config{"eth9": moved, "eth8": vip} {
			err := n.director.Reload(t.Context(), c)
			if err == nil || !strings.Contains(err.Error(), `"relay" works and would get the interface `+name) {
				t.Errorf("%s: %v", name, err)
			}
			if _, previewed := n.director.Preview(t.Context(), n.kernel, c); previewed == nil || previewed.Error() != err.Error() {
				t.Errorf("the preview of %s: %v", name, previewed)
			}
		}
		advance(10 * time.Second)
		n.want(relayState(n.config, vrrp.Master))
		if i := n.director.Status().Instances[0]; i.State != "master" || !i.Since.Equal(since) {
			t.Errorf("it is %s since %s, was MASTER since %s", i.State, i.Since, since)
		}
		if ops := n.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("the kernel was changed: %v", ops)
		}

		more := newNode(t, n.lan, 1).config
		another := more.VRRP[0]
		another.Router.Name, another.Router.VRID, another.Interface = "another", 99, "eth9"
		another.VIPs, another.Router.VIPs = nil, []netip.Addr{netip.MustParseAddr("192.0.2.150")}
		more.VRRP = append(more.VRRP, another)
		n.goOver(more)
		if err := n.settleWithin(10 * time.Second); err != nil {
			t.Errorf("a new instance on an absent interface: %v", err)
		}
		n.stop(context.Canceled)
	})
}

// TestReloadWhileALinkIsDown: the interface that an instance has anyway, with a link
// whose loss does not count yet, does not stand in the way of a reload.
func TestReloadWhileALinkIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.VRRP[0].Router.LinkDownDelay = time.Minute
		n.start()
		advance(5 * time.Second)
		n.kernel.setLink("eth0", false)
		advance(time.Second)
		next := newNode(t, n.lan, 1).config
		next.VRRP[0].Router.LinkDownDelay = time.Minute
		next.Services[0].RealServers[0].Weight = 7
		n.goOver(next)
		if err := n.settleWithin(5 * time.Second); err != nil {
			t.Error(err)
		}
		n.stop(context.Canceled)
	})
}

// TestLinkLostDuringAReload: a cable that is pulled just then is not the reload's doing.
func TestLinkLostDuringAReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		next := newNode(t, n.lan, 1).config
		next.VRRP[0].Router.Preempt = !next.VRRP[0].Router.Preempt
		next.Services[0].RealServers[0].Weight = 7
		n.refuse(func(Op) bool { return true })
		n.goOver(next)
		synctest.Wait() // it could not be carried out
		n.kernel.setLink("eth0", false)
		synctest.Wait() // the instance knows
		n.refuse(nil)
		if err := n.settleWithin(30 * time.Second); err != nil {
			t.Errorf("a link that went meanwhile: %v", err)
		}
		n.stop(context.Canceled)
	})
}

// TestLostInterfaceIsAFailedReload: an instance that worked must not be in FAULT when
// the reload has settled.
func TestLostInterfaceIsAFailedReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		moved := newNode(t, n.lan, 1).config
		moved.VRRP[0].Interface = "eth9"
		n.refuse(func(Op) bool { return true })
		n.goOver(moved)
		synctest.Wait() // it could not be carried out
		n.kernel.setAbsent("eth9")
		synctest.Wait() // the instance knows
		n.refuse(nil)
		if err := n.settleWithin(30 * time.Second); err == nil || !strings.Contains(err.Error(), `"relay"`) {
			t.Errorf("an instance on an interface that went: %v", err)
		}
		if err := n.director.RollBack(t.Context(), n.config, errInjected); err != nil {
			t.Fatal(err)
		}
		advance(10 * time.Second)
		n.want(relayState(n.config, vrrp.Master))
		if reload := n.director.Status().Reload; !reload.RolledBack || reload.OK {
			t.Errorf("the status: %+v", reload)
		}
		for _, e := range n.director.Events(0) {
			if e.Kind == EventReloaded {
				t.Errorf("event %q of what did not settle", e.Text)
			}
		}
		n.stop(context.Canceled)
	})
}

// TestHalfAReloadIsTakenBack makes the change of an instance fail after all else has
// changed.
func TestHalfAReloadIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.kernel.takeDone()
		next := newNode(t, n.lan, 1).config
		next.Services[0].RealServers[0].Weight = 7
		next.VRRP[0].Router.Interval = -time.Second
		if err := n.director.Reload(t.Context(), next); err == nil {
			t.Fatal("an impossible interval was accepted")
		}
		advance(5 * time.Second)
		if ops := n.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("a reload that failed changed %v", ops)
		}
		n.want(relayState(n.config, vrrp.Master))
		if status := n.director.Status(); status.Reload.OK || status.Instances[0].State != "master" {
			t.Errorf("afterwards: %+v, %+v", status.Reload, status.Instances[0])
		}
		n.stop(context.Canceled)
	})
}

func TestSettleOfAnOldReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.refuse(func(Op) bool { return true })
		next := newNode(t, n.lan, 1).config
		next.Services[0].RealServers[0].Weight = 7
		n.goOver(next)
		first := make(chan error, 1)
		go func() { first <- n.settleWithin(time.Minute) }()
		synctest.Wait()
		n.refuse(nil)
		n.goOver(n.config)
		if err := <-first; !errors.Is(err, errSuperseded) {
			t.Errorf("the former: %v", err)
		}
		if err := n.settleWithin(time.Second); err != nil {
			t.Errorf("the latter: %v", err)
		}
		n.stop(context.Canceled)
	})
}
