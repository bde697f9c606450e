package director

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

const (
	// maxOverrides is how many overrides a node knows at most, cleared ones too.
	maxOverrides = 10_000
	// overrideMemory is how long one that is over stands against older ones.
	overrideMemory = 7 * 24 * time.Hour
)

// overrideSet holds the overrides of all nodes that this one knows, at most one of
// each Target. It is never changed: what changes it returns another.
type overrideSet struct {
	all map[Target]Override
	// latest is the greatest At that was ever in it: the node's part of a hybrid
	// clock.
	latest time.Time
}

// with takes overrides in, each unless a later one of its Target stands. It returns
// what is new, and how many there was no room for.
func (s overrideSet) with(overrides ...Override) (next overrideSet, news []Override, refused int) {
	next = overrideSet{all: maps.Clone(s.all), latest: s.latest}
	if next.all == nil {
		next.all = map[Target]Override{}
	}
	for _, o := range overrides {
		if o.At.After(next.latest) {
			next.latest = o.At
		}
		known, there := next.all[o.Target]
		switch {
		case there && !o.outranks(known):
		case !there && len(next.all) >= maxOverrides:
			refused++
		default:
			next.all[o.Target] = o
			news = append(news, o)
		}
	}
	return next, news, refused
}

// outranks reports whether o stands in place of another one of its Target. Of two
// that differ, exactly one outranks the other, so that all nodes come to the same.
func (o Override) outranks(other Override) bool {
	order := cmp.Or(o.At.Compare(other.At), cmp.Compare(o.Node, other.Node))
	if order == 0 {
		order = bytes.Compare(o.encoded(), other.encoded())
	}
	return order > 0
}

// encoded is o as other nodes are told of it; what cannot be told is empty.
func (o Override) encoded() []byte {
	data, err := json.Marshal(o)
	if err != nil {
		return nil
	}
	return data
}

// tick is a time for a new override, later than that of each that was ever known.
func (s overrideSet) tick(now time.Time) time.Time {
	if now = now.Round(0).UTC(); now.After(s.latest) {
		return now
	}
	return s.latest.Add(1)
}

// stands reports whether the override is in force.
func (o Override) stands(now time.Time) bool {
	return !o.Cleared && (o.Until.IsZero() || now.Before(o.Until))
}

// forgotten is when the override, which is over or will be, need not be known any
// longer; zero is never.
func (o Override) forgotten() time.Time {
	switch {
	case o.Cleared:
		return o.At.Add(overrideMemory)
	case o.Until.IsZero():
		return time.Time{}
	default:
		return o.Until.Add(overrideMemory)
	}
}

// isForgotten reports whether the override is over for so long that it need not be
// known.
func (o Override) isForgotten(now time.Time) bool {
	at := o.forgotten()
	return !at.IsZero() && !now.Before(at)
}

// without returns the set without those that are forgotten.
func (s overrideSet) without(now time.Time) overrideSet {
	return s.less(func(o Override) bool { return o.isForgotten(now) })
}

// less returns the set without some of it.
func (s overrideSet) less(some func(Override) bool) overrideSet {
	all := maps.Clone(s.all)
	maps.DeleteFunc(all, func(_ Target, o Override) bool { return some(o) })
	return overrideSet{all: all, latest: s.latest}
}

// guessed is when what nobody ordered was ordered: before all else, so that each order
// goes before it. It is this node's own affair: a guess that other nodes took for an
// order would be one.
var guessed = time.Unix(0, 0).UTC()

func (o Override) isGuess() bool { return o.At.Equal(guessed) }

// guesses are what nobody ordered, sorted by Target.
func (s overrideSet) guesses() []Override {
	return s.where(Override.isGuess)
}

// standing returns the override of the target that is in force.
func (s overrideSet) standing(t Target, now time.Time) (Override, bool) {
	o, there := s.all[t]
	return o, there && o.stands(now)
}

// inForce are the overrides that are in force, sorted by Target.
func (s overrideSet) inForce(now time.Time) []Override {
	return s.where(func(o Override) bool { return o.stands(now) })
}

// list is all of the set, sorted by Target.
func (s overrideSet) list() []Override {
	return s.where(func(Override) bool { return true })
}

// where is some of the set, sorted by Target.
func (s overrideSet) where(meant func(Override) bool) []Override {
	var some []Override
	for _, o := range s.all {
		if meant(o) {
			some = append(some, o)
		}
	}
	slices.SortFunc(some, func(a, b Override) int { return a.Target.compare(b.Target) })
	return some
}

// compare orders nodes before services, and a service before its servers.
func (t Target) compare(other Target) int {
	return cmp.Or(
		cmp.Compare(t.Service, other.Service), cmp.Compare(t.Node, other.Node), cmp.Compare(t.Server, other.Server),
	)
}
