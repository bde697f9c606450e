package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// remarkDiscard notices what is wrong with a packet that was discarded; sound
// says that it is an advert, a.
func (r *Router) remarkDiscard(p Packet, a *Advert, d Discard, sound bool) {
	interval := r.config.Interval
	if sound {
		r.peers.heard(p.Source, a, d, p.Received)
		interval = max(interval, a.Interval)
		if r.config.disjoint(a) {
			r.notice(NoticeDuplicateVRID, p, r.config.describeVIPs(a), interval)
			return
		}
	}
	if kind, detail := r.config.describeDiscard(p, a, d); detail != "" {
		r.notice(kind, p, detail, interval)
	}
}

// remarkAccepted notices what is odd about an advert that was accepted, after
// it was served.
func (r *Router) remarkAccepted(p Packet, a *Advert) {
	c := &r.config
	interval := max(c.Interval, a.Interval)
	var shown [noticeKinds]bool
	show := func(k NoticeKind, detail string) {
		shown[k] = true
		r.notice(k, p, detail, interval)
	}
	switch {
	case c.disjoint(a):
		show(NoticeDuplicateVRID, c.describeVIPs(a))
	case !c.sameAddresses(a):
		show(NoticeVIPs, c.describeVIPs(a))
	}
	if a.Interval != c.Interval {
		show(NoticeInterval, fmt.Sprintf("interval %v, ours %v", a.Interval, c.Interval))
	}
	if r.contested(r.peers.heard(p.Source, a, Accepted, p.Received), p.Received) {
		show(NoticeTwoMasters, fmt.Sprintf("priority %d, ours %d: it does not yield, or does not hear us", a.Priority, r.state.Priority))
	}
	r.tell(r.notices.gone(p.Source, shown, p.Received))
}

// contested reports whether the peer is MASTER beside this router for so long
// that it is no takeover: after this router was MASTER and had heard it, each
// had the time to send and hear another advert.
func (r *Router) contested(p *peer, now time.Time) bool {
	switch {
	case p == nil:
		return false
	case r.state.Role != Master || p.Priority == 0:
		p.contested = time.Time{}
		return false
	case p.contested.Before(r.last.At):
		p.contested = now
	}
	return now.Sub(p.contested) > p.Interval+r.config.Interval
}

func (r *Router) notice(k NoticeKind, p Packet, detail string, interval time.Duration) {
	r.tell(r.notices.raise(k, p.Source, detail, interval, p.Received))
}

// tell hands on what began and ended.
func (r *Router) tell(changes []change) {
	for _, c := range changes {
		r.onNotice(c.Notice, c.over)
	}
}

// expireNotices ends what was not seen for long.
func (r *Router) expireNotices(now time.Time) {
	r.tell(r.notices.expire(r.state.Role == Master, now))
}

// describeDiscard is the notice that a discarded packet deserves; none without
// detail. a is valid for the reasons after Parse's own.
func (c *Config) describeDiscard(p Packet, a *Advert, d Discard) (NoticeKind, string) {
	switch d {
	case OwnSource:
		if len(p.Payload) >= headerLen && p.Payload[1] == c.VRID {
			return NoticeOwnAddress, "has our own address, or a loop returns our packets"
		}
	case BadTTL:
		return NoticeTTL, fmt.Sprintf("ttl %d, want %d: forwarded by a router", p.TTL, c.minTTL())
	case UnknownSource:
		return NoticeUnknownSource, "is not a peer"
	case BadVersion:
		return NoticeVersion, fmt.Sprintf("version %d, ours %d: discarded, both routers may be MASTER", p.Payload[0]>>4, c.Version)
	case BadChecksum:
		return NoticeChecksum, "wrong checksum"
	case BadInterval:
		return NoticeInterval, fmt.Sprintf("interval %v, ours %v: discarded, both routers may be MASTER", a.Interval, c.Interval)
	case WrongTime:
		return NoticeClock, fmt.Sprintf("its clock is %v, window %v: discarded, or a replay", offset(a, p.Received), c.HMAC.Window)
	case Replayed:
		return NoticeReplay, fmt.Sprintf("not newer than the one before, by a clock that is %v: discarded", offset(a, p.Received))
	}
	return c.describeAuth(a, d)
}

func (c *Config) describeAuth(a *Advert, d Discard) (NoticeKind, string) {
	const consequence = ": discarded, both routers may be MASTER"
	switch d {
	case BadTrailer:
		return NoticeAuth, "a trailer that is not HMAC-SHA256" + consequence
	case NoTrailer:
		return NoticeAuth, "not authenticated with HMAC" + consequence
	case UnknownKey:
		return NoticeAuth, fmt.Sprintf("unknown HMAC key %d", a.Trailer.KeyID) + consequence
	case BadHMAC:
		return NoticeAuth, fmt.Sprintf("wrong HMAC with key %d", a.Trailer.KeyID) + consequence
	case BadAuthType:
		want, _ := c.auth()
		return NoticeAuth, fmt.Sprintf("auth type %d, ours %d", a.Auth, want) + consequence
	case BadPassword:
		return NoticeAuth, "wrong password" + consequence
	}
	return 0, ""
}

// offset is where the sender's clock is, seen from ours, in words.
func offset(a *Advert, now time.Time) string {
	ahead := a.Trailer.Sequence.Ahead(now).Round(time.Millisecond)
	if ahead < 0 {
		return fmt.Sprint(-ahead, " behind ours")
	}
	return fmt.Sprint(ahead, " ahead of ours")
}

// describeVIPs says how the advert's list differs from c's.
func (c *Config) describeVIPs(a *Advert) string {
	var b []string
	if extra := missing(a.Addresses, c.VIPs); extra != "" {
		b = append(b, "lists "+extra+", we do not")
	}
	if less := missing(c.VIPs, a.Addresses); less != "" {
		b = append(b, "does not list "+less)
	}
	return strings.Join(b, "; ")
}

// missing is those of have that are not among known, in words: not all 255.
func missing(have, known []netip.Addr) string {
	const most = 4
	in := make(map[netip.Addr]bool, len(known))
	for _, a := range known {
		in[a] = true
	}
	var names []string
	n := 0
	for _, a := range have {
		if in[a] {
			continue
		}
		if n++; n <= most {
			names = append(names, a.String())
		}
	}
	if n > most {
		names = append(names, fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(names, " ")
}
