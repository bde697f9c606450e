package vrrp_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// SIGSTOP and SIGCONT: a master that was away for its own Master_Down_Interval
// sends nothing before it has listened.
func TestStalledMaster(t *testing.T) {
	for _, preempt := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			lan := vrrptest.New()
			set := func(c *vrrp.Config) { c.Preempt = preempt }
			a, b := start(t, lan, config(1, priority(200), set)), start(t, lan, config(2, set))
			sleep(10 * time.Second)
			lan.Stop(a.addr)
			sleep(8 * time.Second)
			wantRoles(t, b, "BACKUP MASTER")
			back, before := time.Now(), len(lan.Sent())
			lan.Continue(a.addr)
			synctest.Wait()
			wantRoles(t, a, "BACKUP MASTER BACKUP")
			if a.last().Reason != vrrp.ReasonStalled || len(lan.Sent()) != before {
				t.Errorf("%v, and %d adverts", a.last().Reason, len(lan.Sent())-before)
			}
			sleep(time.Minute)
			if !preempt {
				wantRoles(t, a, "BACKUP MASTER BACKUP")
				wantRoles(t, b, "BACKUP MASTER")
				return
			}
			wantRoles(t, a, "BACKUP MASTER BACKUP MASTER")
			wantRoles(t, b, "BACKUP MASTER BACKUP")
			if took := a.last().At.Sub(back); took != a.config.MasterDownInterval() {
				t.Errorf("preempted after %v", took)
			}
		})
	}
}

// A backup that was away finds the adverts it was sent before it finds its timer.
func TestStalledBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		lan.Stop(b.addr)
		sleep(20 * time.Second)
		lan.Continue(b.addr)
		sleep(20 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
	})
}

// A master that is late, but not by Master_Down_Interval, reads before it sends:
// the better one that appeared meanwhile does not hear from it again.
func TestLateMasterReadsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		b := start(t, lan, config(2))
		sleep(10 * time.Second)
		lan.Stop(b.addr)
		a := start(t, lan, config(1, priority(vrrp.Owner)))
		sleep(2 * time.Second)
		before := len(lan.Sent())
		lan.Continue(b.addr)
		synctest.Wait()
		wantRoles(t, a, "MASTER")
		wantRoles(t, b, "BACKUP MASTER BACKUP")
		if n := len(lan.Sent()) - before; n != 0 {
			t.Errorf("%d adverts after the stop", n)
		}
	})
}
