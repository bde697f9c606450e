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

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
)

// announcer tells the neighbours of the VIPs this node holds, by gratuitous ARP
// and unsolicited neighbour advertisements: a burst at once, another after a
// delay in case the first was lost, then one every so often for neighbours that
// were not there or heard a rival. It has its own goroutine, so that no advert
// and no reconciliation waits for it.
type announcer struct {
	// send announces addresses on one interface so many times.
	send func(ifname string, addrs []netip.Addr, count int) error
	log  *slog.Logger

	mu   sync.Mutex
	held map[netif.Address]*announcement
	// failed are the interfaces on which the last announcement failed.
	failed Set[string]
	wake   chan struct{}
}

// batch is what may be announced together.
type batch struct {
	ifname string
	count  int
}

// restDelay is between the first announcement of a burst that begins a holding
// and the others: hundreds of VIPs are told of once before any is repeated.
const restDelay = 20 * time.Millisecond

// announcement is where one address is in its schedule.
type announcement struct {
	garp config.GARP
	// epoch tells one holding of the address from the next.
	epoch uint64
	// told counts what was sent of the first burst, up to 1, bursts the full
	// bursts already sent, up to 2.
	told   int
	bursts int
	began  time.Time
	due    time.Time
	// last is when it was last announced.
	last time.Time
}

// holding is an address to announce. A new epoch starts its schedule again.
type holding struct {
	garp  config.GARP
	epoch uint64
	// interval is between the adverts of its instance, vrid its VRID.
	interval time.Duration
	vrid     uint8
}

func newAnnouncer(send func(string, []netip.Addr, int) error, log *slog.Logger) *announcer {
	return &announcer{
		send:   send,
		log:    log,
		held:   map[netif.Address]*announcement{},
		failed: Set[string]{},
		wake:   make(chan struct{}, 1),
	}
}

// hold replaces the addresses to announce. It does not block.
func (a *announcer) hold(addresses map[netif.Address]holding, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for address := range a.held {
		if _, ok := addresses[address]; !ok {
			delete(a.held, address)
		}
	}
	for address, holding := range addresses {
		if old, ok := a.held[address]; ok && old.epoch == holding.epoch {
			old.garp = holding.garp
			continue
		}
		a.held[address] = &announcement{garp: holding.garp, epoch: holding.epoch, began: now, due: now}
	}
	a.signal()
}

// forget ends announcing an address; if it is held again, its schedule starts
// again: it was away.
func (a *announcer) forget(address netif.Address) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.held, address)
}

// again announces a held address by a burst, now or a while after the last one.
func (a *announcer) again(address netif.Address, pause time.Duration, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	announcement, ok := a.held[address]
	if !ok || announcement.bursts == 0 {
		return
	}
	due := announcement.last.Add(pause)
	if due.Before(now) {
		due = now
	}
	if announcement.due.IsZero() || due.Before(announcement.due) {
		announcement.due = due
	}
	// The next is the last full burst.
	announcement.bursts = 1
	a.signal()
}

// signal makes run look at what is due.
func (a *announcer) signal() {
	nudge(a.wake)
}

// run sends until ctx ends.
func (a *announcer) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.wake:
		case <-timer.C:
		}
		timer.Reset(a.sendDue(time.Now()))
	}
}

// sendDue sends what is due, on all interfaces at once, and returns the time
// until the next is.
func (a *announcer) sendDue(now time.Time) time.Duration {
	const idle = time.Hour
	wait := idle
	var sending sync.WaitGroup
	for batch, addrs := range a.takeDue(now) {
		sending.Go(func() { a.report(batch.ifname, a.send(batch.ifname, addrs, batch.count)) })
	}
	sending.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, announcement := range a.held {
		if !announcement.due.IsZero() {
			wait = min(wait, max(announcement.due.Sub(now), 0))
		}
	}
	return wait
}

// takeDue returns the addresses that are to be announced, in order, and advances
// their schedules. It holds the lock, sending does not.
func (a *announcer) takeDue(now time.Time) map[batch][]netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := map[batch][]netip.Addr{}
	for _, address := range slices.SortedFunc(maps.Keys(a.held), compareAddresses) {
		announcement := a.held[address]
		if !announcement.due.IsZero() && !announcement.due.After(now) {
			b := batch{address.Interface, announcement.advance(now)}
			due[b] = append(due[b], address.Addr)
		}
	}
	return due
}

func compareAddresses(a, b netif.Address) int {
	return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Interface, b.Interface), cmp.Compare(a.Bits, b.Bits))
}

// advance returns how many are due now and sets the time of the next.
func (s *announcement) advance(now time.Time) (count int) {
	s.last = now
	switch s.bursts {
	case 0:
		if s.told == 0 && s.garp.Count > 1 {
			s.told, s.due = 1, now.Add(restDelay)
			return 1
		}
		s.bursts, s.due = 1, s.began.Add(s.garp.Delay)
		return s.garp.Count - s.told
	case 1:
		s.bursts, count = 2, s.garp.Count
	default:
		count = 1
	}
	s.due = time.Time{}
	if s.garp.Refresh > 0 {
		s.due = now.Add(s.garp.Refresh)
	}
	return count
}

// report logs the first failure of a row on an interface, and its end.
func (a *announcer) report(ifname string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failed.Has(ifname) == (err != nil) {
		return
	}
	if err != nil {
		a.failed.Add(ifname)
		a.log.Warn("the neighbours cannot be told of the VIPs", "interface", ifname, "err", err)
		return
	}
	delete(a.failed, ifname)
	a.log.Info("the neighbours can be told of the VIPs again", "interface", ifname)
}
