package vrrp

import (
	"maps"
	"net/netip"
	"sync/atomic"
	"time"
)

// Transition is a change of role.
type Transition struct {
	// Name, VRID and Interface say whose.
	Name      string
	VRID      uint8
	Interface string
	From, To  Role
	Reason    Reason
	// Detail adds to Reason what it cannot know: the other MASTER, or the
	// causes of a fault. It may be empty.
	Detail string
	// Priority is the effective priority.
	Priority uint8
	At       time.Time
}

// Why is the reason with its detail, in words.
func (t Transition) Why() string { return why(t.Reason, t.Detail) }

// Status is what a Router is and did, at one moment.
type Status struct {
	Name      string
	VRID      uint8
	Version   Version
	Interface string
	// Source is the address adverts are sent from; zero in Fault and before
	// the first Conn.
	Source netip.Addr
	Role   Role
	// Priority is the effective priority.
	Priority uint8
	// Since, Reason and Detail are those of the last Transition.
	Since  time.Time
	Reason Reason
	Detail string
	// Master and MasterPriority are this router's own in Master, else those of
	// the MASTER last heard; zero if none.
	Master         netip.Addr
	MasterPriority uint8
	// MasterDownInterval is how long a BACKUP waits for the next advert.
	MasterDownInterval time.Duration
	// Settling says that it only listens yet, see Config.Settle.
	Settling bool
	// Held says that it is not to be MASTER until Release; Yielded that it gave
	// up, and leaves its successor in peace.
	Held, Yielded bool
	// Group is the name of its sync group; empty if it has none.
	Group string
	// Faults are the causes that keep the router in Fault, with details.
	Faults map[string]string
	// Peers are the other speakers of this virtual router, by address, at most
	// 32.
	Peers []Peer
	// Notices are what is wrong now, the gravest first, at most 32.
	Notices []Notice
	Counters
}

// Why is the reason of the last Transition with its detail, in words.
func (s Status) Why() string { return why(s.Reason, s.Detail) }

func why(r Reason, detail string) string {
	if detail == "" {
		return r.String()
	}
	return r.String() + ": " + detail
}

// Counters count since NewRouter.
type Counters struct {
	// LastSent and LastReceived are when adverts were last sent and accepted;
	// zero if never.
	LastSent, LastReceived time.Time
	// Sent counts adverts by destination, ZeroSent those of them with priority
	// 0, SendErrors what could not be sent.
	Sent, ZeroSent, SendErrors uint64
	// Received counts accepted adverts, ZeroReceived those of them with
	// priority 0.
	Received, ZeroReceived uint64
	// Discarded counts the packets that were not accepted, by reason.
	Discarded map[Discard]uint64
	// OtherAddresses counts accepted adverts that list other VIPs than ours,
	// OtherInterval those of version 3 with another interval than ours: signs
	// of routers that are configured differently.
	OtherAddresses, OtherInterval uint64
	// PlainChecksums counts accepted adverts of version 3 over IPv4 whose
	// checksum is the form of RFC 9568; the others have that of RFC 5798.
	PlainChecksums uint64
	// Notices counts how often each kind of notice was due, those too for which
	// there was no room.
	Notices map[NoticeKind]uint64
	// Transitions counts changes of role, MasterTransitions those to Master.
	Transitions, MasterTransitions uint64
	// FaultCauses counts how often each cause of a fault came up.
	FaultCauses map[string]uint64
}

// counters are what changes with every packet: written by the Router's
// goroutine, read by any.
type counters struct {
	lastSent, lastReceived         atomic.Int64 // Unix nanoseconds
	sent, zeroSent, sendErrors     atomic.Uint64
	received, zeroReceived         atomic.Uint64
	discarded                      [discards]atomic.Uint64
	otherAddresses, otherInterval  atomic.Uint64
	plainChecksums                 atomic.Uint64
	transitions, masterTransitions uint64            // published with the status
	faultCauses                    map[string]uint64 // likewise
}

// read completes c, the counters that were published with the status.
func (n *counters) read(c *Counters) {
	c.LastSent, c.LastReceived = unixTime(n.lastSent.Load()), unixTime(n.lastReceived.Load())
	c.Sent, c.ZeroSent, c.SendErrors = n.sent.Load(), n.zeroSent.Load(), n.sendErrors.Load()
	c.Received, c.ZeroReceived = n.received.Load(), n.zeroReceived.Load()
	c.OtherAddresses, c.OtherInterval = n.otherAddresses.Load(), n.otherInterval.Load()
	c.PlainChecksums = n.plainChecksums.Load()
	c.Discarded = make(map[Discard]uint64)
	for d := range n.discarded {
		if v := n.discarded[d].Load(); v > 0 {
			c.Discarded[Discard(d)] = v
		}
	}
}

func unixTime(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// Status is a snapshot, for any goroutine.
func (r *Router) Status() Status {
	s := *r.status.Load()
	s.Faults, s.FaultCauses = maps.Clone(s.Faults), maps.Clone(s.FaultCauses)
	r.counters.read(&s.Counters)
	s.Peers, s.Notices, s.Counters.Notices = r.peers.list(time.Now()), r.notices.list(), r.notices.counted()
	if g := r.group.Load(); g != nil {
		s.Group = g.name
	}
	return s
}

// publish makes what Status tells, apart from the atomic counters. It is called
// when one of it changes, not for every advert.
func (r *Router) publish() {
	s := &Status{
		Name:               r.config.Name,
		VRID:               r.config.VRID,
		Version:            r.config.Version,
		Interface:          r.ifname,
		Role:               r.state.Role,
		Priority:           r.state.Priority,
		Since:              r.last.At,
		Reason:             r.last.Reason,
		Detail:             r.last.Detail,
		Master:             r.state.MasterAddress,
		MasterPriority:     r.state.MasterPriority,
		MasterDownInterval: r.config.masterDown(r.state),
		Settling:           r.state.Settling,
		Held:               r.state.Held,
		Yielded:            r.state.Yielded,
		Faults:             r.causes(),
	}
	if r.conn != nil {
		s.Source = r.config.Source
	}
	if s.Role == Master {
		s.Master, s.MasterPriority = r.config.Source, s.Priority
	}
	s.Transitions, s.MasterTransitions = r.counters.transitions, r.counters.masterTransitions
	s.FaultCauses = maps.Clone(r.counters.faultCauses)
	r.status.Store(s)
}
