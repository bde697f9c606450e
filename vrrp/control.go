package vrrp

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"
)

// orders are what others want of a Router, the newest of each kind; Run takes
// them between two waits.
type orders struct {
	mu       sync.Mutex
	pending  bool
	config   *Config
	priority uint8             // 0: no change
	faults   map[string]string // replaced, never changed: Run reads it
	detach   bool
	conn     Conn          // what Run may be waiting on
	wake     chan struct{} // or this, without a Conn
}

// give changes the orders and wakes Run up.
func (o *orders) give(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
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
func (o *orders) take() (config *Config, priority uint8, faults map[string]string, detach bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	config, priority = o.config, o.priority
	o.config, o.priority, o.pending = nil, 0, false
	return config, priority, o.faults, o.detach
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
	r.orders.give(func() {
		r.orders.faults = maps.Clone(r.orders.faults)
		r.orders.faults[cause] = detail
	})
}

// ClearFault withdraws a cause, set or not. With the last one gone the router
// opens its socket anew and waits as BACKUP. It does not wait.
func (r *Router) ClearFault(cause string) {
	r.orders.give(func() {
		r.orders.faults = maps.Clone(r.orders.faults)
		delete(r.orders.faults, cause)
	})
}

// SetPriority changes the effective priority, 1..254, until the next call; the
// owner's never changes. It does not wait.
func (r *Router) SetPriority(priority uint8) {
	r.orders.give(func() { r.orders.priority = priority })
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
	if c.ipv6() {
		return errIPv6
	}
	r.orders.give(func() { r.orders.config = &c })
	return nil
}

// Detach makes Run return without a word to the others, so that a new process
// can go on as MASTER within Master_Down_Interval (RouterConfig.Resume). It does
// not wait for Run. There is no Transition, and no way back.
func (r *Router) Detach() {
	r.orders.give(func() { r.orders.detach = true })
}

var errIPv6 = errors.New("IPv6 is not supported yet")

func (c *Config) ipv6() bool {
	return c.Source.Is6() || len(c.VIPs) > 0 && c.VIPs[0].Is6() || c.Unicast() && c.Peers[0].Is6()
}
