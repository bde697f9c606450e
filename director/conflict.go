package director

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director/netif"
)

const (
	// conflictGrace is how long after the third advert of a new MASTER the old
	// one may still answer for the VIPs.
	conflictGrace = time.Second
	// conflictDelay is how long a claim waits to be called a conflict: a new
	// MASTER announces the VIPs when it has just told this one to go.
	conflictDelay = time.Second
	// conflictPatience, or two refreshes, is how long nothing must be heard
	// until a conflict has ended.
	conflictPatience = 2 * time.Minute
	// conflictPause is between two bursts of announcements because of claims.
	conflictPause = time.Second
	// maxConflicts bounds what is remembered of claims, which anyone may send.
	maxConflicts = 256
	// listenDelay is the pause after listening failed.
	listenDelay = 5 * time.Second
)

// conflicts listens for other hosts that say they have a VIP which this node
// holds, and asks for them now and then. It has its own goroutines, which run
// only where VIPs are held.
type conflicts struct {
	network Network
	log     *slog.Logger
	tell    teller
	// again announces a VIP, the given time after the last announcement.
	again func(vip netif.Address, pause time.Duration, now time.Time)

	wake chan struct{}
	mu   sync.Mutex
	held map[place]*vigil
	seen map[claimant]*conflict
}

// place is where an address is: there is only one at a time.
type place struct {
	ifname string
	addr   netip.Addr
}

// vigil is the watch over one VIP.
type vigil struct {
	address netif.Address
	// quiet is when the old MASTER has had its time to go.
	quiet   time.Time
	refresh time.Duration
	// vrid is that of the virtual router whose VIP it is.
	vrid uint8
	// probe is when to ask next; zero is never.
	probe time.Time
}

func (v *vigil) patience() time.Duration { return max(conflictPatience, 2*v.refresh) }

// claimant is a host that has one of the VIPs.
type claimant struct {
	place
	mac netif.MAC
}

// conflict is what is known of a claimant.
type conflict struct {
	phase phase
	// since is when the last suspicion arose.
	first, since, last time.Time
	count              uint64
}

// phase is how far a conflict has come.
type phase int

const (
	suspected phase = iota
	going
	over
)

func newConflicts(
	network Network, log *slog.Logger, tell teller, again func(netif.Address, time.Duration, time.Time),
) *conflicts {
	return &conflicts{
		network: network,
		log:     log,
		tell:    tell,
		again:   again,
		wake:    make(chan struct{}, 1),
		held:    map[place]*vigil{},
		seen:    map[claimant]*conflict{},
	}
}

// hold replaces the VIPs to watch over. It does not block.
func (c *conflicts) hold(addresses map[netif.Address]holding, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	held := make(map[place]*vigil, len(addresses))
	for address, h := range addresses {
		at := place{address.Interface, address.Addr}
		v := c.held[at]
		if v == nil {
			quiet := now.Add(3*h.interval + conflictGrace)
			v = &vigil{quiet: quiet, probe: quiet}
		}
		v.address, v.refresh, v.vrid = address, h.garp.Refresh, h.vrid
		held[at] = v
	}
	c.held = held
	c.signal()
}

// forget ends the watch over a VIP.
func (c *conflicts) forget(address netif.Address) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, place{address.Interface, address.Addr})
}

func (c *conflicts) signal() {
	nudge(c.wake)
}

// claimed takes a claim from a listener. It does not block. One from the virtual
// router's own hardware address is a member that takes over, and may come before
// its first advert: to answer it would leave the neighbours with this node.
func (c *conflicts) claimed(claim netif.Claim) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	at := place{claim.Interface, claim.Addr}
	v := c.held[at]
	if v == nil || now.Before(v.quiet) || claim.MAC.IsVirtualRouter(v.vrid) {
		return
	}
	who := claimant{at, claim.MAC}
	known := c.seen[who]
	switch {
	case known == nil && !c.room():
		return
	case known == nil:
		known = &conflict{first: now, since: now}
		c.seen[who] = known
	case known.phase == over:
		known.phase, known.since = suspected, now
	}
	known.last = now
	known.count++
	if known.phase == going {
		c.again(v.address, conflictPause, now)
	}
	c.signal()
}

// room makes room for one conflict more, by forgetting the one that ended first.
func (c *conflicts) room() bool {
	if len(c.seen) < maxConflicts {
		return true
	}
	var oldest *claimant
	for who, known := range c.seen {
		if known.phase == over && (oldest == nil || known.last.Before(c.seen[*oldest].last)) {
			oldest = &who
		}
	}
	if oldest == nil {
		return false
	}
	delete(c.seen, *oldest)
	return true
}

// run watches until ctx ends.
func (c *conflicts) run(ctx context.Context) {
	var listening sync.WaitGroup
	defer listening.Wait()
	listeners := map[string]context.CancelFunc{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			for _, stop := range listeners {
				stop()
			}
			return
		case <-c.wake:
		case <-timer.C:
		}
		probes, wait := c.look(time.Now())
		c.listen(ctx, listeners, &listening)
		for ifname, addrs := range probes {
			// That nothing can be sent is what the announcer reports.
			_ = c.network.Probe(ifname, addrs)
		}
		timer.Reset(wait)
	}
}

// listen has a listener on every interface with VIPs, and on no other.
func (c *conflicts) listen(ctx context.Context, listeners map[string]context.CancelFunc, listening *sync.WaitGroup) {
	needed := Set[string]{}
	c.mu.Lock()
	for at := range c.held {
		needed.Add(at.ifname)
	}
	c.mu.Unlock()
	for ifname, stop := range listeners {
		if !needed.Has(ifname) {
			stop()
			delete(listeners, ifname)
		}
	}
	for ifname := range needed {
		if listeners[ifname] == nil {
			ctx, stop := context.WithCancel(ctx)
			listeners[ifname] = stop
			listening.Go(func() { c.listenOn(ctx, ifname) })
		}
	}
}

func (c *conflicts) listenOn(ctx context.Context, ifname string) {
	held := func(addr netip.Addr) bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.held[place{ifname, addr}] != nil
	}
	for told := false; ; told = true {
		err := c.network.Listen(ctx, ifname, held, c.claimed)
		if ctx.Err() != nil {
			return
		}
		if !told {
			c.log.Warn("address conflicts cannot be heard, trying again", "interface", ifname, "err", err)
		}
		if !pause(ctx, listenDelay) {
			return
		}
	}
}

// look moves every conflict on to its next phase if it is time, and returns the
// addresses to ask for by interface, and the time until something is due.
func (c *conflicts) look(now time.Time) (probes map[string][]netip.Addr, wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var due time.Time
	var news changes
	for who, known := range c.seen {
		due = sooner(due, c.judge(who, known, now, &news))
	}
	news.tell(c.tell)
	probes = map[string][]netip.Addr{}
	for at, v := range c.held {
		if !v.probe.IsZero() && !v.probe.After(now) {
			probes[at.ifname] = append(probes[at.ifname], at.addr)
			v.probe = time.Time{}
			if v.refresh > 0 {
				v.probe = now.Add(v.refresh)
			}
		}
		due = sooner(due, v.probe)
	}
	if due.IsZero() {
		return probes, time.Hour
	}
	return probes, max(due.Sub(now), 0)
}

// judge moves one conflict on and returns when it must be looked at again; zero
// is never.
func (c *conflicts) judge(who claimant, known *conflict, now time.Time, news *changes) time.Time {
	v := c.held[who.place]
	switch known.phase {
	case suspected:
		due := known.since.Add(conflictDelay)
		switch {
		case v == nil && known.since.Equal(known.first): // it was the new MASTER
			delete(c.seen, who)
			return time.Time{}
		case v == nil:
			known.phase = over
			return time.Time{}
		case due.After(now):
			return due
		}
		known.phase = going
		news.begun = append(news.begun, who)
		c.again(v.address, conflictPause, now)
		return known.last.Add(v.patience())
	case going:
		if v != nil && now.Sub(known.last) < v.patience() {
			return known.last.Add(v.patience())
		}
		known.phase = over
		news.ended = append(news.ended, who)
	}
	return time.Time{}
}

// status describes the conflicts that go on and those that have ended.
func (c *conflicts) status() []ConflictStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []ConflictStatus{}
	for _, who := range slices.SortedFunc(maps.Keys(c.seen), compareClaimants) {
		known := c.seen[who]
		if known.phase == suspected {
			continue
		}
		all = append(all, ConflictStatus{
			VIP: who.addr.String(), Interface: who.ifname, MAC: who.mac.String(), Ended: known.phase == over,
			First: known.first, Last: known.last, Count: known.count,
		})
	}
	return all
}

func compareClaimants(a, b claimant) int {
	return cmp.Or(
		a.addr.Compare(b.addr),
		cmp.Compare(a.ifname, b.ifname),
		slices.Compare(a.mac[:], b.mac[:]),
	)
}
