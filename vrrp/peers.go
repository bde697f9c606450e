package vrrp

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Peer is another speaker of this virtual router, by its last advert.
type Peer struct {
	Address  netip.Addr
	Version  Version
	Priority uint8
	// Interval is what the advert says.
	Interval time.Duration
	VIPs     []netip.Addr
	// Auth is version 2's authentication, KeyID the HMAC key; 0 is none.
	Auth  AuthType
	KeyID uint8
	// PlainChecksum is the form of its checksum, see Advert.
	PlainChecksum bool
	// Discard is Accepted, or why the advert was not.
	Discard Discard
	// Last is when it came, Adverts how many did.
	Last    time.Time
	Adverts uint64
	// Master says that it is MASTER by its own account: it did not leave, and
	// was heard within three of its intervals and a second.
	Master bool
}

// maxPeers bounds how many speakers are remembered.
const maxPeers = 32

// peers are the other speakers. The Router's goroutine writes, any reads.
type peers struct {
	mu  sync.Mutex
	all map[netip.Addr]*peer
}

type peer struct {
	Peer
	// contested is since when it is heard as MASTER while this router is
	// MASTER too.
	contested time.Time
}

// speaks reports whether the peer is taken for MASTER at now.
func (p *peer) speaks(now time.Time) bool {
	return p.Priority != 0 && now.Sub(p.Last) <= 3*p.Interval+time.Second
}

// heard takes note of an advert and returns who sent it, nil if there is no room.
// One that was discarded may be forged: it never hides a peer that is alive and
// sends better ones.
func (s *peers) heard(from netip.Addr, a *Advert, d Discard, now time.Time) *peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.all[from]
	switch {
	case p == nil:
		if len(s.all) >= maxPeers && !s.makeRoom(d) {
			return nil
		}
		p = &peer{Peer: Peer{Address: from}}
		s.all[from] = p
	case d != Accepted && p.Discard == Accepted && p.speaks(now):
		return p
	}
	if !p.speaks(now) {
		p.contested = time.Time{}
	}
	vips := p.VIPs
	if !slices.Equal(vips, a.Addresses) {
		vips = slices.Clone(a.Addresses)
	}
	p.Peer = Peer{
		Address: from, Version: a.Version, Priority: a.Priority, Interval: a.Interval, VIPs: vips,
		Auth: a.Auth, KeyID: a.Trailer.KeyID, PlainChecksum: a.PlainChecksum,
		Discard: d, Last: now, Adverts: p.Adverts + 1,
	}
	return p
}

// makeRoom forgets the peer not heard for the longest among those whose adverts
// are discarded, or among all for one whose advert is not.
func (s *peers) makeRoom(d Discard) bool {
	var oldest *peer
	for _, p := range s.all {
		if oldest == nil || (p.Discard != Accepted) != (oldest.Discard != Accepted) && p.Discard != Accepted ||
			(p.Discard != Accepted) == (oldest.Discard != Accepted) && p.Last.Before(oldest.Last) {
			oldest = p
		}
	}
	if oldest.Discard == Accepted && d != Accepted {
		return false
	}
	delete(s.all, oldest.Address)
	return true
}

// list is a copy of the table, by address.
func (s *peers) list(now time.Time) (all []Peer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.all {
		c := p.Peer
		c.Master = p.speaks(now)
		all = append(all, c) // its VIPs are replaced, never changed
	}
	slices.SortFunc(all, func(a, b Peer) int { return a.Address.Compare(b.Address) })
	return all
}
