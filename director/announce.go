package director

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
)

// announcer sends gratuitous ARP for the VIPs this node holds: a burst at once,
// another after a delay in case the first was lost, then one every so often for
// neighbours that were not there or heard a rival. It has its own goroutine, so
// that no advert and no reconciliation waits for it.
type announcer struct {
	// send announces one address so many times.
	send func(address netif.Address, count int) error
	log  *slog.Logger

	mu   sync.Mutex
	held map[netif.Address]*announcement
	wake chan struct{}
}

// announcement is where one address is in its schedule.
type announcement struct {
	garp config.GARP
	// epoch tells one holding of the address from the next.
	epoch uint64
	// bursts counts the full bursts already sent, up to 2.
	bursts int
	due    time.Time
	failed bool
}

// holding is an address to announce. A new epoch starts its schedule again.
type holding struct {
	garp  config.GARP
	epoch uint64
}

func newAnnouncer(send func(netif.Address, int) error, log *slog.Logger) *announcer {
	return &announcer{
		send: send,
		log:  log,
		held: map[netif.Address]*announcement{},
		wake: make(chan struct{}, 1),
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
		a.held[address] = &announcement{garp: holding.garp, epoch: holding.epoch, due: now}
	}
	select {
	case a.wake <- struct{}{}:
	default:
	}
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

// sendDue sends what is due and returns the time until the next is.
func (a *announcer) sendDue(now time.Time) time.Duration {
	const idle = time.Hour
	wait := idle
	for address, count := range a.takeDue(now) {
		a.report(address, a.send(address, count))
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, announcement := range a.held {
		if !announcement.due.IsZero() {
			wait = min(wait, max(announcement.due.Sub(now), 0))
		}
	}
	return wait
}

// takeDue returns how many announcements each address is due, and advances the
// schedules. It holds the lock, sending does not.
func (a *announcer) takeDue(now time.Time) map[netif.Address]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	due := map[netif.Address]int{}
	for address, announcement := range a.held {
		if !announcement.due.IsZero() && !announcement.due.After(now) {
			due[address] = announcement.advance(now)
		}
	}
	return due
}

// advance returns how many are due now and sets the time of the next.
func (s *announcement) advance(now time.Time) (count int) {
	switch s.bursts {
	case 0:
		s.bursts, s.due = 1, now.Add(s.garp.Delay)
		return s.garp.Count
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

// report logs the first failure of a row, and its end.
func (a *announcer) report(address netif.Address, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	announcement, ok := a.held[address]
	if !ok || announcement.failed == (err != nil) {
		return
	}
	announcement.failed = err != nil
	if err != nil {
		a.log.Warn("gratuitous ARP failed", "vip", address.Addr, "interface", address.Interface, "err", err)
		return
	}
	a.log.Info("gratuitous ARP works again", "vip", address.Addr, "interface", address.Interface)
}
