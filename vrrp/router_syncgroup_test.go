package vrrp_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// pair is a group of two routers, on a LAN each.
type pair struct {
	group *vrrp.SyncGroup
	nodes [2]*node
}

func startPair(t *testing.T, lans [2]*vrrptest.LAN, i int, priorities ...uint8) pair {
	t.Helper()
	p := pair{group: vrrp.NewGroup("G")}
	// Both are members before the first of them begins.
	for m, priority := range priorities {
		p.nodes[m] = start(t, lans[m], config(i, func(c *vrrp.Config) {
			c.VRID, c.Priority, c.Name = uint8(51+m), priority, fmt.Sprintf("M%d", m)
		}), func(_ *node, rc *vrrp.RouterConfig) { rc.Group = p.group })
	}
	return p
}

func (p pair) want(t *testing.T, roles string) {
	t.Helper()
	synctest.Wait()
	for _, n := range p.nodes {
		wantRoles(t, n, roles)
	}
}

func TestSyncGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lans := [2]*vrrptest.LAN{vrrptest.New(), vrrptest.New()}
		a, b := startPair(t, lans, 1, 200, 200), startPair(t, lans, 2, 100, 100)
		sleep(10 * time.Second)
		a.want(t, "BACKUP MASTER")
		b.want(t, "BACKUP")
		if s := a.nodes[0].Status(); s.Group != "G" {
			t.Errorf("status: %+v", s)
		}

		// A fault of one is one of all, and is not passed back.
		a.nodes[1].SetFault("link", "down")
		sleep(5 * time.Second)
		a.want(t, "BACKUP MASTER FAULT")
		b.want(t, "BACKUP MASTER")
		s := a.nodes[0].Status()
		if s.Faults[vrrp.CauseGroup] != "M1: link: down" || s.FaultCauses[vrrp.CauseGroup] != 1 ||
			s.Why() != "fault: group: M1: link: down" {
			t.Errorf("status: %+v", s)
		}
		if s := a.nodes[1].Status(); len(s.Faults) != 1 {
			t.Errorf("faults of the origin: %v", s.Faults)
		}
		a.nodes[1].ClearFault("link")
		sleep(5 * time.Second)
		a.want(t, "BACKUP MASTER FAULT BACKUP MASTER")
		b.want(t, "BACKUP MASTER BACKUP")
		if w := b.nodes[1].last().Why(); w != "another member of its group is not master: M0 follows another master" {
			t.Errorf("why: %s", w)
		}

		// So is an interface that both lose.
		lans[0].Down(addr(1))
		lans[1].Down(addr(1))
		sleep(5 * time.Second)
		a.want(t, "BACKUP MASTER FAULT BACKUP MASTER FAULT")
		lans[0].Raise(addr(1))
		sleep(5 * time.Second)
		a.want(t, "BACKUP MASTER FAULT BACKUP MASTER FAULT")
		lans[1].Raise(addr(1))
		sleep(5 * time.Second)
		a.want(t, "BACKUP MASTER FAULT BACKUP MASTER FAULT BACKUP MASTER")
	})
}

// An order to one member is one to all.
func TestGroupOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lans := [2]*vrrptest.LAN{vrrptest.New(), vrrptest.New()}
		a, b := startPair(t, lans, 1, 200, 200), startPair(t, lans, 2, 100, 100)
		sleep(10 * time.Second)
		a.nodes[1].GiveUp()
		sleep(20 * time.Second)
		a.want(t, "BACKUP MASTER BACKUP")
		b.want(t, "BACKUP MASTER")
		a.nodes[0].Release()
		sleep(5 * time.Second)
		a.want(t, "BACKUP MASTER BACKUP MASTER")
		a.nodes[0].Hold()
		sleep(20 * time.Second)
		if s := a.nodes[1].Status(); !s.Held || s.Role != vrrp.Backup {
			t.Errorf("status: %+v", s)
		}
		b.want(t, "BACKUP MASTER BACKUP MASTER")
	})
}

// A router enters and leaves a group at work. One that is gone keeps the others
// back until it left.
func TestSetGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lans := [2]*vrrptest.LAN{vrrptest.New(), vrrptest.New()}
		a := startPair(t, lans, 1, 200, 200)
		a.nodes[1].crash()
		sleep(time.Minute)
		wantRoles(t, a.nodes[0], "BACKUP")
		a.nodes[1].SetGroup(nil)
		synctest.Wait()
		wantRoles(t, a.nodes[0], "BACKUP MASTER")

		c := start(t, lans[1], config(3, func(c *vrrp.Config) { c.VRID = 52 }), func(_ *node, rc *vrrp.RouterConfig) { rc.Hold = true })
		sleep(time.Minute)
		wantRoles(t, c, "BACKUP")
		c.SetGroup(a.group)
		synctest.Wait()
		wantRoles(t, a.nodes[0], "BACKUP MASTER BACKUP")
		c.Release()
		sleep(10 * time.Second)
		wantRoles(t, a.nodes[0], "BACKUP MASTER BACKUP MASTER")
		wantRoles(t, c, "BACKUP MASTER")
		a.nodes[0].SetGroup(nil)
		c.SetGroup(nil)
		if s := c.Status(); s.Group != "" {
			t.Errorf("status: %+v", s)
		}
	})
}

// Members that come, go and fail from many goroutines do not wait for each other.
func TestGroupOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		groups := []*vrrp.SyncGroup{vrrp.NewGroup("A"), vrrp.NewGroup("B"), nil}
		var nodes []*node
		for i := range 8 {
			nodes = append(nodes, start(t, vrrptest.New(), config(1, func(c *vrrp.Config) { c.VRID, c.Name = uint8(i+1), fmt.Sprint(i) })))
		}
		var all sync.WaitGroup
		for i, n := range nodes {
			all.Go(func() {
				for round := range 100 {
					n.SetGroup(groups[(round+i)%3])
					n.SetFault("x", "y")
					n.GiveUp()
					n.Hold()
					n.SetPriority(uint8(round))
					_ = n.Status()
					n.ClearFault("x")
					n.Release()
					<-time.After(time.Duration(round) * time.Millisecond)
				}
				n.SetGroup(groups[0])
				n.Release()
			})
		}
		all.Wait()
		sleep(time.Minute)
		for _, n := range nodes {
			if s := n.Status(); s.Role != vrrp.Master || s.Group != "A" {
				t.Errorf("%s: %v in group %q: %s", s.Name, s.Role, s.Group, s.Why())
			}
		}
	})
}
