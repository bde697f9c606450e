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
	"sync"
	"sync/atomic"
	"time"
)

// The causes of faults that nobody sets.
const (
	// CauseInterface is what a Router finds itself: its interface is absent,
	// down or without an address, or its socket failed.
	CauseInterface = "interface"
	// CauseGroup is the fault of another member of its group.
	CauseGroup = "group"
)

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
	// Hold begins held, see Router.Hold.
	Hold bool
	// Group is the sync group that the router is a member of from now on; nil
	// is none.
	Group *SyncGroup
	// Observe, unless nil, is called with every change of role, from Run's
	// goroutine and in order. It must not block: adverts wait for it. It may
	// call the Router's methods.
	Observe func(Transition)
	// Notice, unless nil, is called once when something wrong is seen, and once
	// with over set when it was not seen any more for a while. It is called as
	// Observe is.
	Notice func(n Notice, over bool)
	// Dial is Dial unless set.
	Dial DialFunc
}

// Router is one virtual router at work: Step, driven by a Conn and its timer in
// one goroutine that waits for nothing else.
type Router struct {
	ifname  string
	vrid    uint8
	ipv6    bool
	observe func(Transition)
	dial    DialFunc
	// onNotice is RouterConfig.Notice.
	onNotice func(Notice, bool)

	orders orders
	// joining orders changes of group; wish is what the group may know of r.
	joining sync.Mutex
	group   atomic.Pointer[SyncGroup]
	wish    atomic.Pointer[wish]

	status   atomic.Pointer[Status]
	counters counters
	peers    peers
	notices  notices

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
	verdict verdict // of the group
	// downSince is when the interface was found down; zero while it is up.
	downSince time.Time
	redial    time.Time
	backoff   time.Duration
	advert    Advert // the last one received
	// senders is for what is received with HMAC, sequence for what is sent.
	senders  senders
	sequence Sequence
	out      []byte
	flood    flood
	// follows is the MASTER that this BACKUP waits for; zero in other roles.
	follows netip.Addr
}

// NewRouter makes a Router; Run starts it. It fails if the configuration is not
// valid.
func NewRouter(c RouterConfig) (*Router, error) {
	if err := c.Config.Validate(); err != nil {
		return nil, fmt.Errorf("vrrp %s: %w", c.Config.Name, err)
	}
	r := &Router{
		ifname:  c.Interface,
		vrid:    c.Config.VRID,
		ipv6:    c.Config.Is6(),
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
	if r.onNotice = c.Notice; r.onNotice == nil {
		r.onNotice = func(Notice, bool) {}
	}
	r.peers.all = make(map[netip.Addr]*peer)
	r.notices.standing = make(map[noticeKey]*standing)
	r.senders = make(senders)
	r.orders.work.faults = make(map[string]string)
	r.orders.wake = make(chan struct{}, 1)
	r.counters.faultCauses = make(map[string]uint64)
	r.last.At = time.Now()
	r.state.Held = c.Hold
	r.report()
	r.SetGroup(c.Group)
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
	stop := context.AfterFunc(ctx, func() { r.orders.give(func(*work) {}) })
	defer stop()
	defer r.disconnect()
	for {
		w := r.orders.take()
		switch {
		case w.detach:
			return nil
		case ctx.Err() != nil:
			r.step(Shutdown{}, time.Now())
			r.report()
			return nil
		}
		r.carryOut(w)
		r.setFaults(w.faults, w.verdict)
		r.connect()
		r.obey()
		r.report()
		r.expireNotices(time.Now())
		r.wait()
	}
}

// carryOut does what was ordered once.
func (r *Router) carryOut(w work) {
	if w.config != nil {
		r.reconfigure(*w.config)
	}
	if w.priority != nil {
		r.step(SetPriority{*w.priority}, time.Now())
	}
	switch {
	case w.hold == nil:
	case *w.hold:
		r.step(Hold{}, time.Now())
	default:
		r.step(Release{}, time.Now())
	}
	if w.giveUp {
		r.step(GiveUp{}, time.Now())
	}
}

// reconfigure goes over to a new configuration, with a new socket if the old
// one does not fit it.
func (r *Router) reconfigure(c Config) {
	old := r.config
	reopen := !c.fits(r.wanted, old.Source)
	r.wanted, r.config = c, c
	r.config.Source = old.Source
	r.step(Reconfigured{Old: old}, time.Now())
	if reopen {
		r.disconnect()
	}
	r.publish()
}

// setFaults goes to FAULT if there is a cause, here or in the group, and gives
// connect the chance to leave it once there is none.
func (r *Router) setFaults(faults map[string]string, v verdict) {
	was := r.verdict.fault
	r.verdict = v
	if maps.Equal(faults, r.faults) && v.fault == was {
		return
	}
	for cause := range faults {
		if _, old := r.faults[cause]; !old {
			r.counters.faultCauses[cause]++
		}
	}
	if v.fault != "" && was == "" {
		r.counters.faultCauses[CauseGroup]++
	}
	r.faults = faults
	if len(faults) > 0 || v.fault != "" {
		r.step(Trouble{}, time.Now())
	}
	if len(faults) > 0 {
		r.disconnect()
	}
	r.redial, r.backoff = time.Time{}, redialFirst
	r.publish()
}

// connect opens the socket if there is none and nothing here forbids it, and
// enters or re-enters the election if nothing in the group does. So a router
// knows of its own trouble whatever that of others.
func (r *Router) connect() {
	if r.conn == nil && !r.dialed() || r.verdict.fault != "" {
		return
	}
	switch r.state.Role {
	case Initialize:
		r.step(Startup{Resume: r.resume}, time.Now())
	case Fault:
		r.step(Recover{}, time.Now())
	}
}

// dialed opens the socket unless it is to stay closed for now.
func (r *Router) dialed() bool {
	if len(r.faults) > 0 || time.Now().Before(r.redial) {
		return false
	}
	conn, err := r.dial(r.ifname, r.wanted)
	if err != nil {
		r.fail(err)
		return false
	}
	r.conn, r.config.Source = conn, conn.Source()
	r.trouble, r.backoff, r.downSince = "", redialFirst, time.Time{}
	r.flood = flood{}
	r.publish()
	return true
}

// obey does what the group says.
func (r *Router) obey() {
	if v := r.verdict; v.Grouped != (Grouped{r.state.Grouped, r.state.Decides}) {
		r.step(v.Grouped, time.Now())
	}
	switch {
	case r.verdict.demote != "" && r.state.Role == Master:
		r.step(Demote{}, time.Now())
	case r.verdict.permit && r.state.Want && r.conn != nil && r.conn.Up() == nil:
		r.step(Permit{}, time.Now())
	}
}

// report lets the group know what this router wishes, if that is new.
func (r *Router) report() {
	own := ""
	if len(r.faults) > 0 || r.trouble != "" {
		all := r.causes()
		delete(all, CauseGroup)
		own = explain(all)
	}
	w := r.config.wishOf(r.state, own, time.Now())
	if old := r.wish.Load(); old != nil && *old == w {
		return
	}
	r.wish.Store(&w)
	if g := r.group.Load(); g != nil {
		g.report(r)
	}
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
	if r.verdict.fault != "" {
		all[CauseGroup] = r.verdict.fault
	}
	return all
}

// wait waits for one packet, the timer or orders, and serves what comes.
func (r *Router) wait() {
	if r.conn == nil {
		r.pause()
		return
	}
	wake := r.wakeAt()
	free, err := r.orders.arm(r.conn, wake)
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
	if !time.Now().Before(wake) {
		r.relent(time.Now())
		r.timeout()
	}
}

// wakeAt is when the interface or the timer is to be looked at.
func (r *Router) wakeAt() time.Time {
	wake := r.state.Wake()
	if wake.IsZero() { // FAULT, because of the group
		return time.Now().Add(redialMost)
	}
	if !r.downSince.IsZero() {
		wake = earlier(wake, r.downSince.Add(r.config.LinkDownDelay))
	}
	if !r.flood.until.IsZero() {
		wake = earlier(wake, r.flood.until)
	}
	return wake
}

// pause waits, without a socket, for the next try or orders.
func (r *Router) pause() {
	var again <-chan time.Time
	if len(r.faults) == 0 {
		again = time.After(time.Until(r.redial))
	} else if left, any := r.notices.next(time.Now()); any {
		again = time.After(left)
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
	deaf := !r.downSince.IsZero()
	if err := r.conn.Up(); err == nil {
		r.downSince = time.Time{}
	} else if r.downFor() >= r.config.LinkDownDelay {
		r.fail(err)
		return
	} else {
		deaf = true
	}
	for range pollMost {
		p, err := r.conn.Poll()
		if err != nil {
			break // if it is more than "none", the next wait meets it too
		}
		r.receive(p)
	}
	r.step(Timeout{Deaf: deaf}, time.Now())
}

// downFor is how long the interface is down, as far as seen. It is.
func (r *Router) downFor() time.Duration {
	now := time.Now()
	if r.downSince.IsZero() {
		r.downSince = now
	}
	return now.Sub(r.downSince)
}

// step asks Step and does what it says.
func (r *Router) step(ev Event, now time.Time) {
	from := r.state.Role
	next, actions := r.config.Step(r.state, ev, now)
	switch {
	case next.Role != Backup:
		r.follows = netip.Addr{}
	case next.Follows:
		r.follows = next.MasterAddress
	}
	// Outside of the election there is no priority: then it is the last one.
	priority := cmp.Or(next.Priority, r.state.Priority, r.config.Priority)
	shown := changed(r.state, next)
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
	if shown {
		r.publish()
	}
}

// changed reports whether Status tells the difference, apart from the role.
func changed(a, b State) bool {
	return a.Priority != b.Priority || a.Settling != b.Settling || a.Held != b.Held || a.Yielded != b.Yielded
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
		return explain(r.causes())
	case ReasonGroup:
		return r.verdict.demote
	case ReasonHigherPriority, ReasonHigherAddress, ReasonPreempting:
		return fmt.Sprintf("%v with priority %d", r.state.MasterAddress, r.state.MasterPriority)
	}
	return ""
}

// explain is the causes of a fault in words.
func explain(causes map[string]string) string {
	var b []string
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		b = append(b, cause+": "+causes[cause])
	}
	return strings.Join(b, "; ")
}
