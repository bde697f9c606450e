package vrrp

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// SyncGroup makes virtual routers of one node move together, as those of the
// inside and the outside of a firewall must. It has the same members on every
// node:
//
//   - A member becomes MASTER only when every member would (its timer ran out, so
//     it heard nobody or may preempt) or is it. So a group preempts only where
//     every member may, and one that settles or is held delays all.
//   - A member that yields to another MASTER, or is held, takes the others to
//     BACKUP. They say goodbye, so that the peer's members follow quickly.
//   - A member that goes to FAULT takes the others there, until it is well.
//   - GiveUp, Hold and Release of one are of all.
//
// Where two nodes are MASTER at once, the first member (the least VRID, IPv4
// before IPv6, then by name) decides by the rules of the RFC; another only while
// the first is not MASTER, or if the better one is still heard after
// Master_Down_Interval. So two nodes that are each the better one for some member
// do not depose each other for ever: the first member's wins. One that is MASTER
// alone stays it.
//
// What it cannot settle: three or more members that contradict each other, while
// the first cannot hear its peer. Give all members of a node one priority.
//
// It does nothing by itself: members meet in it. A router whose Run has returned
// is still a member, and keeps the others from becoming MASTER, until SetGroup.
type SyncGroup struct {
	name string

	mu      sync.Mutex
	members map[*Router]*member
}

// member is what one member said last, and was told.
type member struct {
	wish    wish
	verdict verdict
}

// NewGroup makes a group without members.
func NewGroup(name string) *SyncGroup {
	return &SyncGroup{name: name, members: make(map[*Router]*member)}
}

// Name is the name it was made with.
func (g *SyncGroup) Name() string { return g.name }

// join makes r a member.
func (g *SyncGroup) join(r *Router) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[r] = &member{wish: *r.wish.Load()}
	g.confer()
}

// leave undoes join.
func (g *SyncGroup) leave(r *Router) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.members, r)
	r.orders.give(func(w *work) { w.verdict = verdict{} })
	g.confer()
}

// report takes a member's new wish. Of one that left it changes nothing.
func (g *SyncGroup) report(r *Router) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.members[r]; m != nil {
		m.wish = *r.wish.Load()
		g.confer()
	}
}

// confer tells every member what is new for it. It needs g.mu.
func (g *SyncGroup) confer() {
	if len(g.members) == 0 {
		return
	}
	wishes := make([]wish, 0, len(g.members))
	for _, m := range g.members {
		wishes = append(wishes, m.wish)
	}
	council := gather(wishes)
	for r, m := range g.members {
		v := council.verdict(m.wish)
		if v == m.verdict {
			continue
		}
		m.verdict = v
		r.orders.give(func(w *work) { w.verdict = v })
	}
}

// each gives an order to every member.
func (g *SyncGroup) each(change func(*work)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for r := range g.members {
		r.orders.give(change)
	}
}

// wish is what a member lets its group know.
type wish struct {
	id memberID
	// master says that it is MASTER, want that it would be.
	master, want bool
	// follows says that it is BACKUP and hears a better MASTER, held that it is.
	// patient says that it still leaves the decision to the first.
	follows, patient, held bool
	// fault is why it is in FAULT by itself; empty if it is not.
	fault string
}

// memberID orders members alike on every node, apart from names.
type memberID struct {
	vrid uint8
	ipv6 bool
	name string
}

func (a memberID) compare(b memberID) int {
	family := func(ipv6 bool) int {
		if ipv6 {
			return 6
		}
		return 4
	}
	return cmp.Or(cmp.Compare(a.vrid, b.vrid), cmp.Compare(family(a.ipv6), family(b.ipv6)), cmp.Compare(a.name, b.name))
}

// wishOf is what a router in state s wishes at now. fault is its own.
func (c *Config) wishOf(s State, fault string, now time.Time) wish {
	w := wish{
		id:     memberID{c.VRID, c.Is6(), c.Name},
		master: s.Role == Master,
		want:   s.Want,
		held:   s.Held,
		fault:  fault,
	}
	if s.Role == Backup && s.Follows {
		w.follows, w.patient = true, now.Sub(s.Contested) < c.patience(s)
	}
	return w
}

// verdict is what a group tells a member; the zero verdict is for one of none.
type verdict struct {
	Grouped
	// permit says that every member would be MASTER, or is it, and that the
	// first is.
	permit bool
	// demote is why no member must be MASTER now; empty if it may.
	demote string
	// fault is why another member is in FAULT; empty if none is.
	fault string
}

// council is what counts of all wishes together.
type council struct {
	first  wish
	agreed bool
	demote string
	faulty []wish // by id, those of them with a fault of their own
}

// gather weighs the wishes of all members, at least one.
func gather(wishes []wish) council {
	slices.SortFunc(wishes, func(a, b wish) int { return a.id.compare(b.id) })
	c := council{agreed: true}
	c.first = wishes[0]
	for _, w := range wishes {
		c.agreed = c.agreed && (w.master || w.want)
		switch {
		case c.demote != "":
		case w.held:
			c.demote = w.id.name + " is held"
		case w.follows && (!w.patient || !c.first.master):
			c.demote = w.id.name + " follows another master"
		}
		if w.fault != "" {
			c.faulty = append(c.faulty, w)
		}
	}
	return c
}

// verdict is what the members together mean for one of them. Its own fault is
// not among what it is told, nor passed on by those who are: so it ends with its
// cause.
func (c *council) verdict(w wish) verdict {
	first := w.id == c.first.id
	v := verdict{
		Grouped: Grouped{Member: true, Decides: first || !c.first.master},
		permit:  c.agreed && (first || c.first.master),
		demote:  c.demote,
	}
	for _, f := range c.faulty {
		if f.id != w.id {
			v.fault = f.id.name + ": " + f.fault
			break
		}
	}
	return v
}
