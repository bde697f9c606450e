package vrrp

import (
	"fmt"
	"maps"
	"sync"
	"time"
)

// orders are what others want of a Router; Run takes them between two waits.
type orders struct {
	mu      sync.Mutex
	pending bool
	work    work
	conn    Conn          // what Run may be waiting on
	wake    chan struct{} // or this, without a Conn
}

// work is the newest order of each kind. Some are carried out once, others hold
// until changed.
type work struct {
	// Once; nil or false if there is nothing to do.
	config   *Config
	priority *uint8
	hold     *bool
	giveUp   bool
	// Until changed.
	faults  map[string]string // replaced, never changed: Run reads it
	verdict verdict           // of the group
	detach  bool
}

// give changes the orders and wakes Run up.
func (o *orders) give(change func(*work)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change(&o.work)
	o.pending = true
	if o.conn != nil {
		// It fails only on a closed Conn, which nobody waits on.
		_ = o.conn.SetReadDeadline(time.Unix(1, 0))
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take hands the orders over to Run.
func (o *orders) take() work {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.work
	o.work = work{faults: w.faults, verdict: w.verdict, detach: w.detach}
	o.pending = false
	return w
}

// arm sets Run's next wait to end at the deadline, or says that there are
// orders and it must not begin.
func (o *orders) arm(conn Conn, deadline time.Time) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pending {
		return false, nil
	}
	o.conn = conn
	return true, conn.SetReadDeadline(deadline)
}

// SetFault takes the router to FAULT, or keeps it there, for as long as a cause
// is set. Setting a cause again replaces its detail. It does not wait.
func (r *Router) SetFault(cause, detail string) {
	r.orders.give(func(w *work) {
		w.faults = maps.Clone(w.faults)
		w.faults[cause] = detail
	})
}

// ClearFault withdraws a cause, set or not. With the last one gone the router
// opens its socket anew and waits as BACKUP. It does not wait.
func (r *Router) ClearFault(cause string) {
	r.orders.give(func(w *work) {
		w.faults = maps.Clone(w.faults)
		delete(w.faults, cause)
	})
}

// SetPriority changes the effective priority until the next call: 1..254 (255
// counts as 254), or 0 for the configured one. The owner's never changes. A
// MASTER says a lower priority at once. It does not wait.
func (r *Router) SetPriority(priority uint8) {
	r.orders.give(func(w *work) { w.priority = &priority })
}

// GiveUp is a planned failover: a MASTER says goodbye, becomes BACKUP and does
// not preempt the one that follows, until that one leaves or falls silent, or
// Release. If none follows within the longest Master_Down_Interval there is, it
// becomes MASTER again. Another role than MASTER does not change. The other
// members of the group do the same. It does not wait.
func (r *Router) GiveUp() {
	r.together(func(w *work) { w.giveUp = true })
}

// Hold keeps the router from being MASTER until Release, even if there is no
// other; a MASTER says goodbye. It still follows the others' adverts. The other
// members of the group do the same. It does not wait.
func (r *Router) Hold() {
	held := true
	r.together(func(w *work) { w.hold = &held })
}

// Release ends what GiveUp and Hold began, for the other members of the group
// too. It does not wait.
func (r *Router) Release() {
	held := false
	r.together(func(w *work) { w.hold, w.giveUp = &held, false })
}

// together gives an order to all members of the group, or to r alone.
func (r *Router) together(change func(*work)) {
	if g := r.group.Load(); g != nil {
		g.each(change)
		return
	}
	r.orders.give(change)
}

// SetGroup makes the router a member of g and of no other group, or with nil of
// none. Its role stays until g says otherwise. It does not wait, and may be
// called before Run, and after, which it must be for a router that is gone for
// good: see SyncGroup.
func (r *Router) SetGroup(g *SyncGroup) {
	r.joining.Lock()
	defer r.joining.Unlock()
	old := r.group.Load()
	if old == g {
		return
	}
	if old != nil {
		old.leave(r)
	}
	r.group.Store(g)
	if g != nil {
		g.join(r)
	}
}

// Reconfigure changes the configuration without a change of role. It does not
// wait: Run follows. Another VRID or address family is another router: that, and
// what Validate refuses, is an error and changes nothing.
func (r *Router) Reconfigure(c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if c.VRID != r.vrid {
		return fmt.Errorf("vrid %d: another virtual router than %d", c.VRID, r.vrid)
	}
	if c.Is6() != r.ipv6 {
		return fmt.Errorf("vrid %d over IPv6: another virtual router than over IPv4", c.VRID)
	}
	r.orders.give(func(w *work) { w.config = &c })
	return nil
}

// Detach makes Run return without a word to the others, so that a new process
// can go on as MASTER within Master_Down_Interval (RouterConfig.Resume). It does
// not wait for Run. There is no Transition, and no way back.
func (r *Router) Detach() {
	r.orders.give(func(w *work) { w.detach = true })
}
