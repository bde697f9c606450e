package integration

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// encounter is lvsd and keepalived on one segment, one virtual router.
type encounter struct {
	*segment
	lvsd       *node
	keepalived *keepalived
}

// TestKeepalived: lvsd and keepalived elect one MASTER between them, whichever
// of the two it is and however it goes, and neither finds fault with the other's
// adverts.
func TestKeepalived(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		router           virtualRouter
		lvsd, keepalived string
	}{
		// Of equal priorities, keepalived wins in the first and lvsd in the second.
		{"version 2 with password", virtualRouter{Version: 2, VRID: 53, Password: "1111"}, "10.99.0.1", "10.99.0.2"},
		{"version 3", virtualRouter{Version: 3, VRID: 61}, "10.99.0.2", "10.99.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lab.Require(t, lab.NeedNetns, lab.NeedKeepalived)
			t.Parallel()
			e := meet(t, c.router, c.lvsd, c.keepalived)
			e.keepalivedRules()
			e.lvsdRules()
			e.equals()
			switch c.router.Version {
			case 2:
				e.strangers()
			case 3:
				e.unicast()
			}
		})
	}
}

func meet(t *testing.T, v virtualRouter, lvsd, keepalived string) *encounter {
	s := newSegment(t)
	v.Interval, v.Keys = s.interval, "garp = { delay = \"1s\", refresh = \"0s\" }\n"
	e := &encounter{segment: s, lvsd: s.addNode("lvsd", lvsd), keepalived: s.addKeepalived("keepalived", keepalived)}
	v.Priority = 100
	e.lvsd.configure(v)
	v.Priority = 150
	e.keepalived.router = v
	return e
}

// keepalivedRules: keepalived has the higher priority.
func (e *encounter) keepalivedRules() {
	e.stage("keepalived is MASTER, lvsd its BACKUP", func(t *testing.T) {
		e.lvsd.start()
		e.keepalived.start(e.keepalived.router)
		e.expect(t, e.keepalived.Host)
	})
	e.stage("keepalived stops, lvsd takes over", func(t *testing.T) {
		e.keepalived.stop()
		e.expect(t, e.lvsd.Host)
		if reason := e.lvsd.now().Reason; reason != "the master left" {
			t.Errorf("lvsd took over because %q, not because of priority 0", reason)
		}
	})
	e.stage("keepalived is back, lvsd yields", func(t *testing.T) {
		e.keepalived.start(e.keepalived.router)
		e.expect(t, e.keepalived.Host)
	})
}

// lvsdRules: lvsd has the higher priority.
func (e *encounter) lvsdRules() {
	e.stage("lvsd gets the higher priority, keepalived yields", func(t *testing.T) {
		e.lvsd.reload(func(v *virtualRouter) { v.Priority = 200 })
		e.expect(t, e.lvsd.Host)
	})
	e.stage("lvsd stops, keepalived takes over", func(t *testing.T) {
		e.lvsd.stop()
		e.expect(t, e.keepalived.Host)
	})
	e.stage("lvsd is back, keepalived yields", func(t *testing.T) {
		e.lvsd.start()
		e.expect(t, e.lvsd.Host)
	})
	e.stage("lvsd's node dies, keepalived takes over", func(t *testing.T) {
		e.lvsd.daemon.Signal(syscall.SIGKILL)
		<-e.lvsd.daemon.Done()
		e.lvsd.SetCable(false)
		e.expect(t, e.keepalived.Host)
	})
	e.stage("lvsd starts on the dead node and gives up the VIP it finds", func(*testing.T) {
		e.lvsd.start()
		e.lab.WaitFor("FAULT without the VIP", func() error { return e.lvsd.inState("fault") })
	})
	e.stage("the node is back, keepalived yields", func(t *testing.T) {
		e.lvsd.SetCable(true)
		e.expect(t, e.lvsd.Host)
	})
}

// equals: both have the same priority and are MASTER, because they could not
// hear each other. The higher address goes on.
func (e *encounter) equals() {
	e.stage("equal priorities, the higher address wins", func(t *testing.T) {
		e.lvsd.reload(func(v *virtualRouter) { v.Priority = e.keepalived.router.Priority })
		block(e.lvsd.Host, true)
		block(e.keepalived.Host, true)
		e.lab.WaitFor("two MASTERs that do not hear each other", func() error {
			return errors.Join(e.lvsd.inState("master"), e.keepalived.inState("master"))
		})
		winner, loser := e.lvsd.Host, e.keepalived.Host
		if loser.Address.Compare(winner.Address) > 0 {
			winner, loser = loser, winner
		}
		// Only a MASTER that hears another one announces the VIP again.
		block(winner, false)
		e.lab.WaitFor("the client to know the winner", func() error { return e.clientSees(winner) })
		block(loser, false)
		e.expect(t, winner)
	})
}

// strangers: the password differs. That no complaint was found so far is worth
// something if one is found here.
func (e *encounter) strangers() {
	e.stage("another password, both say so", func(t *testing.T) {
		e.lvsd.reload(func(v *virtualRouter) { v.Password = "2222" })
		e.lab.WaitFor("keepalived to complain", func() error {
			if len(e.keepalived.complaints()) == 0 {
				return fmt.Errorf("nothing in its log:\n%s", e.keepalived.daemon.Output())
			}
			return nil
		})
		e.lab.WaitFor("lvsd to count", func() error {
			if i := e.lvsd.now(); i.Discarded["password"] == 0 {
				return fmt.Errorf("discarded: %v", i.Discarded)
			}
			return nil
		})
	})
}

// unicast: the same once more, from address to address.
func (e *encounter) unicast() {
	lvsd, ka := e.lvsd.router, e.keepalived.router
	lvsd.Priority, ka.Priority = 150, 100
	lvsd.Source, lvsd.Peer = e.lvsd.Address.String(), e.keepalived.Address.String()
	ka.Source, ka.Peer = lvsd.Peer, lvsd.Source
	e.stage("unicast, lvsd is MASTER, keepalived its BACKUP", func(t *testing.T) {
		e.keepalived.stop()
		e.lvsd.configure(lvsd)
		if reload := e.lvsd.hangUp(); !reload.OK {
			t.Fatalf("reload: %s", reload.Error)
		}
		e.keepalived.start(ka)
		e.expect(t, e.lvsd.Host)
	})
	e.stage("unicast, lvsd stops, keepalived takes over", func(t *testing.T) {
		e.lvsd.stop()
		e.expect(t, e.keepalived.Host)
	})
	e.stage("unicast, lvsd is back, keepalived yields", func(t *testing.T) {
		e.lvsd.start()
		e.expect(t, e.lvsd.Host)
	})
}

// expect waits until the host holds the VIP and the other side agrees, sees that
// this stays so, and that nobody has found fault with an advert.
func (e *encounter) expect(t *testing.T, holder *lab.Host) {
	t.Helper()
	e.lab.WaitFor(holder.Name+" to be the only holder", func() error { return e.agreed(holder) })
	if e.lvsd.takesPart() {
		e.twoMoreAdverts()
		if err := e.agreed(holder); err != nil {
			t.Errorf("two adverts later: %v", err)
		}
		if i := e.lvsd.now(); len(i.Discarded) > 0 {
			t.Errorf("lvsd has discarded adverts: %v", i.Discarded)
		}
	}
	for _, line := range e.keepalived.complaints() {
		t.Errorf("keepalived complains: %s", line)
	}
}

// agreed returns nil when the host is the MASTER of all who take part.
func (e *encounter) agreed(holder *lab.Host) error {
	state := func(h *lab.Host) string {
		if h == holder {
			return "master"
		}
		return "backup"
	}
	err := e.clientSees(holder)
	if e.lvsd.takesPart() {
		err = errors.Join(err, e.lvsd.inState(state(e.lvsd.Host)))
	}
	if e.keepalived.takesPart() {
		err = errors.Join(err, e.keepalived.inState(state(e.keepalived.Host)))
	}
	return err
}

// twoMoreAdverts waits until lvsd has sent or received two more.
func (e *encounter) twoMoreAdverts() {
	e.Helper()
	before := e.lvsd.now()
	e.lab.WaitFor("two more adverts", func() error {
		i, err := e.lvsd.instance()
		if err == nil && i.Sent+i.Received < before.Sent+before.Received+2 {
			err = fmt.Errorf("%d sent, %d received", i.Sent-before.Sent, i.Received-before.Received)
		}
		return err
	})
}
