package director

import (
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
)

// outcome is a change that the table was told to make, and whether it did.
type outcome struct {
	op   Op
	done bool
}

// taught is a reading of the table with what was told since: it is what the next
// reading takes from this one that matters, thresholds and tunnels. Of a service
// that may be otherwise nothing is left, so that it is read completely. Known is
// not changed.
func taught(known []ipvs.ServiceEntry, since []outcome) []ipvs.ServiceEntry {
	if len(since) == 0 {
		return known
	}
	l := lesson{known: slices.Clone(known), place: make(map[ipvs.ServiceKey]int, len(known)), own: Set[int]{}}
	for i := range known {
		l.place[known[i].ServiceKey] = i
	}
	for _, o := range since {
		l.learn(o)
	}
	return l.known
}

// lesson is a reading while it is brought up to date.
type lesson struct {
	known []ipvs.ServiceEntry
	place map[ipvs.ServiceKey]int
	// own are the services whose destinations share no memory with the reading.
	own Set[int]
}

func (l *lesson) learn(o outcome) {
	key, ok := serviceKeyOf(o.op)
	if !ok {
		return
	}
	i, there := l.place[key]
	if !o.done {
		if there {
			l.known[i].Destinations = nil
		}
		return
	}
	switch op := o.op.(type) {
	case AddService:
		if !there {
			l.place[key] = len(l.known)
			l.known = append(l.known, ipvs.ServiceEntry{Service: op.Service})
		}
	case AddRealServer:
		l.put(i, there, op.Server)
	case EditRealServer:
		l.put(i, there, op.Server)
	}
}

// put enters a destination, unless all that is new is its weight, which every
// reading tells.
func (l *lesson) put(i int, there bool, d ipvs.Destination) {
	if !there {
		return
	}
	entry := &l.known[i]
	j := slices.IndexFunc(entry.Destinations, func(e ipvs.DestinationEntry) bool { return e.Address == d.Address })
	if j >= 0 {
		before := entry.Destinations[j].Destination
		before.Weight = d.Weight
		if before == d {
			return
		}
	}
	if !l.own.Has(i) {
		l.own.Add(i)
		entry.Destinations = slices.Clone(entry.Destinations)
	}
	if j >= 0 {
		entry.Destinations[j].Destination = d
		return
	}
	// The kernel lists first what was added last.
	entry.Destinations = slices.Insert(entry.Destinations, 0, ipvs.DestinationEntry{Destination: d})
}
