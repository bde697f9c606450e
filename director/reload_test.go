package director

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

func TestReloadChangesOnlyWhatDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.kernel.takeDone()

		next := newNode(t, n.lan, 1).config
		next.Services[0].RealServers[0].Weight = 7
		next.VRRP[0].Router.Priority = 120
		if err := n.director.Reload(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.1:25 -g -w 7"}
		if diff := cmp.Diff(want, n.kernel.takeDone()); diff != "" {
			t.Errorf("operations (-want +got):\n%s", diff)
		}
		status := n.director.Status()
		if status.Instances[0].State != "master" || status.Instances[0].Priority != 120 {
			t.Errorf("after the reload: %+v", status.Instances[0])
		}
		n.stop(context.Canceled)
	})
}

func TestReloadDrainsAndDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.kernel.active["192.0.2.2:25"] = 3
		n.start()
		advance(5 * time.Second)
		n.kernel.takeDone()

		next := newNode(t, n.lan, 1).config
		next.Services[0].RealServers = next.Services[0].RealServers[:1]
		if err := n.director.Reload(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []string{"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.2:25 -g -w 0"}
		if diff := cmp.Diff(want, n.kernel.takeDone()); diff != "" {
			t.Errorf("with connections (-want +got):\n%s", diff)
		}
		n.kernel.mu.Lock()
		delete(n.kernel.active, "192.0.2.2:25")
		n.kernel.mu.Unlock()
		advance(2 * next.Global.Resync)
		want = []string{"ipvsadm -d -t 192.0.2.100:25 -r 192.0.2.2:25"}
		if diff := cmp.Diff(want, n.kernel.takeDone()); diff != "" {
			t.Errorf("without connections (-want +got):\n%s", diff)
		}

		empty := *next
		empty.Services, empty.VRRP = nil, nil
		if err := n.director.Reload(t.Context(), &empty); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		n.want(NewState())
		n.stop(context.Canceled)
	})
}

func TestReloadSeedsChangedChecks(t *testing.T) {
	c := relayConfig()
	have := relayState(c, vrrp.Backup)
	have.Services[c.Services[0].IPVS.ServiceKey].RealServers[0].Weight = 1
	next := relayConfig()
	for i, server := range next.Services[0].RealServers {
		next.Services[0].RealServers[i].Checks[0] = every(time.Minute, server.Address)
	}
	added := config.RealServer{Address: netip.MustParseAddrPort("192.0.2.3:25"), Weight: 1, Forwarding: ipvs.DirectRoute}
	added.Checks = append(added.Checks, checkOf(added))
	next.Services[0].RealServers = append(next.Services[0].RealServers, added)

	up := have.verdicts(next, Admin{})
	servers := next.Services[0].RealServers
	if !up[servers[0].Checks[0]] {
		t.Error("a server in rotation must stay there while its new check is unanswered")
	}
	if known, seen := up[servers[1].Checks[0]]; known || !seen {
		t.Error("a server out of rotation must stay out while its new check is unanswered")
	}
	if _, seen := up[added.Checks[0]]; seen {
		t.Error("the kernel says nothing of a server that it does not have")
	}
}

func TestUnpreparedKernelRefusesStartAndReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.kernel.takeDone()
		n.kernel.mu.Lock()
		n.kernel.unprepared = errInjected
		n.kernel.mu.Unlock()
		next := newNode(t, n.lan, 1).config
		next.Services[0].RealServers[0].Weight = 7
		if err := n.director.Reload(t.Context(), next); !errors.Is(err, errInjected) {
			t.Errorf("reload: %v", err)
		}
		advance(5 * time.Second)
		if ops := n.kernel.takeDone(); len(ops) != 0 {
			t.Errorf("a refused reload changed %v", ops)
		}
		n.stop(context.Canceled)

		n.start()
		if err := <-n.ended; !errors.Is(err, errInjected) {
			t.Errorf("start: %v", err)
		}
		n.cancel(nil)
	})
}
