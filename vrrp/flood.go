package vrrp

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// floodLeast packets, or floodIntervals of what one MASTER sends, in
	// floodWindow are a flood: no segment has so many routers.
	floodLeast     = 500
	floodIntervals = 10
	floodWindow    = time.Second
	// muteFor is how long who floods is not read. Then it is again, until that is
	// a flood once more: so a few are always heard, and the end is seen.
	muteFor = 2 * time.Second
	// maxMuted bounds how many sources a Mute names.
	maxMuted = 64
)

// Mute says whose packets a Conn drops without a word. The zero Mute is nobody's.
type Mute struct {
	// Sources are whose; with Others, those of everybody else. At most 64.
	Sources []netip.Addr
	Others  bool
}

// muter is a Conn that can drop packets where that costs nothing.
type muter interface{ Mute(Mute) error }

// flood counts what a router reads, so that it spends its time on adverts and not
// on whoever sends the most packets.
type flood struct {
	began time.Time
	from  map[netip.Addr]int
	count int
	// muted is in force until then; zero without.
	muted Mute
	until time.Time
}

// floodLimit is how many packets in a window are a flood.
func (c *Config) floodLimit() int {
	return max(floodLeast, floodIntervals*int(floodWindow/c.Interval))
}

// note takes note of a packet and reports whether there are too many.
func (f *flood) note(from netip.Addr, limit int, now time.Time) bool {
	if f.from == nil || now.Sub(f.began) >= floodWindow {
		f.restart(now)
	}
	f.from[from]++
	f.count++
	return f.count >= limit
}

// restart begins a window.
func (f *flood) restart(now time.Time) {
	f.began, f.count = now, 0
	if f.from == nil {
		f.from = make(map[netip.Addr]int)
	}
	clear(f.from)
}

// judge says whom to mute: those few who sent most of it, or everybody but who is
// spared, if it came from everywhere. It begins a window. Nobody is to be muted if
// those who are spared sent most of it themselves: they are who the router lives
// by, and somebody may only use their name.
func (f *flood) judge(spared []netip.Addr, now time.Time) (m Mute, ok bool) {
	defer f.restart(now)
	const few = 8
	var heavy []netip.Addr
	rest, most := 0, 0
	for from, n := range f.from {
		switch {
		case slices.Contains(spared, from):
		case n >= f.count/few:
			heavy = append(heavy, from)
			most += n
		default:
			rest += n
		}
	}
	switch {
	case most+rest < f.count/2:
		return Mute{}, false
	case most >= rest && !f.muted.Others && len(heavy)+len(f.muted.Sources) <= maxMuted:
		slices.SortFunc(heavy, func(a, b netip.Addr) int { return cmp.Or(f.from[b]-f.from[a], a.Compare(b)) })
		return Mute{Sources: append(heavy, f.muted.Sources...)}, true
	case len(spared) > maxMuted:
		return Mute{}, false
	}
	return Mute{Sources: spared, Others: true}, true
}

// restrain has the kernel drop the packets of who floods, for a while. In a flood
// nothing but that is lost; without it the socket's queue would be full of it, and
// adverts be lost at random.
func (r *Router) restrain(p Packet) {
	conn, can := r.conn.(muter)
	if !can || !r.flood.note(p.Source, r.config.floodLimit(), p.Received) {
		return
	}
	n, took := r.flood.count, p.Received.Sub(r.flood.began)
	m, ok := r.flood.judge(r.spared(), p.Received)
	if !ok || conn.Mute(m) != nil {
		return
	}
	r.flood.muted, r.flood.until = m, p.Received.Add(muteFor)
	from, whose := netip.IPv4Unspecified(), "many addresses"
	if r.ipv6 {
		from = netip.IPv6Unspecified()
	}
	if !m.Others {
		from, whose = m.Sources[0], "it"
	}
	r.tell(r.notices.raise(NoticeFlood, from, fmt.Sprintf("%d packets in %v: what comes from %s is read for moments only",
		n, took.Round(time.Millisecond), whose), r.config.Interval, p.Received))
}

// relent reads everybody again when the time is over.
func (r *Router) relent(now time.Time) {
	if r.flood.until.IsZero() || now.Before(r.flood.until) {
		return
	}
	if conn, can := r.conn.(muter); can && conn.Mute(Mute{}) != nil {
		r.flood.until = now.Add(muteFor) // then again
		return
	}
	r.flood.muted, r.flood.until = Mute{}, time.Time{}
	r.flood.restart(now)
}

// spared are those whom the router listens to whatever they send: the MASTER that
// it follows, its peers, and who has shown that it has the key.
func (r *Router) spared() []netip.Addr {
	all := slices.Clone(r.config.Peers)
	for from := range r.senders {
		all = append(all, from)
	}
	if r.follows.IsValid() {
		all = append(all, r.follows)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}
