package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/segment"
)

const (
	// probeRounds is how often each address is asked for, probePause the time
	// after each: the first may be lost while the listener is being opened.
	probeRounds = 4
	probePause  = 300 * time.Millisecond
	// advance is how often the table of speakers is told the time.
	advance = 100 * time.Millisecond
)

// segment asks the neighbours and listens to them, all at the same time.
func (g *gathering) segment(ctx context.Context) {
	if !g.Probe {
		g.unchecked("neighbours: who has the VIPs, who speaks VRRP", errors.New("told not to ask them"))
		return
	}
	g.facts.Answers = map[Place][]netif.MAC{}
	asked := g.addressesToAsk()
	var busy sync.WaitGroup
	defer busy.Wait()
	if g.Listen > 0 && g.Status == nil && len(g.config.VRRP) > 0 {
		busy.Go(func() { g.listen(ctx) })
	}
	if len(asked) == 0 {
		return
	}
	announcer, err := netif.NewAnnouncer()
	if err != nil {
		g.unchecked("neighbours: who has the VIPs", err)
		return
	}
	var probing sync.WaitGroup
	for _, ifname := range slices.Sorted(maps.Keys(asked)) {
		probing.Go(func() { g.probe(ctx, announcer, ifname, asked[ifname]) })
	}
	probing.Wait()
	_ = announcer.Close()
}

// addressesToAsk are VIPs and real servers on the link, by interface.
func (g *gathering) addressesToAsk() map[string]director.Set[netip.Addr] {
	asked := map[string]director.Set[netip.Addr]{}
	add := func(ifname string, addr netip.Addr) {
		if link, ok := g.facts.Links[ifname]; !ok || !link.Up || link.Silent {
			return
		}
		if asked[ifname] == nil {
			asked[ifname] = director.Set[netip.Addr]{}
		}
		asked[ifname].Add(addr)
	}
	for _, v := range g.config.VRRP {
		for _, vip := range v.VIPs {
			add(vip.Interface, vip.Addr)
		}
	}
	for _, t := range targets(g.config) {
		if route := g.facts.Routes[t.address.Addr()]; !route.Local && !route.Missing && !route.Gateway.IsValid() {
			add(route.Interface, t.address.Addr())
		}
	}
	return asked
}

// probe asks on one interface and notes the answers. If that does not work, the
// addresses are as if nobody had asked.
func (g *gathering) probe(ctx context.Context, announcer *netif.Announcer, ifname string, asked director.Set[netip.Addr]) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := director.Set[netif.Claim]{}
	var mu sync.Mutex
	claimed := func(claim netif.Claim) {
		mu.Lock()
		defer mu.Unlock()
		answers.Add(netif.Claim{Addr: claim.Addr, MAC: claim.MAC})
	}
	var hearing sync.WaitGroup
	hearing.Go(func() { cancel(netif.Listen(ctx, ifname, asked.Has, claimed)) })
	err := ask(ctx, announcer, ifname, slices.Collect(maps.Keys(asked)))
	cancel(nil)
	hearing.Wait()
	if err != nil {
		g.unchecked("who has VIPs and real servers on "+ifname, err)
		return
	}
	for addr := range asked {
		g.answer(Place{ifname, addr}, answers)
	}
}

// ask asks some times, and waits after each.
func ask(ctx context.Context, announcer *netif.Announcer, ifname string, addrs []netip.Addr) error {
	pause := time.NewTicker(probePause)
	defer pause.Stop()
	for range probeRounds {
		select {
		case <-ctx.Done(): // listening failed
			return context.Cause(ctx)
		case <-pause.C:
		}
		if err := announcer.Probe(ifname, addrs); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-pause.C:
		return nil
	}
}

// answer notes who answered for an address, also if that is nobody.
func (g *gathering) answer(at Place, answers director.Set[netif.Claim]) {
	macs := []netif.MAC{}
	for claim := range answers {
		if claim.Addr == at.Addr {
			macs = append(macs, claim.MAC)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.facts.Answers[at] = macs
}

// listen hears the adverts on the instances' interfaces.
func (g *gathering) listen(ctx context.Context) {
	const what = "who speaks VRRP"
	var names []string
	for _, v := range g.config.VRRP {
		if g.facts.Links[v.Interface].Up && !slices.Contains(names, v.Interface) {
			names = append(names, v.Interface)
		}
	}
	if len(names) == 0 {
		return
	}
	listener, err := segment.Listen(names...)
	if err != nil {
		g.unchecked(what, err)
		return
	}
	defer func() { _ = listener.Close() }()
	table := segment.NewTable()
	for end := time.Now().Add(g.Listen); ctx.Err() == nil && time.Now().Before(end); {
		packet, err := listener.Read(time.Now().Add(advance))
		switch {
		case err == nil:
			table.Observe(packet)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			g.unchecked(what, fmt.Errorf("listen: %w", err))
			return
		}
		table.Advance(time.Now())
	}
	report := table.Report(time.Now(), false)
	g.facts.Adverts = &report
}
