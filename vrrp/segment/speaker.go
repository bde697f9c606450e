package segment

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// State is what a speaker's adverts say of it.
type State string

// The states. A BACKUP is silent: it is gone, or was never seen.
const (
	// Master: it advertises.
	Master State = "master"
	// Yielded: it was MASTER, and is silent since another began to advertise.
	Yielded State = "yielded"
	// Leaving: its last advert had priority 0.
	Leaving State = "leaving"
	// Gone: it is silent for longer than its own Master_Down_Interval.
	Gone State = "gone"
	// Invalid: nothing of it was a valid advert.
	Invalid State = "invalid"
)

// shortest is the length of the part that every advert has, in bytes.
const shortest = 8

// mishapHold is how long a bad packet is flagged after the last one of its kind.
const mishapHold = time.Minute

// speakerKey tells speakers apart. One that speaks both versions counts twice.
type speakerKey struct {
	router  routerKey
	source  netip.Addr
	version int
}

// speaker is one sender of adverts of one virtual router.
type speaker struct {
	speakerKey
	parameters
	destination netip.Addr
	ttl         uint8
	outgoing    bool
	state       State
	// first and last are of any packet; lastValid of a valid advert, and since
	// of the first one of those that came without a longer pause.
	first, last, since, lastValid time.Time
	// adverts counts the valid ones, refused the others.
	adverts, refused uint64
	mishaps          map[Code]mishap
}

// mishap is something wrong with single packets.
type mishap struct {
	detail string
	last   time.Time
}

// hear takes in a packet, and says in words what changed in what the speaker
// says of itself.
func (s *speaker) hear(p Packet) (changed string) {
	s.last, s.destination, s.ttl, s.outgoing = p.Received, p.Destination, p.TTL, p.Outgoing
	if p.Broken != nil {
		s.refuse(CodeMalformed, p.Broken.Error())
		return ""
	}
	q, discard := parseAdvert(p)
	switch discard {
	case vrrp.Accepted:
		if p.TTL != vrrp.TTL {
			s.mishap(CodeTTL, fmt.Sprintf("TTL %d instead of 255: it came through a router, or its sender is wrong", p.TTL))
		}
		return s.accept(q)
	case vrrp.BadChecksum:
		s.refuse(CodeChecksum, "the checksum is wrong in every form")
	default:
		s.refuse(CodeMalformed, malformed(discard, len(p.Payload)))
	}
	return ""
}

// accept takes in a valid advert.
func (s *speaker) accept(q parameters) (changed string) {
	before, known := s.parameters, s.adverts > 0
	if s.adverts++; !s.speaking(s.last) || before.priority == 0 {
		s.since = s.last
	}
	s.parameters, s.lastValid = q, s.last
	if q.priority == 0 || before.priority == 0 {
		before.priority = q.priority // leaving and coming back are told as such
	}
	if !known {
		return ""
	}
	return q.differences(before)
}

func (s *speaker) refuse(code Code, detail string) {
	s.refused++
	s.mishap(code, detail)
}

func (s *speaker) mishap(code Code, detail string) { s.mishaps[code] = mishap{detail, s.last} }

func malformed(d vrrp.Discard, length int) string {
	switch d {
	case vrrp.BadLength:
		if length < shortest {
			return fmt.Sprintf("%d bytes are too short for an advert", length)
		}
		return fmt.Sprintf("%d bytes are not what its count of addresses says", length)
	case vrrp.BadVersion:
		return "not a version of VRRP for this address family"
	case vrrp.BadType:
		return "not an ADVERTISEMENT"
	case vrrp.ZeroInterval:
		return "an interval of 0"
	case vrrp.ZeroCount:
		return "no addresses"
	case vrrp.BadTrailer:
		return "the trailer is of no known type"
	}
	return d.String()
}

// down is the Master_Down_Interval of the speaker itself.
func (s *speaker) down() time.Duration {
	return vrrp.Version(s.version).MasterDownInterval(s.priority, s.interval)
}

// speaking reports whether the last valid advert is recent.
func (s *speaker) speaking(now time.Time) bool {
	return s.adverts > 0 && now.Sub(s.lastValid) <= s.down()
}

// claims reports whether the speaker says that it is MASTER.
func (s *speaker) claims(now time.Time) bool { return s.speaking(now) && s.priority > 0 }

// stateAt is the state, given the MASTER of the virtual router.
func (s *speaker) stateAt(now time.Time, master *speaker) State {
	switch {
	case s.adverts == 0:
		return Invalid
	case !s.speaking(now):
		return Gone
	case s.priority == 0:
		return Leaving
	case master != nil && master != s && master.claims(now) && s.lastValid.Before(master.since):
		return Yielded
	}
	return Master
}

// beats reports whether other must yield to s (RFC 5798 section 6.4.3).
func (s *speaker) beats(other *speaker) bool {
	if s.priority != other.priority {
		return s.priority > other.priority
	}
	return s.source.Compare(other.source) > 0
}

// contends reports whether both have advertised again after hearing the other:
// neither yields. A single advert after the other's is how a lost one, or a
// change of MASTER, looks.
func (s *speaker) contends(other *speaker, now time.Time) bool {
	if s.source == other.source || !s.claims(now) || !other.claims(now) {
		return false
	}
	began := s.since
	if other.since.After(began) {
		began = other.since
	}
	return s.lastValid.After(began) && other.lastValid.After(began)
}

// silent reports whether nothing at all came for that long.
func (s *speaker) silent(now time.Time, d time.Duration) bool { return now.Sub(s.last) > d }
