package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// group are nodes in virtual time.
type group struct {
	*wires
	nodes     []*node
	addresses []netip.Addr
}

func newGroup(count int) *group {
	g := &group{wires: newWires()}
	for i := range count {
		g.nodes = append(g.nodes, newNode(nameOf(i), g.wires))
		g.addresses = append(g.addresses, netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}))
	}
	return g
}

func (g *group) cluster(i int) *config.Cluster { return clusterOf(nameOf(i), g.addresses) }

func (g *group) start(t *testing.T) {
	for i, n := range g.nodes {
		n.run(t, g.cluster(i))
	}
	synctest.Wait()
}

func (g *group) stop() {
	for _, n := range g.nodes {
		n.end()
	}
}

// advance lets virtual time pass and waits until all that it brought is done.
func advance(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestNodesSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(3)
		if got := g.nodes[0].channel.Nodes(); got == nil || len(got) != 0 {
			t.Errorf("before Run: %v", got)
		}
		g.start(t)
		advance(4 * time.Second)
		g.nodes[1].change(func(n *node) { n.report.Roles = map[string]string{"VI_1": "master"} })
		advance(4 * time.Second)
		got := g.nodes[0].channel.Nodes()
		if len(got) != 2 || got[0].Name != "b" || got[1].Name != "c" {
			t.Fatalf("a knows %+v", got)
		}
		b := got[0]
		if !b.Reachable || b.Error != "" || b.Address != "192.0.2.2" || b.Roles["VI_1"] != "master" || time.Since(b.Last) > 3*time.Second {
			t.Errorf("a knows of b: %+v", b)
		}
		if got[1].Roles["VI_1"] != "backup" {
			t.Errorf("a knows of c: %+v", got[1])
		}
		want := []string{
			"info node.up down>up: node b (192.0.2.2) answers",
			"info node.up down>up: node c (192.0.2.3) answers",
		}
		events := g.nodes[0].takeEvents()
		slices.Sort(events)
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("events of a (-want +got):\n%s", diff)
		}
		// One connection to each is enough for all of that.
		if dialed := g.takeDialed(g.addresses[1]); len(dialed) > 4 {
			t.Errorf("b was connected to %d times by two nodes", len(dialed))
		}
		g.stop()
	})
}

// TestDown: a node is down when it has missed three polls, is asked less and less
// often, and is up again as soon as it asks itself.
func TestDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a, b := g.nodes[0], g.nodes[1]
		g.start(t)
		advance(10 * time.Second)
		a.takeEvents()
		b.end()
		g.takeDialed(g.addresses[1])
		began := time.Now()
		for missed := 1; missed <= downAfter; missed++ {
			for g.countDialed(g.addresses[1]) < missed {
				advance(10 * time.Millisecond)
			}
			if now := a.other("b"); now.Reachable != (missed < downAfter) || now.Error != "connection refused" || now.Roles == nil {
				t.Errorf("after %d polls that it missed: %+v", missed, now)
			}
		}
		advance(5 * time.Minute)
		want := []string{"warning node.down up>down: node b (192.0.2.2) does not answer: connection refused"}
		if diff := cmp.Diff(want, a.takeEvents()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		if told := a.log.count("node does not answer"); told != 1 {
			t.Errorf("logged %d times:\n%s", told, a.log)
		}
		wantPauses(t, began, g.takeDialed(g.addresses[1]))

		b.run(t, g.cluster(1))
		synctest.Wait()
		advance(500 * time.Millisecond)
		if now := a.other("b"); !now.Reachable || now.Error != "" {
			t.Errorf("b is back and asks, but a does not ask it: %+v", now)
		}
		g.stop()
	})
}

// wantPauses checks the times of polls that nobody answered.
func wantPauses(t *testing.T, began time.Time, dialed []time.Time) {
	t.Helper()
	want := []time.Duration{2, 2, 4, 8, 16, 30, 30, 30}
	if len(dialed) < len(want)+1 {
		t.Fatalf("asked at %v", dialed)
	}
	if first := dialed[0].Sub(began); first > 2200*time.Millisecond {
		t.Errorf("asked first after %v", first)
	}
	if dialed[2].Sub(dialed[1]) == dialed[1].Sub(dialed[0]) {
		t.Error("the pauses are the same to the nanosecond: nodes would ask in step")
	}
	for i, pause := range want {
		pause *= time.Second
		if got := dialed[i+1].Sub(dialed[i]); got < pause*9/10 || got > pause*11/10 {
			t.Errorf("pause %d is %v, want %v within a tenth", i, got, pause)
		}
	}
}

// TestNeverHeard: a node that was down from the start is told of once, too.
func TestNeverHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		g.separate(g.addresses[0], g.addresses[1], true)
		a := g.nodes[0]
		a.run(t, g.cluster(0))
		synctest.Wait()
		if now := a.other("b"); now.Reachable || now.Error != "not heard from yet" {
			t.Errorf("at first: %+v", now)
		}
		advance(time.Minute)
		want := []string{"warning node.down up>down: node b (192.0.2.2) does not answer: no answer in time"}
		if diff := cmp.Diff(want, a.takeEvents()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		a.end()
	})
}

func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(3)
		a, b, c := g.nodes[0], g.nodes[1], g.nodes[2]
		if told, untold := a.order(t.Context(), "192.0.2.11:80", director.Drain, time.Now()); told != nil || untold != nil {
			t.Errorf("before Run: %v %v", told, untold)
		}
		g.start(t)
		advance(5 * time.Second)
		began := time.Now()
		told, untold := a.order(t.Context(), "192.0.2.12:80", director.Drain, time.Now())
		if !slices.Equal(told, []string{"b", "c"}) || len(untold) != 0 || time.Since(began) > 0 {
			t.Errorf("told %v, not %v, in %v", told, untold, time.Since(began))
		}
		if len(b.Overrides()) != 2 || len(c.Overrides()) != 2 {
			t.Errorf("b has %v, c has %v", b.Overrides(), c.Overrides())
		}

		// What the other knows more is fetched without waiting for the next poll.
		_, _ = b.Merge(t.Context(), []director.Override{{Target: director.Target{Service: "dns"}, State: director.Drain, Node: "b", At: time.Now()}})
		a.order(t.Context(), "192.0.2.12:80", director.Disabled, time.Now())
		advance(500 * time.Millisecond)
		if have := len(a.Overrides()); have != 3 {
			t.Errorf("a has %v", a.Overrides())
		}

		// One that cannot be reached keeps an order up for a while only, a little
		// while if that is known, and learns of it later.
		g.separate(g.addresses[0], g.addresses[2], true)
		g.separate(g.addresses[1], g.addresses[2], true)
		for _, most := range []time.Duration{4 * time.Second, time.Second} {
			began = time.Now()
			told, untold = a.order(t.Context(), "192.0.2.13:80", director.Disabled, time.Now())
			want := map[string]string{"c": "no answer in time"}
			if diff := cmp.Diff(want, untold); diff != "" || !slices.Equal(told, []string{"b"}) || time.Since(began) > most {
				t.Errorf("told %v in %v, untold (-want +got):\n%s", told, time.Since(began), diff)
			}
			advance(time.Minute)
		}
		// A caller who gives up is answered at once.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		began = time.Now()
		if _, untold = a.order(ctx, "192.0.2.14:80", director.Drain, time.Now()); untold["c"] == "" || time.Since(began) > 10*time.Millisecond {
			t.Errorf("in %v: %v", time.Since(began), untold)
		}
		cancel()
		g.separate(g.addresses[0], g.addresses[2], false)
		advance(33 * time.Second)
		if diff := cmp.Diff(a.Overrides(), c.Overrides()); diff != "" {
			t.Errorf("a and c (-a +c):\n%s", diff)
		}
		g.stop()
		if told, untold := a.order(t.Context(), "192.0.2.15:80", director.Drain, time.Now()); told != nil || untold != nil {
			t.Errorf("after Run: %v %v", told, untold)
		}
	})
}

// TestSpreadOfAnEarlierOrder: a node that keeps its later one is not told, nor one that
// does not keep any.
func TestSpreadOfAnEarlierOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a, b := g.nodes[0], g.nodes[1]
		g.start(t)
		advance(5 * time.Second)
		o := director.Override{Target: director.Target{Service: "web", Server: "192.0.2.11:80"}, State: director.Drain, Node: "b", At: time.Now()}
		_, _ = b.Merge(t.Context(), []director.Override{o})
		told, untold := a.order(t.Context(), o.Target.Server, director.Disabled, o.At.Add(-time.Second))
		if len(told) != 0 || !strings.Contains(untold["b"], "a later order about 192.0.2.11:80 in web, given on b") {
			t.Errorf("told %v, not %v", told, untold)
		}
		b.change(func(n *node) { n.deaf = true })
		told, untold = a.order(t.Context(), "192.0.2.12:80", director.Drain, time.Now())
		if len(told) != 0 || !strings.Contains(untold["b"], "does not take the order about 192.0.2.12:80") {
			t.Errorf("told %v, not %v", told, untold)
		}
		g.stop()
	})
}

// TestAgreed is told when both know the same, and not before.
func TestAgreed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a, b := g.nodes[0], g.nodes[1]
		_, _ = b.Merge(t.Context(), []director.Override{{Target: director.Target{Service: "dns"}, State: director.Drain, Node: "b", At: time.Now()}})
		a.change(func(n *node) { n.refuses = errors.New("no space left on device") })
		agreed := func() (count int) {
			a.change(func(n *node) { count = n.agreed })
			return count
		}
		g.start(t)
		advance(5 * time.Second)
		if agreed() != 0 {
			t.Error("a agrees, and has not taken in what b knows")
		}
		a.change(func(n *node) { n.refuses = nil })
		advance(5 * time.Second)
		if agreed() == 0 {
			t.Error("a does not agree")
		}
		g.stop()
	})
}

// TestNodesThatRefuseEachOther ask no more often for that: each is asked when it asks.
func TestNodesThatRefuseEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		for i, names := range [][]string{{"a", "b"}, {"x", "y"}} { // they call each other otherwise
			c := g.cluster(i)
			c.Self, c.Nodes = names[i], map[string]netip.Addr{names[0]: g.addresses[0], names[1]: g.addresses[1]}
			g.nodes[i].run(t, c)
		}
		advance(time.Minute)
		for _, n := range g.nodes {
			n.change(func(n *node) {
				if n.asked > 30 { // each once or twice in 2 s, and then less and less often
					t.Errorf("%s was asked %d times", n.name, n.asked)
				}
			})
		}
		g.stop()
	})
}

// TestNudgesAreBounded: whoever nudges, a node is not asked without a pause.
func TestNudgesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a, b := g.nodes[0], g.nodes[1]
		g.start(t)
		for range 1000 {
			advance(10 * time.Millisecond)
			a.channel.session().peers[0].nudge()
		}
		b.change(func(n *node) {
			if n.asked > 40 { // 20 by a each 0.5 s, and what b asks itself
				t.Errorf("b was asked %d times", n.asked)
			}
		})
		g.stop()
	})
}

// TestConvergence: whoever was cut off from whom when orders were given, whatever the
// clocks, the nodes agree once there is a way between them.
func TestConvergence(t *testing.T) {
	for seed := range uint64(16) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { convergence(t, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func convergence(t *testing.T, chance *rand.Rand) {
	count := 2 + chance.IntN(3)
	g := newGroup(count)
	g.start(t)
	epoch := time.Now()
	states := []director.AdminState{director.Drain, director.Disabled, director.Enabled}
	for range 10 {
		i, j := chance.IntN(count), chance.IntN(count)
		switch chance.IntN(4) {
		case 0:
			g.separate(g.addresses[i], g.addresses[j], i != j)
		case 1:
			g.separate(g.addresses[i], g.addresses[j], false)
		default: // the clocks of the nodes are hours apart
			at := epoch.Add(time.Duration(chance.IntN(5)) * time.Hour)
			g.nodes[i].order(t.Context(), fmt.Sprint("192.0.2.", chance.IntN(3)), states[chance.IntN(3)], at)
		}
		advance(rand.N(5 * time.Second))
	}
	// A way by way of others is enough: the nodes are in a row.
	for i := range count {
		for j := range i {
			g.separate(g.addresses[i], g.addresses[j], j != i-1)
		}
	}
	advance(time.Minute)
	for _, n := range g.nodes[1:] {
		if diff := cmp.Diff(g.nodes[0].Overrides(), n.Overrides()); diff != "" {
			t.Errorf("a and %s do not agree (-a +%s):\n%s", n.name, n.name, diff)
		}
	}
	g.stop()
}

// TestNoBodiesAtRest: where all know the same, overrides are not sent.
func TestNoBodiesAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		g.start(t)
		advance(time.Second)
		g.nodes[0].order(t.Context(), "192.0.2.11:80", director.Drain, time.Now())
		advance(5 * time.Second)
		g.nodes[1].change(func(n *node) { n.refuses = errors.New("asked to merge") })
		advance(time.Minute)
		if got := g.nodes[0].other("b"); !got.Reachable || got.Error != "" {
			t.Errorf("overrides were sent again: %+v", got)
		}
		g.stop()
	})
}

// TestMergeFails: a node that cannot take overrides in answers all the same, is told
// of once, and takes them in later.
func TestMergeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a, b := g.nodes[0], g.nodes[1]
		b.change(func(n *node) { n.refuses = errors.New("no space left on device") })
		g.start(t)
		advance(5 * time.Second)
		_, untold := a.order(t.Context(), "192.0.2.11:80", director.Drain, time.Now())
		if want := "it refuses: 500 no space left on device"; untold["b"] != want {
			t.Errorf("untold %v, want %q", untold, want)
		}
		advance(time.Minute)
		want := "overrides not exchanged: it refuses: 500 no space left on device"
		if now := a.other("b"); !now.Reachable || now.Error != want {
			t.Errorf("a knows of b: %+v", now)
		}
		if now := b.other("a"); !now.Reachable || now.Error != "overrides not exchanged: no space left on device" {
			t.Errorf("b knows of a: %+v", now)
		}
		if told := a.log.count("overrides not exchanged"); told != 1 {
			t.Errorf("logged %d times:\n%s", told, a.log)
		}
		b.change(func(n *node) { n.refuses = nil })
		advance(3 * time.Second)
		if diff := cmp.Diff(a.Overrides(), b.Overrides()); diff != "" || a.other("b").Error != "" {
			t.Errorf("later: %+v (-a +b):\n%s", a.other("b"), diff)
		}
		g.stop()
	})
}

func TestDiffers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a, b := g.nodes[0], g.nodes[1]
		g.start(t)
		advance(5 * time.Second)
		a.takeEvents()
		expect := func(want ...string) {
			t.Helper()
			if diff := cmp.Diff(want, a.takeEvents()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		}
		set := func(version, hash string) {
			b.change(func(n *node) { n.report.Version, n.report.ConfigHash = version, hash })
		}
		// Who reloads one after the other is left in peace.
		set("1.0", "0badf00d")
		advance(25 * time.Second)
		set("1.0", "00c0ffee")
		advance(25 * time.Second)
		expect()
		set("1.0", "0badf00d")
		advance(35 * time.Second)
		expect("warning node.differs same>differs: node b differs: configuration 0badf00d, this node has 00c0ffee")
		set("1.1", "0badf00d")
		advance(time.Hour)
		expect()
		set("1.0", "00c0ffee")
		advance(5 * time.Second)
		expect("info node.differs differs>same: node b has the version and configuration of this one again")
		set("1.0", "0badf00d")
		advance(25 * time.Second)
		set("1.0", "00c0ffee")
		advance(25 * time.Second)
		expect()
		set("1.1", "") // it does not tell
		advance(time.Minute)
		expect("warning node.differs same>differs: node b differs: version 1.1, this node has 1.0")
		g.stop()
	})
}

// TestAddressComesLater: at boot the own address may not be there yet.
func TestAddressComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		a := g.nodes[0]
		g.absent[g.addresses[0]] = true
		g.start(t)
		advance(20 * time.Second)
		if now := a.other("b"); now.Reachable || now.Error != "this node does not have its own address 192.0.2.1" {
			t.Errorf("without an address: %+v", now)
		}
		g.mu.Lock()
		delete(g.absent, g.addresses[0])
		g.mu.Unlock()
		advance(40 * time.Second)
		if now, back := a.other("b"), g.nodes[1].other("a"); !now.Reachable || !back.Reachable {
			t.Errorf("with an address: %+v, %+v", now, back)
		}
		if told := a.log.count("cannot listen"); told != 1 {
			t.Errorf("logged %d times:\n%s", told, a.log)
		}
		g.stop()
	})
}

// TestPortComesLater: a predecessor may still have the port.
func TestPortComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(2)
		before, err := g.listen(t.Context(), netip.AddrPortFrom(g.addresses[0], 9468))
		if err != nil {
			t.Fatal(err)
		}
		g.start(t)
		advance(3500 * time.Millisecond)
		_ = before.Close()
		advance(time.Minute)
		if err := g.nodes[1].sees("a"); err != nil {
			t.Error(err)
		}
		g.stop()
	})
}

// TestSpreadEndsWithRun: nobody who gives an order holds up a reload.
func TestSpreadEndsWithRun(t *testing.T) {
	for name, hinder := range map[string]func(g *group){
		"cannot be reached": func(g *group) { g.separate(g.addresses[0], g.addresses[1], true) },
		"does not answer":   func(g *group) { g.nodes[1].change(func(n *node) { n.hangs = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { spreadEndsWithRun(t, hinder) })
		})
	}
}

func spreadEndsWithRun(t *testing.T, hinder func(*group)) {
	g := newGroup(2)
	a := g.nodes[0]
	g.start(t)
	advance(5 * time.Second)
	hinder(g)
	began := time.Now()
	answered := make(chan map[string]string)
	go func() {
		_, untold := a.order(t.Context(), "192.0.2.11:80", director.Drain, time.Now())
		answered <- untold
	}()
	synctest.Wait()
	a.end()
	if untold := <-answered; untold["b"] != "not waited for" || time.Since(began) > 0 {
		t.Errorf("after %v: %v", time.Since(began), untold)
	}
	synctest.Wait()
	g.mu.Lock()
	if g.dialing[g.addresses[0]] > 0 {
		t.Error("it still tries to reach b")
	}
	g.mu.Unlock()
	g.stop()
}

// TestRunAgain: a changed configuration is no reason to forget who stayed, nor to
// remember who went.
func TestRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(3)
		a := g.nodes[0]
		g.start(t)
		advance(5 * time.Second)
		a.takeEvents()
		a.end()
		if got := a.channel.Nodes(); len(got) != 0 {
			t.Errorf("at rest: %+v", got)
		}
		g.addresses = g.addresses[:2]
		c := g.cluster(0)
		c.Interval = time.Second
		a.run(t, c)
		advance(time.Millisecond)
		if got := a.channel.Nodes(); len(got) != 1 || !got[0].Reachable || got[0].Roles == nil {
			t.Errorf("again: %+v", got)
		}
		advance(5 * time.Second)
		if events := a.takeEvents(); len(events) != 0 {
			t.Errorf("nothing happened, but %v", events)
		}
		a.end()
		g.addresses[1] = netip.MustParseAddr("192.0.2.99")
		a.run(t, g.cluster(0))
		synctest.Wait()
		if now := a.other("b"); now.Reachable || now.Roles != nil {
			t.Errorf("b at another address: %+v", now)
		}
		a.end()
		a.run(t, nil)
		synctest.Wait()
		if got := a.channel.Nodes(); len(got) != 0 {
			t.Errorf("without a cluster: %+v", got)
		}
		g.stop()
	})
}

// TestCannotListen: what does not pass by itself ends Run with an error.
func TestCannotListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode("a", tcp{})
		c := clusterOf("a", []netip.Addr{netip.MustParseAddr("fe80::1")})
		err := n.channel.Run(t.Context(), c) // a link-local address without a link
		if err == nil || !strings.Contains(err.Error(), "cluster: listen on [fe80::1]:9468") {
			t.Errorf("Run: %v", err)
		}
	})
}
