package director

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

var (
	relayMute = iptables.Mute{VIP: relayVIP.Addr}
	relaySync = config.Sync{Instance: "relay", Daemons: config.SyncBoth, Interface: "eth0", ID: 11}
)

// settling are the facts of a node whose instances have just become MASTER.
func settling(c *config.Config) Facts {
	f := Facts{Config: c, Now: time.Now(), Roles: map[string]vrrp.Role{}, Assumed: map[string]time.Time{}}
	for i := range c.VRRP {
		name := c.VRRP[i].Router.Name
		f.Roles[name], f.Assumed[name] = vrrp.Master, f.Now
	}
	return f
}

// TestNewMasterIsMuteForAWhile: from before it has the VIP until it must have been
// told of every connection, and no longer.
func TestNewMasterIsMuteForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &relaySync
		n.config.Global.Resync = time.Hour // the end of the wait alone must do it
		n.start()
		for !n.kernel.now().VIPs.Has(relayVIP) {
			if n.kernel.now().Mutes.Has(relayMute) {
				t.Fatal("a BACKUP is mute")
			}
			advance(10 * time.Millisecond)
		}
		done := n.kernel.takeDone()
		mute, vip := slices.Index(done, AddMute{relayMute}.String()), slices.Index(done, AddVIP{relayVIP}.String())
		if mute < 0 || mute > vip {
			t.Errorf("mute at %d, the VIP at %d of %q", mute, vip, done)
		}
		advance(syncSettle - 50*time.Millisecond)
		if !n.kernel.now().Mutes.Has(relayMute) {
			t.Error("not mute any more")
		}
		advance(100 * time.Millisecond)
		if n.kernel.now().Mutes.Has(relayMute) {
			t.Error("still mute")
		}
		n.stop(context.Canceled)
	})
}

// TestMuteEndsWithMastership: a BACKUP's resets are true ones.
func TestMuteEndsWithMastership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &relaySync
		n.start()
		advance(4 * time.Second)
		if !n.kernel.now().Mutes.Has(relayMute) {
			t.Fatal("a new MASTER is not mute")
		}
		n.kernel.setLink("eth0", false)
		synctest.Wait()
		if n.kernel.now().Mutes.Has(relayMute) {
			t.Error("a former MASTER is mute")
		}
		n.stop(context.Canceled)
	})
}

// TestVIPComesWithoutMute: whoever keeps the xtables lock does not keep the VIP
// away.
func TestVIPComesWithoutMute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &relaySync
		n.kernel.fail = func(op Op) error {
			if _, ok := op.(AddMute); ok {
				return iptables.ErrLocked
			}
			return nil
		}
		n.start()
		advance(4 * time.Second)
		if now := n.kernel.now(); !now.VIPs.Has(relayVIP) || len(now.Mutes) != 0 {
			t.Errorf("the kernel has %v", now)
		}
		n.stop(context.Canceled)
	})
}

// TestDiffMutesBeforeTheVIPComes: a reset that got out cannot be taken back.
func TestDiffMutesBeforeTheVIPComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		have, want := drawKernel(t, "have"), drawWide(t, "want")
		now := have
		for _, op := range Diff(have, want) {
			now = now.With(op)
			for mute := range want.Mutes {
				if came := now.announces(mute.VIP) && !have.announces(mute.VIP); came && !now.Mutes.Has(mute) {
					t.Fatalf("after %v the VIP is here without %v", op, mute)
				}
			}
		}
	})
}

// TestSuccessorOwnsDaemonsAndTunnels: a file that names them no longer, changed
// while no lvsd ran, makes them go.
func TestSuccessorOwnsDaemonsAndTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &relaySync
		n.config.Accept = []config.Accept{{Decapsulations: []netif.Decapsulation{{Encapsulation: netif.GUE, Port: 6080}}}}
		foreign := netif.Decapsulation{Encapsulation: netif.GRE}
		n.kernel.change(func(s State) { s.Decapsulations.Add(foreign) })
		n.start()
		advance(5 * time.Second)
		if now := n.kernel.now(); len(now.Daemons) != 2 || len(now.Decapsulations) != 2 {
			t.Fatalf("the kernel has %v", now)
		}
		n.stop(ErrHandOver)
		n.config = relayConfig()
		n.config.Services[0].RealServers = nil
		n.start()
		synctest.Wait()
		now := n.kernel.now()
		if len(now.Daemons) != 0 || len(now.Decapsulations) != 1 || !now.Decapsulations.Has(foreign) {
			t.Errorf("the successor left %v, %v", now.Daemons, now.Decapsulations)
		}
		n.stop(context.Canceled)
	})
}

// TestSenderStopsAlthoughTheKernelIsSlow: an end that passes while the kernel is
// being changed is noticed.
func TestSenderStopsAlthoughTheKernelIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Sync = &config.Sync{Instance: "relay", Daemons: config.SyncFollow, Interface: "eth0", ID: 11}
		n.config.Global.Resync = time.Hour
		n.start()
		advance(10 * time.Second)
		n.kernel.fail = func(op Op) error {
			if _, ok := op.(DeleteVIP); ok {
				<-time.After(syncLinger + time.Second)
			}
			return nil
		}
		n.kernel.setLink("eth0", false)
		advance(2*syncLinger + 2*time.Second)
		if _, sends := n.kernel.now().Daemons[ipvs.DaemonMaster]; sends {
			t.Error("the sender goes on for ever")
		}
		n.stop(context.Canceled)
	})
}
