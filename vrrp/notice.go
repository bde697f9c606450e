package vrrp

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// NoticeKind is what is wrong on the segment.
type NoticeKind uint8

// The kinds, the gravest first.
const (
	// NoticeTwoMasters: this router is MASTER and stays it, and so does
	// another.
	NoticeTwoMasters NoticeKind = iota
	// NoticeDuplicateVRID: an advert of this VRID lists none of our VIPs:
	// another group of routers uses it.
	NoticeDuplicateVRID
	// NoticeOwnAddress: a packet carries our own source address that this
	// router did not send.
	NoticeOwnAddress
	// NoticeFlood: more packets than routers send. Peer is who sends most of them,
	// or the unspecified address if they come from everywhere.
	NoticeFlood
	// NoticeAuth: the authentication of an advert is missing or wrong.
	NoticeAuth
	// NoticeVersion: an advert is of the other version of the protocol.
	NoticeVersion
	// NoticeInterval: another interval than ours: discarded in version 2.
	NoticeInterval
	// NoticeClock: the sender's clock differs from ours by more than
	// Config.HMAC.Window: discarded.
	NoticeClock
	// NoticeReplay: an authentic advert came again, or the sender's clock was
	// set back before it was restarted.
	NoticeReplay
	// NoticeVIPs: another list of VIPs than ours; the advert counts.
	NoticeVIPs
	// NoticeChecksum: the checksum is wrong.
	NoticeChecksum
	// NoticeTTL: the packet was forwarded by a router.
	NoticeTTL
	// NoticeUnknownSource: unicast from who is no peer.
	NoticeUnknownSource

	noticeKinds
)

var noticeText = [noticeKinds]string{
	NoticeTwoMasters:    "two_masters",
	NoticeDuplicateVRID: "duplicate_vrid",
	NoticeOwnAddress:    "own_address",
	NoticeFlood:         "flood",
	NoticeAuth:          "auth",
	NoticeVersion:       "version",
	NoticeInterval:      "interval",
	NoticeClock:         "clock",
	NoticeReplay:        "replay",
	NoticeVIPs:          "vips",
	NoticeChecksum:      "checksum",
	NoticeTTL:           "ttl",
	NoticeUnknownSource: "unknown_source",
}

// String is the kind as status and metrics name it: "two_masters".
func (k NoticeKind) String() string { return name(noticeText[:], uint8(k)) }

// MarshalText is String, for JSON.
func (k NoticeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Notice is something wrong that was seen, and may go on.
type Notice struct {
	Kind NoticeKind
	// Peer is the source address of the packets that show it.
	Peer netip.Addr
	// Detail is the last one, in words.
	Detail string
	// First and Last are when it was seen, Count how often.
	First, Last time.Time
	Count       uint64
}

const (
	// maxNotices bounds how many stand at a time, whatever is sent to us.
	maxNotices = 32
	// A notice is over when it was not seen for this many intervals and this
	// long, or for a shorter time if its cause is seen to be gone. Both are long
	// enough that packets cannot make it begin and end all the time.
	lastsIntervals, lastsLeast = 10, 30 * time.Second
	goneIntervals, goneLeast   = 3, 3 * time.Second
)

// notices are those of one Router that stand now. Its goroutine writes, any
// reads.
type notices struct {
	mu       sync.Mutex
	standing map[noticeKey]*standing
	counts   [noticeKinds]uint64
}

type noticeKey struct {
	kind NoticeKind
	peer netip.Addr
}

type standing struct {
	Notice
	interval time.Duration // the longer of the two routers'
}

// change is a notice that began or is over.
type change struct {
	Notice
	over bool
}

// raise counts a notice and returns what changes: it may begin, and where there
// are too many, end a less grave one.
func (n *notices) raise(k NoticeKind, peer netip.Addr, detail string, interval time.Duration, now time.Time) (changes []change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[k]++
	s := n.standing[noticeKey{k, peer}]
	if s == nil {
		if len(n.standing) >= maxNotices {
			least := n.least()
			if least.Kind <= k {
				return nil
			}
			changes = append(changes, change{least.Notice, true})
			delete(n.standing, noticeKey{least.Kind, least.Peer})
		}
		s = &standing{Notice: Notice{Kind: k, Peer: peer, Detail: detail, First: now}}
		n.standing[noticeKey{k, peer}] = s
	}
	s.Detail, s.Last, s.interval = detail, now, interval
	if s.Count++; s.Count == 1 {
		changes = append(changes, change{s.Notice, false})
	}
	return changes
}

// least is the least grave notice, of several the one not seen for the longest.
func (n *notices) least() *standing {
	var least *standing
	for _, s := range n.standing {
		if least == nil || s.Kind > least.Kind || s.Kind == least.Kind && s.Last.Before(least.Last) {
			least = s
		}
	}
	return least
}

// expire ends the notices that were not seen for long, and those of two masters
// if this router is none.
func (n *notices) expire(master bool, now time.Time) []change {
	return n.end(func(s *standing) bool {
		return now.Sub(s.Last) >= max(lastsIntervals*s.interval, lastsLeast) || s.Kind == NoticeTwoMasters && !master
	})
}

// gone ends the notices about a peer that a good advert of it refutes, those
// that it still shows are not.
func (n *notices) gone(peer netip.Addr, shown [noticeKinds]bool, now time.Time) []change {
	return n.end(func(s *standing) bool {
		return s.Peer == peer && !shown[s.Kind] && now.Sub(s.Last) >= max(goneIntervals*s.interval, goneLeast)
	})
}

// end takes away the notices that are over.
func (n *notices) end(over func(*standing) bool) (changes []change) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, s := range n.standing {
		if over(s) {
			changes = append(changes, change{s.Notice, true})
			delete(n.standing, key)
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return compareNotices(a.Notice, b.Notice) })
	return changes
}

// list is what stands, sorted, the gravest first.
func (n *notices) list() (all []Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.standing {
		all = append(all, s.Notice)
	}
	slices.SortFunc(all, compareNotices)
	return all
}

func compareNotices(a, b Notice) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), a.Peer.Compare(b.Peer))
}

// counted is how often each kind was seen, those that were.
func (n *notices) counted() map[NoticeKind]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make(map[NoticeKind]uint64)
	for k, v := range n.counts {
		if v > 0 {
			all[NoticeKind(k)] = v
		}
	}
	return all
}

// next is how long until a notice may be over; false without notices.
func (n *notices) next(now time.Time) (time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	soonest, any := time.Duration(0), false
	for _, s := range n.standing {
		left := max(lastsIntervals*s.interval, lastsLeast) - now.Sub(s.Last)
		if !any || left < soonest {
			soonest, any = left, true
		}
	}
	return soonest, any
}
