package vrrp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		a.GiveUp()
		synctest.Wait()
		if s := a.Status(); !s.Yielded || s.Reason != vrrp.ReasonGaveUp || s.ZeroSent != 1 {
			t.Errorf("status: %+v", s)
		}
		if err := a.Reconfigure(config(1, priority(210))); err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER BACKUP")
		wantRoles(t, b, "BACKUP MASTER")
		b.crash()
		sleep(5 * time.Second)
		wantRoles(t, a, "BACKUP MASTER BACKUP MASTER")
		if s := a.Status(); s.Yielded {
			t.Errorf("status: %+v", s)
		}
		a.GiveUp() // nobody follows
		sleep(5 * time.Second)
		wantRoles(t, a, "BACKUP MASTER BACKUP MASTER BACKUP MASTER")
	})
}

// A hold lasts through faults, reloads and the loss of everybody else.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1, priority(vrrp.Owner)))
		a.Hold()
		sleep(time.Minute)
		wantRoles(t, a, "MASTER BACKUP")
		a.SetFault("x", "y")
		synctest.Wait()
		a.ClearFault("x")
		synctest.Wait()
		if err := a.Reconfigure(config(1, priority(vrrp.Owner))); err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		if s := a.Status(); s.Role != vrrp.Backup || !s.Held {
			t.Errorf("status: %+v", s)
		}
		a.Release()
		sleep(5 * time.Second)
		wantRoles(t, a, "MASTER BACKUP FAULT BACKUP MASTER")

		b := start(t, lan, config(2), func(_ *node, c *vrrp.RouterConfig) { c.Hold, c.Resume = true, true })
		a.crash()
		sleep(time.Minute)
		wantRoles(t, b, "BACKUP")
	})
}

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		settle := func(c *vrrp.Config) { c.Settle = 10 * time.Second }
		a := start(t, lan, config(1, settle))
		sleep(13 * time.Second)
		wantRoles(t, a, "BACKUP")
		if s := a.Status(); !s.Settling {
			t.Errorf("status: %+v", s)
		}
		sleep(time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		b := start(t, lan, config(2, settle, priority(200))) // hears a: settled
		sleep(4500 * time.Millisecond)
		wantRoles(t, b, "BACKUP MASTER")
		if s := b.Status(); s.Settling {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestLinkDownDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		delay := func(c *vrrp.Config) { c.LinkDownDelay = 10 * time.Second }
		a, b := start(t, lan, config(1, delay, priority(200))), start(t, lan, config(2, delay))
		sleep(10 * time.Second)
		lan.Down(a.addr)
		lan.Down(b.addr)
		sleep(9 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
		if s := a.Status(); s.SendErrors < 8 {
			t.Errorf("status: %+v", s)
		}
		lan.Raise(a.addr)
		lan.Raise(b.addr)
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
		down := time.Now()
		lan.Down(a.addr)
		sleep(20 * time.Second)
		wantRoles(t, a, "BACKUP MASTER FAULT")
		if late := a.last().At.Sub(down); late < 10*time.Second || late > 11*time.Second {
			t.Errorf("FAULT after %v", late)
		}
		wantRoles(t, b, "BACKUP MASTER")
	})
}
