package vrrp_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// node is a Router at work on a LAN in memory.
type node struct {
	*vrrp.Router
	addr   netip.Addr
	config vrrp.Config
	cancel context.CancelFunc
	done   chan error

	mu   sync.Mutex
	seen []vrrp.Transition
}

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }

// config is that of host i: priority 100 and an interval of 1s.
func config(i int, change ...func(*vrrp.Config)) vrrp.Config {
	c := vrrp.Config{
		Name: fmt.Sprint("host ", i), Version: vrrp.V3, VRID: 51, Priority: 100, Interval: time.Second, Preempt: true,
		Source: addr(i), VIPs: []netip.Addr{addr(100), addr(101)},
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func priority(p uint8) func(*vrrp.Config) { return func(c *vrrp.Config) { c.Priority = p } }

// start runs a Router until the test ends.
func start(t *testing.T, lan *vrrptest.LAN, c vrrp.Config, change ...func(*node, *vrrp.RouterConfig)) *node {
	t.Helper()
	n := &node{addr: c.Source, config: c, done: make(chan error, 1)}
	rc := vrrp.RouterConfig{Config: c, Interface: "eth0", Observe: n.observe, Dial: lan.Dial(c.Source)}
	for _, f := range change {
		f(n, &rc)
	}
	var err error
	if n.Router, err = vrrp.NewRouter(rc); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	go func() { n.done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		synctest.Wait()
	})
	synctest.Wait()
	return n
}

func resume(_ *node, c *vrrp.RouterConfig) { c.Resume = true }

func (n *node) observe(tr vrrp.Transition) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.Status(); s.Role != tr.To || !s.Since.Equal(tr.At) {
		panic("status lags behind the transition")
	}
	n.seen = append(n.seen, tr)
}

// roles is the history so far: "INITIALIZE BACKUP MASTER".
func (n *node) roles() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []string{vrrp.Initialize.String()}
	for _, tr := range n.seen {
		if all[len(all)-1] != tr.From.String() {
			all = append(all, "?", tr.From.String())
		}
		all = append(all, tr.To.String())
	}
	return strings.Join(all, " ")
}

func (n *node) last() vrrp.Transition {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen[len(n.seen)-1]
}

// crash ends the process without a word, as SIGKILL does.
func (n *node) crash() {
	n.Detach()
	synctest.Wait()
}

func sleep(d time.Duration) {
	<-time.After(d) // the bubble's time
	synctest.Wait()
}

func wantRoles(t *testing.T, n *node, want string) {
	t.Helper()
	if got := n.roles(); got != "INITIALIZE "+want {
		t.Errorf("%s: %s, want INITIALIZE %s", n.config.Name, got, want)
	}
}

func TestElection(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4} {
		synctest.Test(t, func(t *testing.T) {
			lan, began := vrrptest.New(), time.Now()
			var nodes []*node
			for i := range size {
				nodes = append(nodes, start(t, lan, config(i+1, priority(uint8(50+i)))))
			}
			sleep(time.Minute)
			best := nodes[size-1]
			for _, n := range nodes[:size-1] {
				wantRoles(t, n, "BACKUP")
				if s := n.Status(); s.Master != best.addr || s.MasterPriority != best.config.Priority || s.Received < 50 {
					t.Errorf("of %d, a backup's status: %+v", size, s)
				}
			}
			wantRoles(t, best, "BACKUP MASTER")
			took := best.last().At.Sub(began)
			if want := best.config.MasterDownInterval(); took != want {
				t.Errorf("of %d, master after %v, want %v", size, took, want)
			}
			s := best.Status()
			if s.Role != vrrp.Master || s.Master != best.addr || s.Reason != vrrp.ReasonMasterDown || s.Received != 0 ||
				s.Sent != 57 || s.MasterTransitions != 1 || s.Transitions != 2 || !s.LastSent.After(began) {
				t.Errorf("of %d, the master's status: %+v", size, s)
			}
		})
	}
}

// Adverts leave exactly one interval apart.
func TestAdvertTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		c := config(1, func(c *vrrp.Config) { c.Interval = 30 * time.Millisecond })
		start(t, lan, c)
		sleep(time.Minute)
		sent := lan.Sent()
		if len(sent) < 1900 {
			t.Fatalf("%d adverts", len(sent))
		}
		for i := range sent[1:] {
			if gap := sent[i+1].At.Sub(sent[i].At); gap != c.Interval {
				t.Fatalf("advert %d comes %v after the one before", i+1, gap)
			}
		}
	})
}

func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		lastAdvert := lan.Sent()[len(lan.Sent())-1].At
		a.crash()
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP MASTER")
		if took, want := b.last().At.Sub(lastAdvert), b.config.MasterDownInterval(); took != want {
			t.Errorf("took over %v after the last advert, want %v", took, want)
		}
	})
}

func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b, c := start(t, lan, config(1, priority(200))), start(t, lan, config(2)), start(t, lan, config(3, priority(50)))
		sleep(10 * time.Second)
		stopped := time.Now()
		a.cancel()
		synctest.Wait()
		if err := <-a.done; err != nil {
			t.Errorf("Run: %v", err)
		}
		wantRoles(t, a, "BACKUP MASTER INITIALIZE")
		last := lan.Sent()[len(lan.Sent())-1]
		if last.From != a.addr || last.Message[2] != 0 || !last.At.Equal(stopped) {
			t.Errorf("last word: %+v", last)
		}
		if s := a.Status(); s.ZeroSent != 1 || s.Role != vrrp.Initialize {
			t.Errorf("status: %+v", s)
		}
		sleep(5 * time.Second)
		wantRoles(t, b, "BACKUP MASTER")
		if took := b.last().At.Sub(stopped); took != 609375*time.Microsecond || b.last().Reason != vrrp.ReasonMasterLeft {
			t.Errorf("handed over in %v: %v", took, b.last().Reason)
		}
		if s := b.Status(); s.ZeroReceived != 1 {
			t.Errorf("status: %+v", s)
		}
		before := len(lan.Sent())
		c.cancel()
		synctest.Wait()
		wantRoles(t, c, "BACKUP INITIALIZE")
		if len(lan.Sent()) != before {
			t.Error("a backup said something when it stopped")
		}
	})
}

// A restart: the old process leaves without a word, the new one goes on.
func TestDetachAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		a.crash()
		if err := <-a.done; err != nil {
			t.Errorf("Run: %v", err)
		}
		sleep(2 * time.Second)
		again := time.Now()
		a2 := start(t, lan, a.config, resume)
		wantRoles(t, a2, "MASTER")
		if last := lan.Sent()[len(lan.Sent())-1]; last.From != a.addr || !last.At.Equal(again) || last.Message[2] != 200 {
			t.Errorf("first word: %+v", last)
		}
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, a2, "MASTER")
		wantRoles(t, b, "BACKUP")
	})
}

// To resume on an interface that is down is to start anew.
func TestResumeWithoutInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		lan.Down(addr(1))
		a := start(t, lan, config(1), resume)
		sleep(3 * time.Second)
		wantRoles(t, a, "FAULT")
		lan.Raise(addr(1))
		sleep(2 * time.Second)
		wantRoles(t, a, "FAULT BACKUP")
	})
}

func TestUnicast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		peers := func(i ...int) func(*vrrp.Config) {
			return func(c *vrrp.Config) {
				for _, p := range i {
					c.Peers = append(c.Peers, addr(p))
				}
			}
		}
		a := start(t, lan, config(1, priority(200), peers(2, 3)))
		b := start(t, lan, config(2, peers(1, 3)))
		c := start(t, lan, config(3, priority(50), peers(2))) // does not know a
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
		wantRoles(t, c, "BACKUP MASTER")
		if n := c.Status().Discarded[vrrp.UnknownSource]; n != 7 {
			t.Errorf("%d discarded from an unknown source", n)
		}
	})
}

func TestSetPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		a.SetPriority(50)
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER BACKUP")
		wantRoles(t, b, "BACKUP MASTER")
		if s := a.Status(); s.Priority != 50 || s.Reason != vrrp.ReasonHigherPriority || s.Detail != "10.0.0.2 with priority 100" {
			t.Errorf("status: %+v", s)
		}
	})
}

// What is not an advert of this router is counted by reason and changes nothing.
func TestDiscards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1))
		sleep(10 * time.Second)
		good := func(change ...func(*vrrp.Advert)) []byte {
			adv := vrrp.Advert{
				Version: vrrp.V3, VRID: 51, Priority: 255, Interval: time.Second,
				Addresses: []netip.Addr{addr(100), addr(101)},
			}
			for _, f := range change {
				f(&adv)
			}
			b, err := adv.Append(nil, addr(9), vrrp.Group)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		broken := good()
		broken[7]++
		lan.Inject(addr(9), vrrp.Group, 254, good())
		lan.Inject(addr(9), vrrp.Group, 255, broken)
		lan.Inject(addr(9), vrrp.Group, 255, broken)
		lan.Inject(addr(9), vrrp.Group, 255, nil)
		lan.Inject(addr(9), vrrp.Group, 255, good(func(a *vrrp.Advert) { a.VRID = 52 }))
		lan.Inject(addr(9), vrrp.Group, 255, good(func(a *vrrp.Advert) { a.Version = vrrp.V2 }))
		lan.Inject(addr(9), vrrp.Group, 255, good(func(a *vrrp.Advert) { a.Interval = 0 }))
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		want := map[vrrp.Discard]uint64{
			vrrp.BadTTL: 1, vrrp.BadChecksum: 2, vrrp.BadLength: 1, vrrp.OtherVRID: 1, vrrp.BadVersion: 1, vrrp.ZeroInterval: 1,
		}
		s := a.Status()
		if diff := cmp.Diff(want, s.Discarded); diff != "" || s.Received != 0 {
			t.Errorf("%d received; discarded (-want +got):\n%s", s.Received, diff)
		}

		lan.Inject(addr(9), vrrp.Group, 255, good(func(a *vrrp.Advert) { a.Addresses, a.Interval = a.Addresses[:1], 2*time.Second }))
		synctest.Wait()
		wantRoles(t, a, "BACKUP MASTER BACKUP")
		if s := a.Status(); s.Received != 1 || s.OtherAddresses != 1 || s.OtherInterval != 1 || s.Master != addr(9) {
			t.Errorf("status: %+v", s)
		}
	})
}

// A flood does not delay a master's adverts, nor keep orders waiting.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1))
		sleep(10 * time.Second)
		lan.Stop(a.addr)
		sleep(1500 * time.Millisecond)
		for range 5000 {
			lan.Inject(addr(9), vrrp.Group, 255, []byte("no advert at all"))
		}
		before := len(lan.Sent())
		discardedAtSend := uint64(0)
		lan.Tap(func(vrrptest.Frame) { discardedAtSend = a.Status().Discarded[vrrp.OtherVRID] })
		lan.Continue(a.addr)
		synctest.Wait()
		if len(lan.Sent()) != before+1 || discardedAtSend > 64 {
			t.Errorf("%d adverts, after %d of the flood", len(lan.Sent())-before, discardedAtSend)
		}
		if n := a.Status().Discarded[vrrp.OtherVRID]; n != 5000 {
			t.Errorf("%d of the flood discarded", n)
		}
	})
}

// Orders given in any number never block the one who gives them, Run running or
// not.
func TestOrdersDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a := start(t, lan, config(1))
		lan.Stop(a.addr)
		sleep(time.Second)
		for range 1000 {
			a.SetFault("x", "y")
			a.SetPriority(7)
			a.ClearFault("x")
			if err := a.Reconfigure(config(1, priority(90))); err != nil {
				t.Fatal(err)
			}
			_ = a.Status()
		}
		lan.Continue(a.addr)
		sleep(10 * time.Second)
		if s := a.Status(); s.Role != vrrp.Master || s.Priority != 7 {
			t.Errorf("status: %+v", s)
		}
	})
}
