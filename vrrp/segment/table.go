package segment

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// MaxSpeakers bounds the Table: adverts may come from forged addresses.
	MaxSpeakers = 1024
	// forgetAfter is how long a silent speaker is remembered.
	forgetAfter = time.Hour
)

// Table knows the speakers of the virtual routers. It has no clock: time comes
// with the packets and with Advance, and must not go back. One goroutine uses
// it.
type Table struct {
	routers  map[routerKey]*router
	speakers int
	// heard counts packets, leftOut those of speakers that had no room.
	heard, leftOut uint64
}

// NewTable returns an empty Table.
func NewTable() *Table { return &Table{routers: map[routerKey]*router{}} }

// routerKey tells virtual routers apart: the VRIDs of IPv4 and IPv6 are
// separate name spaces.
type routerKey struct {
	ifname string
	vrid   uint8
	ipv6   bool
}

// router is one virtual router on one interface.
type router struct {
	routerKey
	// speakers are in the order of their addresses.
	speakers []*speaker
	master   *speaker
	flags    map[flagKey]Flag
}

// Observe takes in a packet and returns what it changed.
func (t *Table) Observe(p Packet) []Change {
	t.heard++
	key := speakerKey{routerKey{ifname: p.Interface, ipv6: p.Source.Is6()}, p.Source, 0}
	if len(p.Payload) >= 2 {
		key.version, key.router.vrid = int(p.Payload[0]>>4), p.Payload[1]
	}
	var changes []Change
	r, s := t.find(key)
	isNew := s == nil
	if isNew {
		if !t.makeRoom(p.Received, &changes) {
			t.leftOut++
			return changes
		}
		r, s = t.add(key, p.Received)
	}
	mishaps := len(s.mishaps)
	changed := s.hear(p)
	if isNew {
		s.state = s.stateAt(p.Received, r.master)
		changes = append(changes, r.change(p.Received, ChangeSpeaker, s, s.introduce()))
	} else if changed != "" {
		changes = append(changes, r.change(p.Received, ChangeParameters, s, changed))
	}
	changes = r.settle(p.Received, s, changes)
	if isNew || changed != "" || len(s.mishaps) > mishaps || len(changes) > 0 || r.disputed(s, p.Received) {
		changes = r.settleFlags(p.Received, changes)
	}
	return changes
}

// Advance tells the Table the time, and returns what changed by it. Called some
// times a second, it keeps the Table true in silence.
func (t *Table) Advance(now time.Time) []Change {
	var changes []Change
	for _, r := range t.sorted() {
		for _, s := range slices.Clone(r.speakers) {
			if s.silent(now, forgetAfter) {
				t.remove(r, s)
			}
		}
		changes = r.settleFlags(now, r.settle(now, nil, changes))
	}
	return changes
}

func (t *Table) find(key speakerKey) (*router, *speaker) {
	r := t.routers[key.router]
	if r == nil {
		return nil, nil
	}
	i, found := slices.BinarySearchFunc(r.speakers, key, compareSpeaker)
	if !found {
		return r, nil
	}
	return r, r.speakers[i]
}

func compareSpeaker(s *speaker, key speakerKey) int {
	return cmp.Or(s.source.Compare(key.source), cmp.Compare(s.version, key.version))
}

func (t *Table) add(key speakerKey, now time.Time) (*router, *speaker) {
	r := t.routers[key.router]
	if r == nil {
		r = &router{routerKey: key.router, flags: map[flagKey]Flag{}}
		t.routers[key.router] = r
	}
	s := &speaker{speakerKey: key, state: Invalid, first: now, mishaps: map[Code]mishap{}}
	i, _ := slices.BinarySearchFunc(r.speakers, key, compareSpeaker)
	r.speakers = slices.Insert(r.speakers, i, s)
	t.speakers++
	return r, s
}

func (t *Table) remove(r *router, s *speaker) {
	r.speakers = slices.DeleteFunc(r.speakers, func(other *speaker) bool { return other == s })
	if r.master == s {
		r.master = nil
	}
	if t.speakers--; len(r.speakers) == 0 && len(r.flags) == 0 {
		delete(t.routers, r.routerKey)
	}
}

// makeRoom makes room for one more speaker, at the expense of the one that is
// silent for longest among those that do not advertise properly.
func (t *Table) makeRoom(now time.Time, changes *[]Change) bool {
	if t.speakers < MaxSpeakers {
		return true
	}
	var where *router
	var victim *speaker
	for _, r := range t.routers {
		for _, s := range r.speakers {
			if (s.state == Gone || s.state == Invalid) && (victim == nil || s.last.Before(victim.last)) {
				where, victim = r, s
			}
		}
	}
	if victim == nil {
		return false
	}
	t.remove(where, victim)
	*changes = where.settleFlags(now, where.settle(now, nil, *changes))
	return true
}

// sorted lists the virtual routers in a stable order, without those that have
// become empty.
func (t *Table) sorted() []*router {
	all := make([]*router, 0, len(t.routers))
	for key, r := range t.routers {
		if len(r.speakers) == 0 && len(r.flags) == 0 {
			delete(t.routers, key)
			continue
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *router) int {
		return cmp.Or(cmp.Compare(a.ifname, b.ifname), cmp.Compare(a.vrid, b.vrid), a.compareFamily(b))
	})
	return all
}

func (r *router) compareFamily(other *router) int {
	return cmp.Compare(r.id().Family, other.id().Family)
}

// settle brings states and MASTER up to date, with an advert of spoke if that is
// not nil, and adds what changed.
func (r *router) settle(now time.Time, spoke *speaker, changes []Change) []Change {
	var crowned *speaker
	if spoke != nil && spoke.claims(now) && spoke != r.master {
		if was := r.master; was == nil || !was.claims(now) || spoke.beats(was) {
			r.master = spoke
			if was != nil && was.source != spoke.source {
				crowned = spoke
				changes = append(changes, r.change(now, ChangeMaster, spoke, "is MASTER, was "+was.source.String()))
			}
		}
	}
	for _, s := range r.speakers {
		before := s.state
		s.state = s.stateAt(now, r.master)
		switch {
		case s.state == before:
		case s.state == Leaving:
			changes = append(changes, r.change(now, ChangeLeaving, s, "leaves: priority 0"))
		case s.state == Gone:
			silence := now.Sub(s.lastValid).Round(time.Millisecond)
			changes = append(changes, r.change(now, ChangeGone, s, fmt.Sprintf("gone: silent for %v", silence)))
		case s.state == Master && before != Yielded && s != crowned:
			changes = append(changes, r.change(now, ChangeMaster, s, "is MASTER again"))
		}
	}
	return changes
}

// disputed reports whether the advert of spoke makes it one of two MASTERs that
// are not flagged yet.
func (r *router) disputed(spoke *speaker, now time.Time) bool {
	if _, stands := r.flags[flagKey{code: CodeTwoMasters}]; stands || r.master == nil {
		return false
	}
	return slices.ContainsFunc(r.speakers, func(s *speaker) bool {
		return s != r.master && (s == spoke || r.master == spoke) && s.contends(r.master, now)
	})
}

// settleFlags brings the flags up to date and adds what changed.
func (r *router) settleFlags(now time.Time, changes []Change) []Change {
	wrong := r.wrong(now)
	raised, cleared := map[flagKey]Flag{}, map[flagKey]Flag{}
	for key, detail := range wrong {
		flag, stands := r.flags[key]
		if !stands {
			flag = Flag{Code: key.code, Router: r.id(), Source: key.source, Since: now}
		}
		flag.Detail = detail
		r.flags[key] = flag
		if !stands {
			raised[key] = flag
		}
	}
	for key, flag := range r.flags {
		if _, stands := wrong[key]; !stands {
			cleared[key] = flag
			delete(r.flags, key)
		}
	}
	for _, key := range sortedKeys(raised) {
		changes = append(changes, r.flagChange(now, ChangeRaised, raised[key]))
	}
	for _, key := range sortedKeys(cleared) {
		changes = append(changes, r.flagChange(now, ChangeCleared, cleared[key]))
	}
	return changes
}

func sortedKeys[T any](m map[flagKey]T) []flagKey {
	keys := make([]flagKey, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b flagKey) int {
		return cmp.Or(cmp.Compare(a.code, b.code), a.source.Compare(b.source))
	})
	return keys
}

// Router names one virtual router on one interface.
type Router struct {
	Interface string `json:"interface"`
	// VRID is 1..255; 0 is of packets that do not say.
	VRID uint8 `json:"vrid"`
	// Family is "ipv4" or "ipv6".
	Family string `json:"family"`
}

// where names the virtual router, and the speaker if source is not zero.
func (r Router) where(source netip.Addr) string {
	text := fmt.Sprintf("%s %s vrid %d", r.Interface, r.Family, r.VRID)
	if source.IsValid() {
		text += " " + source.String()
	}
	return text
}

func (r *router) id() Router {
	family := "ipv4"
	if r.ipv6 {
		family = "ipv6"
	}
	return Router{r.ifname, r.vrid, family}
}
