package director

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// hear is what a listener makes of a frame from another host.
func (m *model) hear(c netif.Claim) {
	m.mu.Lock()
	listener := m.listeners[c.Interface]
	m.mu.Unlock()
	if listener != nil {
		listener(c)
	}
}

func (m *model) takeProbed() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.probed
	m.probed = 0
	return n
}

var relayClaim = netif.Claim{Interface: "eth0", Addr: relayVIP.Addr, MAC: netif.MAC{2, 0, 0, 0, 0, 9}}

func TestAddressConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.kernel.hear(relayClaim)
		advance(4 * time.Second) // MASTER since 3.61 s
		n.kernel.hear(relayClaim)
		advance(time.Second)
		if got := n.director.Status().Conflicts; len(got) != 0 {
			t.Errorf("the old MASTER may answer for a while, yet: %+v", got)
		}
		if got := n.kernel.takeProbed(); got != 0 {
			t.Errorf("%d probes while the old MASTER may answer", got)
		}
		advance(3 * time.Second)
		if got := n.kernel.takeProbed(); got != 1 {
			t.Errorf("%d probes by a new MASTER, want 1", got)
		}
		advance(10 * time.Second) // beyond the second burst
		n.kernel.takeAnnounced()
		first := time.Now()
		n.kernel.hear(relayClaim)
		advance(conflictDelay)
		if got := n.kernel.takeAnnounced(); got != 5 {
			t.Errorf("a conflict brought %d announcements, want a burst of 5", got)
		}
		for range 10 {
			n.kernel.hear(relayClaim)
			advance(200 * time.Millisecond)
		}
		if got := n.kernel.takeAnnounced(); got < 5 || got > 15 {
			t.Errorf("10 claims in 2 s brought %d announcements, want a burst of 5 in a second", got)
		}
		want := []ConflictStatus{{
			VIP: "192.0.2.100", Interface: "eth0", MAC: "02:00:00:00:00:09",
			First: first, Last: time.Now().Add(-200 * time.Millisecond), Count: 11,
		}}
		if diff := cmp.Diff(want, n.director.Status().Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		advance(conflictPatience)
		want[0].Ended = true
		if diff := cmp.Diff(want, n.director.Status().Conflicts); diff != "" {
			t.Errorf("when nothing was heard for a while (-want +got):\n%s", diff)
		}
		if got := strings.Count(n.log.String(), "another host has VIPs of this MASTER"); got != 1 {
			t.Errorf("the conflict is logged %d times\n%s", got, n.log)
		}
		if got := strings.Count(n.log.String(), "no other host has the VIPs any more"); got != 1 {
			t.Errorf("its end is logged %d times\n%s", got, n.log)
		}
		n.kernel.takeProbed()
		advance(2 * time.Minute)
		if got := n.kernel.takeProbed(); got != 2 {
			t.Errorf("%d probes in 2 minutes, want one each refresh of a minute", got)
		}
		n.stop(context.Canceled)
		if len(n.kernel.listeners) != 0 {
			t.Error("a node without VIPs listens")
		}
	})
}

// TestSuccessorIsNoConflict: the next MASTER announces the VIP in the moment in
// which this one learns that it has to go.
func TestSuccessorIsNoConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		weak, strong := newNode(t, lan, 1), newNode(t, lan, 2)
		strong.config.VRRP[0].Router.Priority = 150
		weak.start()
		advance(time.Minute)
		stuck := make(chan struct{})
		weak.kernel.mu.Lock()
		weak.kernel.reading = stuck
		weak.kernel.mu.Unlock()
		strong.start()
		for strong.director.Status().Instances[0].State != "master" {
			advance(time.Millisecond)
		}
		// Its advert is out, and so may its announcement be: the loop of the weak
		// one is held up, which still has the VIP. To announce it now would lead
		// the neighbours back.
		weak.kernel.takeAnnounced()
		for range 20 {
			weak.kernel.hear(relayClaim)
			advance(conflictDelay / 2)
		}
		if got := weak.kernel.takeAnnounced(); got != 0 {
			t.Errorf("%d announcements of a VIP that another MASTER has", got)
		}
		close(stuck)
		advance(time.Minute)
		if got := weak.director.Status().Conflicts; len(got) != 0 {
			t.Errorf("the new MASTER is a conflict: %+v", got)
		}
		weak.stop(context.Canceled)
		strong.stop(context.Canceled)
	})
}

// TestVirtualRouterIsNoConflict: a member with a hardware address of its own for
// the virtual router announces the VIP before its first advert; that of another
// virtual router has no business with it.
func TestVirtualRouterIsNoConflict(t *testing.T) {
	for _, last := range []byte{51, 52} {
		c := newConflicts(nil, slog.New(slog.DiscardHandler), untold, func(netif.Address, time.Duration, time.Time) {})
		c.hold(map[netif.Address]holding{relayVIP.Address: {vrid: 51}}, time.Now().Add(-time.Hour))
		claim := relayClaim
		claim.MAC = netif.MAC{0, 0, 0x5e, 0, 2, last}
		c.claimed(claim)
		if got, want := len(c.seen), int(last-51); got != want {
			t.Errorf("claim of %v: %d conflicts, want %d", claim.MAC, got, want)
		}
	}
}

// TestConflictsOfOneHostAreOneLine: a host that was left with all VIPs is one
// story, another host is another.
func TestConflictsOfOneHostAreOneLine(t *testing.T) {
	var all changes
	for host := range byte(2) {
		for n := range byte(200) {
			who := claimant{place{"eth0", netip.AddrFrom4([4]byte{192, 0, 2, n})}, netif.MAC{2, 0, 0, 0, 0, host}}
			all.begun = append(all.begun, who)
		}
	}
	var b strings.Builder
	log := slog.New(slog.NewTextHandler(&b, nil))
	events := 0
	all.tell(func(level slog.Level, message string, _ Event, arguments ...any) {
		log.Log(t.Context(), level, message, arguments...)
		events++
	})
	for _, want := range []string{"mac=02:00:00:00:00:00", "mac=02:00:00:00:00:01", `vips="192.0.2.0 192.0.2.1 192.0.2.2 192.0.2.3 and 196 more"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines != 2 || events != 2 {
		t.Errorf("%d lines and %d events, want one of each for each host", lines, events)
	}
}

// TestConflictsAreBounded: whoever invents hardware addresses fills no memory.
func TestConflictsAreBounded(t *testing.T) {
	c := newConflicts(nil, slog.New(slog.DiscardHandler), untold, func(netif.Address, time.Duration, time.Time) {})
	past := time.Now().Add(-time.Hour)
	c.hold(map[netif.Address]holding{relayVIP.Address: {}}, past)
	invent := func(n int) {
		claim := relayClaim
		claim.MAC = netif.MAC{2, 0, 0, 0, byte(n >> 8), byte(n)}
		c.claimed(claim)
	}
	for n := range 2 * maxConflicts {
		invent(n)
	}
	if len(c.seen) != maxConflicts {
		t.Fatalf("%d claimants are remembered, want %d", len(c.seen), maxConflicts)
	}
	c.look(time.Now().Add(conflictDelay))
	if got := len(c.status()); got != maxConflicts {
		t.Fatalf("%d conflicts, want %d", got, maxConflicts)
	}
	c.look(time.Now().Add(time.Hour))
	invent(3 * maxConflicts)
	c.look(time.Now().Add(2 * conflictDelay))
	last := fmt.Sprint(netif.MAC{2, 0, 0, 0, 3, 0})
	found := false
	for _, status := range c.status() {
		found = found || status.MAC == last && !status.Ended
	}
	if len(c.seen) != maxConflicts || !found {
		t.Errorf("a new conflict takes the place of an old one that has ended: %d, found %v", len(c.seen), found)
	}
}

func TestAnnouncementsAreBatched(t *testing.T) {
	type sent struct {
		ifname string
		addrs  string
		count  int
	}
	batches := make(chan sent, 10)
	a := newAnnouncer(func(ifname string, addrs []netip.Addr, count int) error {
		batches <- sent{ifname, fmt.Sprint(addrs), count}
		return nil
	}, slog.New(slog.DiscardHandler))
	now := time.Now()
	garp := holding{garp: relayConfig().VRRP[0].GARP}
	a.hold(map[netif.Address]holding{
		netif.HostAddress("eth0", vipNumber(1)): garp,
		netif.HostAddress("eth0", vipNumber(0)): garp,
		netif.HostAddress("eth1", vipNumber(2)): garp,
	}, now)
	// Every VIP is told of once before any is for the second time.
	for _, count := range []int{1, 4} {
		wait := a.sendDue(now)
		got := Set[sent]{}
		for len(batches) > 0 {
			got.Add(<-batches)
		}
		want := SetOf(sent{"eth0", "[192.0.2.100 192.0.2.101]", count}, sent{"eth1", "[192.0.2.102]", count})
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(sent{})); diff != "" {
			t.Errorf("announced (-want +got):\n%s", diff)
		}
		if count == 1 {
			now = now.Add(wait)
		}
	}
	a.again(netif.HostAddress("eth0", vipNumber(1)), time.Second, now)
	if wait := a.sendDue(now); len(batches) != 0 || wait != time.Second {
		t.Errorf("again at once: %d batches, next in %v", len(batches), wait)
	}
	a.sendDue(now.Add(time.Second))
	if one := <-batches; one != (sent{"eth0", "[192.0.2.101]", 5}) {
		t.Errorf("again: %v", one)
	}
}

// untold is for conflicts that nobody is told of.
func untold(slog.Level, string, Event, ...any) {}
