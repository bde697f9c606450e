package vrrp

import (
	"net/netip"
	"time"
)

// receive counts a packet and steps if it is a valid advert of this router.
func (r *Router) receive(p Packet) {
	r.restrain(p)
	a := &r.advert
	d := r.config.read(p, a)
	sound := d == Accepted
	if sound {
		d = r.judge(p, a)
	}
	if d != Accepted {
		r.counters.discarded[d].Add(1)
		r.remarkDiscard(p, a, d, sound)
		return
	}
	r.counters.count(a, &r.config, p.Received)
	was := r.state
	r.step(AdvertReceived{From: p.Source, Priority: a.Priority, Interval: a.Interval}, p.Received)
	if s := r.state; s.MasterAddress != was.MasterAddress || s.MasterPriority != was.MasterPriority ||
		s.MasterInterval != was.MasterInterval {
		r.publish()
	}
	r.remarkAccepted(p, a)
}

// judge says whether a sound advert is valid, and newer than its sender's last
// one if that can be told.
func (r *Router) judge(p Packet, a *Advert) Discard {
	d := r.config.accept(p, a)
	if h := &r.config.HMAC; d == Accepted && h.Enabled() && a.Trailer.Present() {
		d = r.senders.order(p.Source, a.Trailer.Sequence, h.Window, p.Received)
	}
	return d
}

// count takes note of an accepted advert.
func (n *counters) count(a *Advert, c *Config, received time.Time) {
	n.received.Add(1)
	n.lastReceived.Store(received.UnixNano())
	if a.Priority == 0 {
		n.zeroReceived.Add(1)
	}
	if !c.sameAddresses(a) {
		n.otherAddresses.Add(1)
	}
	if a.Interval != c.Interval {
		n.otherInterval.Add(1)
	}
	if a.PlainChecksum {
		n.plainChecksums.Add(1)
	}
}

// send sends one advert to the group or to each peer. An error is counted:
// whether the interface still works is asked at the next timeout.
func (r *Router) send(priority uint8) {
	if r.conn == nil {
		return
	}
	to, group := r.config.Peers, [1]netip.Addr{}
	if !r.config.Unicast() {
		group[0] = r.config.MulticastGroup()
		to = group[:]
	}
	a, err := r.compose(priority)
	if err != nil {
		r.counters.sendErrors.Add(uint64(len(to)))
		return
	}
	for _, dst := range to {
		if r.out, err = a.Append(r.out[:0], r.config.Source, dst); err == nil {
			err = r.conn.Write(r.out, dst)
		}
		if err != nil {
			r.counters.sendErrors.Add(1)
			continue
		}
		r.counters.sent.Add(1)
		if priority == 0 {
			r.counters.zeroSent.Add(1)
		}
		r.counters.lastSent.Store(time.Now().UnixNano())
	}
}

// compose makes the advert for all destinations.
func (r *Router) compose(priority uint8) (Advert, error) {
	c := &r.config
	auth, data := c.auth()
	a := Advert{
		Version: c.Version, VRID: r.vrid, Priority: priority, Interval: c.Interval,
		Addresses: c.listed(), Auth: auth, AuthData: data, PlainChecksum: c.PlainChecksum,
	}
	if c.HMAC.Active == 0 {
		return a, nil
	}
	r.sequence = r.sequence.next(time.Now(), c.HMAC.Window)
	a.Trailer = Trailer{KeyID: c.HMAC.Active, Sequence: r.sequence}
	err := a.Sign(c.HMAC.Keys[c.HMAC.Active], c.Source)
	return a, err
}
