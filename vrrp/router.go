package vrrp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// CauseInterface is the cause of the faults that a Router finds itself: its
// interface is absent, down or without an address, or its socket failed.
const CauseInterface = "interface"

const (
	redialFirst = 100 * time.Millisecond
	redialMost  = time.Second
	// pollMost bounds what is read before a timer is served, so that a flood
	// of packets cannot hold off an advert.
	pollMost = 64
)

// RouterConfig is what NewRouter needs.
type RouterConfig struct {
	Config    Config
	Interface string
	// Resume begins as MASTER, see Startup. It is lost if the interface cannot
	// be used at the first try.
	Resume bool
	// Observe, unless nil, is called with every change of role, from Run's
	// goroutine and in order. It must not block: adverts wait for it. It may
	// call the Router's methods.
	Observe func(Transition)
	// Dial is Dial unless set.
	Dial DialFunc
}

// Router is one virtual router at work: Step, driven by a Conn and its timer in
// one goroutine that waits for nothing else.
type Router struct {
	ifname  string
	vrid    uint8
	observe func(Transition)
	dial    DialFunc

	orders   orders
	status   atomic.Pointer[Status]
	counters counters

	// The rest belongs to Run.
	wanted Config // as configured
	config Config // with Source as conn has it
	resume bool
	state  State
	last   Transition
	conn   Conn
	// faults are the causes given by SetFault, trouble is the Router's own.
	faults  map[string]string
	trouble string
	redial  time.Time
	backoff time.Duration
	advert  Advert // the last one received
	out     []byte
}

// NewRouter makes a Router; Run starts it. It fails if the configuration is not
// valid.
func NewRouter(c RouterConfig) (*Router, error) {
	if err := c.Config.Validate(); err != nil {
		return nil, fmt.Errorf("vrrp %s: %w", c.Config.Name, err)
	}
	if c.Config.ipv6() {
		return nil, fmt.Errorf("vrrp %s: %w", c.Config.Name, errIPv6)
	}
	r := &Router{
		ifname:  c.Interface,
		vrid:    c.Config.VRID,
		observe: c.Observe,
		dial:    c.Dial,
		wanted:  c.Config,
		config:  c.Config,
		resume:  c.Resume,
		backoff: redialFirst,
	}
	if r.observe == nil {
		r.observe = func(Transition) {}
	}
	if r.dial == nil {
		r.dial = Dial
	}
	r.orders.faults = make(map[string]string)
	r.orders.wake = make(chan struct{}, 1)
	r.counters.faultCauses = make(map[string]uint64)
	r.last.At = time.Now()
	r.publish()
	return r, nil
}

// Run takes part in the election until ctx ends, when a MASTER says goodbye with
// priority 0 and the role becomes Initialize, or until Detach. It returns nil.
// What goes wrong meanwhile is a FAULT, not an end. It may be called once.
//
// It stays on the calling goroutine, so that a caller locked to a thread decides
// the network namespace.
func (r *Router) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.orders.give(func() {}) })
	defer stop()
	defer r.disconnect()
	for {
		config, priority, faults, detach := r.orders.take()
		switch {
		case detach:
			return nil
		case ctx.Err() != nil:
			r.step(Shutdown{}, time.Now())
			return nil
		}
		if config != nil {
			r.reconfigure(*config)
		}
		if priority != 0 {
			r.step(SetPriority{priority}, time.Now())
			r.publish()
		}
		r.setFaults(faults)
		r.connect()
		r.wait()
	}
}

// reconfigure goes over to a new configuration, with a new socket if the old
// one does not fit it.
func (r *Router) reconfigure(c Config) {
	old := r.config
	reopen := c.Source != r.wanted.Source || c.Unicast() != old.Unicast() || slices.Contains(c.VIPs, old.Source)
	r.wanted, r.config = c, c
	r.config.Source = old.Source
	r.step(Reconfigured{Old: old}, time.Now())
	if reopen {
		r.disconnect()
	}
	r.publish()
}

// setFaults goes to FAULT if there is a cause, and gives connect the chance to
// leave it once there is none.
func (r *Router) setFaults(faults map[string]string) {
	if maps.Equal(faults, r.faults) {
		return
	}
	for cause := range faults {
		if _, old := r.faults[cause]; !old {
			r.counters.faultCauses[cause]++
		}
	}
	r.faults = faults
	if len(faults) > 0 {
		r.step(Trouble{}, time.Now())
		r.disconnect()
	}
	r.redial, r.backoff = time.Time{}, redialFirst
	r.publish()
}

// connect opens the socket if there is none and nothing forbids it, and enters
// or re-enters the election.
func (r *Router) connect() {
	if r.conn != nil || len(r.faults) > 0 || time.Now().Before(r.redial) {
		return
	}
	conn, err := r.dial(r.ifname, r.wanted)
	if err != nil {
		r.fail(err)
		return
	}
	r.conn, r.config.Source = conn, conn.Source()
	r.trouble, r.backoff = "", redialFirst
	switch r.state.Role {
	case Initialize:
		r.step(Startup{Resume: r.resume}, time.Now())
	case Fault:
		r.step(Recover{}, time.Now())
	}
	r.publish()
}

// fail goes to FAULT because the interface or the socket does not work; the
// next try comes after a growing pause.
func (r *Router) fail(err error) {
	if r.trouble == "" {
		r.counters.faultCauses[CauseInterface]++
	}
	r.trouble = err.Error()
	r.step(Trouble{}, time.Now())
	r.disconnect()
	r.redial = time.Now().Add(r.backoff)
	r.backoff = min(2*r.backoff, redialMost)
	r.publish()
}

// disconnect closes the socket, if there is one.
func (r *Router) disconnect() {
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// causes are all the causes of a fault.
func (r *Router) causes() map[string]string {
	all := make(map[string]string, len(r.faults)+1)
	maps.Copy(all, r.faults)
	if r.trouble != "" {
		all[CauseInterface] = r.trouble
	}
	return all
}

// wait waits for one packet, the timer or orders, and serves what comes.
func (r *Router) wait() {
	if r.conn == nil {
		r.pause()
		return
	}
	free, err := r.orders.arm(r.conn, r.state.Deadline)
	if !free {
		return
	}
	if err == nil {
		var p Packet
		if p, err = r.conn.Read(); err == nil {
			r.receive(p)
		}
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		r.fail(fmt.Errorf("receive on %s: %w", r.ifname, err))
		return
	}
	if !time.Now().Before(r.state.Deadline) {
		r.timeout()
	}
}

// pause waits, without a socket, for the next try or orders.
func (r *Router) pause() {
	var again <-chan time.Time
	if len(r.faults) == 0 {
		again = time.After(time.Until(r.redial))
	}
	select {
	case <-again:
	case <-r.orders.wake:
	}
}

// timeout serves a timer that has run out: first the adverts that were received
// before this goroutine got to it. They may be the very ones a BACKUP was
// waiting for, or of the one who took a stalled MASTER's place.
func (r *Router) timeout() {
	if err := r.conn.Up(); err != nil {
		r.fail(err)
		return
	}
	for range pollMost {
		p, err := r.conn.Poll()
		if err != nil {
			break // if it is more than "none", the next wait meets it too
		}
		r.receive(p)
	}
	r.step(Timeout{}, time.Now())
}

// receive counts a packet and steps if it is a valid advert of this router.
func (r *Router) receive(p Packet) {
	a := &r.advert
	if d := r.config.accept(p, a); d != Accepted {
		r.counters.discarded[d].Add(1)
		return
	}
	r.counters.received.Add(1)
	r.counters.lastReceived.Store(p.Received.UnixNano())
	if a.Priority == 0 {
		r.counters.zeroReceived.Add(1)
	}
	if !r.config.sameAddresses(a) {
		r.counters.otherAddresses.Add(1)
	}
	if a.Interval != r.config.Interval {
		r.counters.otherInterval.Add(1)
	}
	was := r.state
	r.step(AdvertReceived{From: p.Source, Priority: a.Priority, Interval: a.Interval}, p.Received)
	if s := r.state; s.MasterAddress != was.MasterAddress || s.MasterPriority != was.MasterPriority ||
		s.MasterInterval != was.MasterInterval {
		r.publish()
	}
}

// step asks Step and does what it says.
func (r *Router) step(ev Event, now time.Time) {
	from := r.state.Role
	next, actions := r.config.Step(r.state, ev, now)
	// Outside of the election there is no priority: then it is the last one.
	priority := cmp.Or(next.Priority, r.state.Priority, r.config.Priority)
	r.state = next
	for _, a := range actions {
		switch a := a.(type) {
		case Send:
			r.send(a.Priority)
		case Become:
			r.become(from, a, priority)
			from = a.Role
		}
	}
}

// become publishes a new role.
func (r *Router) become(from Role, b Become, priority uint8) {
	r.counters.transitions++
	if b.Role == Master {
		r.counters.masterTransitions++
	}
	r.last = Transition{
		Name: r.config.Name, VRID: r.vrid, Interface: r.ifname,
		From: from, To: b.Role, Reason: b.Reason, Detail: r.detail(b.Reason),
		Priority: priority, At: time.Now(),
	}
	r.publish()
	r.observe(r.last)
}

// detail is what Step cannot say about a transition.
func (r *Router) detail(why Reason) string {
	switch why {
	case ReasonFault:
		all := r.causes()
		var b []string
		for _, cause := range slices.Sorted(maps.Keys(all)) {
			b = append(b, cause+": "+all[cause])
		}
		return strings.Join(b, "; ")
	case ReasonHigherPriority, ReasonHigherAddress, ReasonPreempting:
		return fmt.Sprintf("%v with priority %d", r.state.MasterAddress, r.state.MasterPriority)
	}
	return ""
}

// send sends one advert to the group or to each peer. An error is counted:
// whether the interface still works is asked at the next timeout.
func (r *Router) send(priority uint8) {
	if r.conn == nil {
		return
	}
	group := [...]netip.Addr{Group}
	to := r.config.Peers
	if !r.config.Unicast() {
		to = group[:]
	}
	auth, data := r.config.auth()
	a := Advert{
		Version: r.config.Version, VRID: r.vrid, Priority: priority, Interval: r.config.Interval,
		Addresses: r.config.VIPs, Auth: auth, AuthData: data,
	}
	for _, dst := range to {
		var err error
		if r.out, err = a.Append(r.out[:0], r.config.Source, dst); err == nil {
			err = r.conn.Write(r.out, dst)
		}
		if err != nil {
			r.counters.sendErrors.Add(1)
			continue
		}
		r.counters.sent.Add(1)
		if priority == 0 {
			r.counters.zeroSent.Add(1)
		}
		r.counters.lastSent.Store(time.Now().UnixNano())
	}
}
