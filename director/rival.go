package director

import (
	"slices"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// announceAgain is how often the VIPs are announced while another MASTER is
// heard.
const announceAgain = 10 * time.Second

// reasonYielded is the reason that hooks see when they are run again.
const reasonYielded = "another MASTER was heard and has yielded"

// rivalry is what an instance that is MASTER knows of another one. The zero
// rivalry is for any other role.
type rivalry struct {
	// looked says that heard, the count of adverts of MASTERs received, is that
	// of the last look.
	looked bool
	heard  uint64
	// on says that there is a rival, and announced when the VIPs were last
	// announced because of it.
	on        bool
	announced time.Time
}

// look says what to do about a rival now: announce the VIPs again, since
// neighbours may believe the other, and when it has yielded, put right what its
// hooks set up.
func (r *rivalry) look(s vrrp.Status, now time.Time) (announce, yielded bool) {
	heard := s.Received - s.ZeroReceived
	switch {
	case s.Role != vrrp.Master:
		*r = rivalry{}
	case !r.looked:
		r.looked, r.heard = true, heard
	case heard > r.heard:
		r.heard = heard
		announce = !r.on || now.Sub(r.announced) >= announceAgain
		r.on = true
	case r.on && !slices.ContainsFunc(s.Peers, speaks):
		r.on = false
		announce, yielded = true, true
	}
	if announce {
		r.announced = now
	}
	return announce, yielded
}

// speaks reports whether a peer is a MASTER whose adverts count.
func speaks(p vrrp.Peer) bool { return p.Master && p.Discard == vrrp.Accepted }

// watchRival looks for another MASTER beside the instance.
func (d *Director) watchRival(i *instance, now time.Time) {
	if !d.isMaster(i) {
		return
	}
	status := i.router.Status()
	d.mu.Lock()
	first := !i.rivalry.on
	announce, yielded := i.rivalry.look(status, now)
	name := i.config.Router.Name
	if announce {
		i.epoch++
	}
	if yielded {
		d.again = append(d.again, name)
	}
	d.mu.Unlock()
	switch {
	case yielded:
		d.Log.Info("the other MASTER has yielded, announcing the VIPs and running the MASTER hook again", "instance", name)
	case announce && first:
		d.Log.Warn("another MASTER was heard, announcing the VIPs again", "instance", name)
	}
	if announce {
		d.signal()
	}
}

// isMaster reports whether the instance is; if not, it has no rival either.
func (d *Director) isMaster(i *instance) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i.role != vrrp.Master {
		i.rivalry = rivalry{}
	}
	return i.role == vrrp.Master
}
