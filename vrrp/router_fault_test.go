package vrrp_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

func TestFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		a.SetFault("vip", "10.0.0.100: file exists")
		synctest.Wait()
		wantRoles(t, a, "BACKUP MASTER FAULT")
		if last := lan.Sent()[len(lan.Sent())-1]; last.From != a.addr || last.Message[2] != 0 {
			t.Errorf("last word: %+v", last)
		}
		if tr := a.last(); tr.Reason != vrrp.ReasonFault || tr.Detail != "vip: 10.0.0.100: file exists" {
			t.Errorf("%v: %q", tr.Reason, tr.Detail)
		}
		sleep(time.Second)
		wantRoles(t, b, "BACKUP MASTER")

		a.SetFault("link", "eth1 down")
		a.ClearFault("vip")
		a.ClearFault("never set")
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER FAULT")
		want := map[string]string{"link": "eth1 down"}
		if s := a.Status(); !cmp.Equal(s.Faults, want) || !cmp.Equal(s.FaultCauses, map[string]uint64{"vip": 1, "link": 1}) {
			t.Errorf("status: %+v", s)
		}

		cleared := time.Now()
		a.ClearFault("link")
		synctest.Wait()
		wantRoles(t, a, "BACKUP MASTER FAULT BACKUP")
		sleep(4 * time.Second)
		wantRoles(t, a, "BACKUP MASTER FAULT BACKUP MASTER")
		if took := a.last().At.Sub(cleared); took != a.config.MasterDownInterval() || a.last().Reason != vrrp.ReasonPreempting {
			t.Errorf("master %v after the fault: %v", took, a.last().Reason)
		}
		if d := a.last().Detail; d != "10.0.0.2 with priority 100" {
			t.Errorf("detail: %q", d)
		}
		wantRoles(t, b, "BACKUP MASTER BACKUP")
	})
}

// A fault known before the start, and one that is over before Run looks.
func TestFaultBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		r, err := vrrp.NewRouter(vrrp.RouterConfig{Config: config(1), Interface: "eth0", Dial: lan.Dial(addr(1))})
		if err != nil {
			t.Fatal(err)
		}
		r.SetFault("script", "exit 1")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		sleep(10 * time.Second)
		if s := r.Status(); s.Role != vrrp.Fault || s.Transitions != 1 || s.Detail != "script: exit 1" {
			t.Errorf("status: %+v", s)
		}
		r.ClearFault("script")
		synctest.Wait()
		r.SetFault("script", "exit 1")
		r.ClearFault("script")
		synctest.Wait()
		if s := r.Status(); s.Role != vrrp.Backup || s.Reason != vrrp.ReasonRecovered {
			t.Errorf("status: %+v", s)
		}
		cancel()
		<-done
	})
}

// The Router finds out itself when its interface goes, whatever its role, and
// opens its socket anew when it comes back.
func TestInterfaceDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		down := time.Now()
		lan.Down(a.addr)
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER FAULT")
		wantRoles(t, b, "BACKUP MASTER")
		if late := a.last().At.Sub(down); late > time.Second {
			t.Errorf("noticed after %v", late)
		}
		s := a.Status()
		if s.Faults[vrrp.CauseInterface] == "" || s.FaultCauses[vrrp.CauseInterface] != 1 || s.Source.IsValid() {
			t.Errorf("status: %+v", s)
		}
		lan.Raise(a.addr)
		sleep(time.Second)
		wantRoles(t, a, "BACKUP MASTER FAULT BACKUP")
		if s := a.Status(); len(s.Faults) != 0 || s.Source != a.addr {
			t.Errorf("status: %+v", s)
		}
		sleep(5 * time.Second)
		wantRoles(t, a, "BACKUP MASTER FAULT BACKUP MASTER")

		lan.Down(b.addr) // a backup must not take a dead interface for a dead master
		sleep(10 * time.Second)
		wantRoles(t, b, "BACKUP MASTER BACKUP FAULT")
	})
}

// The director's word ends a pause between tries.
func TestClearFaultTriesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		lan.Down(addr(1))
		a := start(t, lan, config(1))
		sleep(10*time.Second + 123*time.Millisecond)
		lan.Raise(addr(1))
		synctest.Wait()
		wantRoles(t, a, "FAULT")
		a.SetFault("link", "down")
		synctest.Wait()
		a.ClearFault("link")
		synctest.Wait()
		wantRoles(t, a, "FAULT BACKUP")
	})
}

// An order that comes while the Router is at work, here from its own observer,
// is not left until the next timer.
func TestOrderWhileAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1), func(n *node, c *vrrp.RouterConfig) {
			c.Observe = func(tr vrrp.Transition) {
				if tr.To == vrrp.Backup {
					n.SetFault("vip", "in use")
				}
				n.observe(tr)
			}
		})
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP FAULT")
		if late := a.seen[1].At.Sub(a.seen[0].At); late != 0 {
			t.Errorf("fault %v after it was set", late)
		}
	})
}

// A socket that fails is a fault, and is opened anew.
func TestSocketFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1))
		sleep(10 * time.Second)
		lan.Break(a.addr, errors.New("input/output error"))
		sleep(time.Second)
		wantRoles(t, a, "BACKUP MASTER FAULT BACKUP")
		if s := a.Status(); s.FaultCauses[vrrp.CauseInterface] != 1 {
			t.Errorf("status: %+v", s)
		}
	})
}
