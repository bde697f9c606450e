package integration

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// The reasons that lvsd gives for its state.
const (
	silence    = "no advert from a master"
	farewell   = "the master left"
	preemption = "the master has a lower priority"
	yielding   = "another master has a higher priority"
	primacy    = "another master of equal priority has a greater address"
)

// peerComesAndGoes: the peer has the higher priority.
func (e *encounter) peerComesAndGoes() {
	e.stage("lvsd is alone", func(t *testing.T) {
		e.lvsd.start()
		e.lvsdIsMaster(t, silence)
	})
	e.stage("the peer comes with a higher priority, lvsd yields", func(t *testing.T) {
		e.peer.start()
		e.peerIsMaster(t, yielding)
		e.twoMoreAdverts()
		e.peerIsMaster(t, yielding)
	})
	e.stage("the peer leaves, lvsd takes over", func(t *testing.T) {
		e.peer.stop()
		e.lvsdIsMaster(t, farewell)
	})
	e.stage("the peer is back, lvsd yields", func(t *testing.T) {
		e.peer.start()
		e.peerIsMaster(t, yielding)
	})
	e.stage("the peer dies, lvsd takes over", func(t *testing.T) {
		e.peer.kill()
		// What the dead node's kernel still has must not be heard of.
		e.peer.host().SetCable(false)
		e.lvsdIsMaster(t, silence)
	})
	e.stage("the peer rises from the dead, lvsd yields", func(t *testing.T) {
		e.peer.revive()
		e.peerIsMaster(t, yielding)
	})
}

// peerPriority: it changes while both run.
func (e *encounter) peerPriority() {
	e.stage("the peer's priority falls, lvsd takes over", func(t *testing.T) {
		e.peer.setPriority(peerLow)
		e.lvsdIsMaster(t, preemption)
	})
	e.stage("the peer's priority rises, lvsd yields", func(t *testing.T) {
		e.peer.setPriority(peerHigh)
		e.peerIsMaster(t, yielding)
	})
}

// lvsdComesAndGoes: lvsd has the higher priority, which changes while both run.
func (e *encounter) lvsdComesAndGoes() {
	e.stage("lvsd's priority rises, the peer yields", func(t *testing.T) {
		e.setPriority(lvsdHigh)
		e.lvsdIsMaster(t, preemption)
		e.twoMoreAdverts()
		e.lvsdIsMaster(t, preemption)
	})
	e.stage("lvsd leaves, the peer takes over", func(t *testing.T) {
		if e.peer.heardGoodbye() {
			t.Error("the peer has heard a goodbye before there was one")
		}
		e.lvsd.stop()
		e.peerIsMaster(t, "")
		if !e.peer.heardGoodbye() {
			t.Error("the peer has heard no goodbye")
		}
	})
	e.stage("lvsd is back, the peer yields", func(t *testing.T) {
		e.lvsd.start()
		e.lvsdIsMaster(t, preemption)
	})
	e.stage("lvsd's node dies, the peer takes over", func(t *testing.T) {
		e.lvsd.daemon.Signal(syscall.SIGKILL)
		<-e.lvsd.daemon.Done()
		e.lvsd.SetCable(false)
		e.peerIsMaster(t, "")
	})
	e.stage("lvsd starts on the dead node and gives up the VIP it finds", func(*testing.T) {
		e.lvsd.start()
		e.lab.WaitFor("FAULT without the VIP", func() error { return e.lvsd.inState("fault") })
	})
	e.stage("the node is back, the peer yields", func(t *testing.T) {
		e.lvsd.SetCable(true)
		e.lvsdIsMaster(t, preemption)
	})
	e.stage("lvsd's priority falls, the peer takes over", func(t *testing.T) {
		e.setPriority(lvsdLow)
		e.peerIsMaster(t, yielding)
	})
}

// setPriority is lvsd's, by the tracked file.
func (e *encounter) setPriority(priority int) {
	e.Helper()
	e.writeNumber(e.tracked, priority-lvsdLow)
}

// equals: both have the same priority and are MASTER, because they could not
// hear each other. The higher address goes on.
func (e *encounter) equals() {
	e.stage("equal priorities, the greater address wins", func(t *testing.T) {
		e.setPriority(peerHigh)
		block(e.lvsd.Host, true)
		block(e.peer.host(), true)
		e.lab.WaitFor("two MASTERs that do not hear each other", func() error {
			return errors.Join(e.lvsd.inState("master"), e.peer.inState("master"))
		})
		winner, loser, mac := e.peer.host(), e.lvsd.Host, e.peer.mac()
		if e.lvsd.Address.Compare(winner.Address) > 0 {
			winner, loser, mac = e.lvsd.Host, e.peer.host(), e.lvsd.MAC()
		}
		// A MASTER that hears another one announces the VIP again.
		block(winner, false)
		e.lab.WaitFor("the client to know the winner", func() error { return e.clientResolves(hostVIP, mac) })
		block(loser, false)
		if winner == e.lvsd.Host {
			e.lvsdIsMaster(t, "")
		} else {
			e.peerIsMaster(t, primacy)
		}
	})
}

// strangers: the password differs. That no complaint was found so far is worth
// something if one is found here.
func (e *encounter) strangers() {
	e.stage("another password, both say so", func(*testing.T) {
		e.lvsd.reload(func(v *virtualRouter) { v.Password = "2222" })
		e.complaintFrom("password")
	})
}

// checksums: the peers take one form of the checksum only, that of RFC 5798.
// That no complaint was found so far is worth something if one is found here.
func (e *encounter) checksums() {
	e.stage("lvsd sends the checksum of RFC 9568, the peer says so", func(t *testing.T) {
		e.setPriority(lvsdHigh)
		e.lvsdIsMaster(t, "")
		e.lvsd.reload(func(v *virtualRouter) { v.PlainChecksum = true })
		e.complaintFrom("")
	})
}

// complaintFrom waits until the peer complains, and lvsd counts too, if it
// should.
func (e *encounter) complaintFrom(discarded string) {
	e.Helper()
	e.lab.WaitFor("the peer to complain", func() error {
		if len(e.peer.complaints()) == 0 {
			return errors.New("nothing in its log")
		}
		return nil
	})
	if discarded == "" {
		return
	}
	e.lab.WaitFor("lvsd to count", func() error {
		if i := e.lvsd.now(); i.Discarded[discarded] == 0 {
			return fmt.Errorf("discarded: %v", i.Discarded)
		}
		return nil
	})
}

// lvsdIsMaster waits until lvsd is the only MASTER for the reason, and sees that
// nobody has found fault with an advert. lvsd may say more of the reason.
func (e *encounter) lvsdIsMaster(t *testing.T, reason string) {
	t.Helper()
	e.agree(t, "master", reason)
}

// peerIsMaster is the same with the peer as MASTER; the reason is lvsd's still.
func (e *encounter) peerIsMaster(t *testing.T, reason string) {
	t.Helper()
	e.agree(t, "backup", reason)
}

// agree waits until lvsd is in the state, and the peer in the other one.
func (e *encounter) agree(t *testing.T, state, reason string) {
	t.Helper()
	e.lab.WaitFor("lvsd as "+state, func() error { return e.agreed(state) })
	if e.lvsd.takesPart() {
		i := e.lvsd.now()
		if len(i.Discarded) > 0 {
			t.Errorf("lvsd has discarded adverts: %v", i.Discarded)
		}
		if !strings.HasPrefix(i.Reason, reason) {
			t.Errorf("lvsd is %s because %q, want because %q", i.State, i.Reason, reason)
		}
	}
	if e.peer.takesPart() {
		for _, line := range e.peer.complaints() {
			t.Errorf("the peer complains: %s", line)
		}
	}
}

// agreed returns nil when lvsd is in the state, the peer in the other one, and
// the VIP with the MASTER and with nobody else. A side that has stopped has no
// VIP; one whose cable is out may have what it likes.
func (e *encounter) agreed(state string) error {
	vips := e.lvsd.router.vips()
	mac, peerState := e.peer.mac(), "master"
	if state == "master" {
		mac, peerState = e.lvsd.MAC(), "backup"
	}
	errs := []error{e.clientResolves(vips[len(vips)-1], mac)}
	switch {
	case e.lvsd.takesPart():
		errs = append(errs, e.lvsd.inState(state))
	case carrier(e.lvsd.Host):
		errs = append(errs, wantVIPs(e.lvsd.Host, lab.LinkName, vips, false))
	}
	switch {
	case e.peer.takesPart():
		errs = append(errs, e.peer.inState(peerState))
	case carrier(e.peer.host()):
		errs = append(errs, e.peer.wantVIPs(false))
	}
	return errors.Join(errs...)
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
