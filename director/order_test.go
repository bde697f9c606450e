package director

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

var (
	relay1 = Target{Service: "smtp", Server: "192.0.2.1:25"}
	relay2 = Target{Service: "smtp", Server: "192.0.2.2:25"}
)

func weighs(n int) *int { return &n }

// weights are those of the kernel's real servers in the first service, by address.
func (n *node) weights() map[string]int {
	all := map[string]int{}
	for _, server := range n.kernel.now().Services[n.config.Services[0].IPVS.ServiceKey].RealServers {
		all[server.Address.String()] = server.Weight
	}
	return all
}

func (n *node) wantWeights(one, two int) {
	n.t.Helper()
	want := map[string]int{}
	for address, weight := range map[string]int{relay1.Server: one, relay2.Server: two} {
		if weight >= 0 {
			want[address] = weight
		}
	}
	if diff := cmp.Diff(want, n.weights()); diff != "" {
		n.t.Errorf("%v: weights of %s (-want +got):\n%s\n%s", time.Now(), n.address, diff, n.log)
	}
}

func (n *node) order(o Order) Spread {
	n.t.Helper()
	spread, err := n.director.Order(n.t.Context(), o)
	if err != nil {
		n.t.Fatal(err)
	}
	return spread
}

// TestOrderTakesEffectBeforeItReturns, and is undone likewise: nothing is waited for.
func TestOrderTakesEffectBeforeItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Global.Resync = time.Hour
		n.start()
		advance(5 * time.Second)
		began := time.Now()

		spread := n.order(Order{Target: relay1, State: Drain, Reason: "kernel upgrade", By: "root on node1"})
		n.wantWeights(0, 1)
		if o := spread.Override; o.Target != relay1 || o.State != Drain || o.Node != "node1" || !o.At.Equal(began) {
			t.Errorf("%+v stands", o)
		}
		server := n.director.Status().Services[0].RealServers[0]
		if server.State != "up" || server.Admin != Drain || server.Override == nil || server.Override.Reason != "kernel upgrade" {
			t.Errorf("status %+v", server)
		}
		if n.logged("msg=ordered", "state=drain", `reason="kernel upgrade"`, `by="root on node1"`, `target="192.0.2.1:25 in smtp"`) != 1 {
			t.Errorf("the log does not tell once\n%s", n.log)
		}
		n.order(Order{Target: relay1, State: Disabled})
		n.wantWeights(-1, 1)
		n.order(Order{Target: relay1, Weight: weighs(5), State: Enabled})
		n.wantWeights(5, 1)
		if _, err := n.director.Clear(t.Context(), relay1, "root"); err != nil {
			t.Fatal(err)
		}
		n.wantWeights(1, 1)
		if n.logged("order taken back", "by=root") != 1 || len(n.director.Status().Overrides) != 0 {
			t.Errorf("it is not taken back\n%s", n.log)
		}
		if time.Since(began) != 0 {
			t.Errorf("it took %v", time.Since(began))
		}
		n.stop(context.Canceled)
	})
}

// TestOrdersOutliveEverything: each restart and reload finds them.
func TestOrdersOutliveEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.order(Order{Target: relay1, State: Drain})
		for _, cause := range []error{ErrHandOver, context.Canceled} {
			n.stop(cause)
			n.kernel.takeDone()
			n.start()
			advance(5 * time.Second)
			n.wantWeights(0, 1)
			for _, op := range n.kernel.takeDone() {
				if strings.Contains(op, "-r "+relay1.Server) && !strings.Contains(op, "-w 0") {
					t.Errorf("meanwhile: %s", op)
				}
			}
		}
		if err := n.director.Reload(t.Context(), n.config); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		n.wantWeights(0, 1)

		// Without the real server it is kept and means nothing, until that is back.
		without := *n.config
		without.Services = []config.VirtualService{n.config.Services[0]}
		without.Services[0].RealServers = n.config.Services[0].RealServers[1:]
		for _, c := range []*config.Config{&without, n.config} {
			if err := n.director.Reload(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			advance(time.Second)
			if all := n.director.Status().Overrides; len(all) != 1 {
				t.Errorf("overrides %v", all)
			}
		}
		n.wantWeights(0, 1)
		n.stop(context.Canceled)
	})
}

// TestOrderEndsByItself: nothing else happens then.
func TestOrderEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Global.Resync = 24 * time.Hour
		n.start()
		advance(5 * time.Second)
		n.order(Order{Target: relay1, State: Drain, For: time.Minute})
		n.order(Order{Target: relay2, State: Drain, For: 2 * time.Minute})
		advance(time.Minute - time.Millisecond)
		n.wantWeights(0, 0)
		advance(time.Millisecond)
		n.wantWeights(1, 0)
		if n.logged("the time of an order is over", "192.0.2.1:25") != 1 || n.logged("the time of an order is over") != 1 {
			t.Errorf("log:\n%s", n.log)
		}
		n.stop(ErrHandOver)
		advance(2 * time.Minute) // it ends while nobody is there
		n.start()
		advance(5 * time.Second)
		n.wantWeights(1, 1)
		n.stop(context.Canceled)
	})
}

// TestOrderEndsWhileTheKernelIsUnreadable: the loop waits between its tries as ever,
// or no time would pass here, and the order is over as soon as it can be.
func TestOrderEndsWhileTheKernelIsUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		n.order(Order{Target: relay1, State: Drain, For: 3 * time.Second})
		fail := func(err error) {
			n.kernel.mu.Lock()
			defer n.kernel.mu.Unlock()
			n.kernel.unreadable = err
		}
		fail(errInjected)
		advance(10 * time.Second)
		n.wantWeights(0, 1)
		fail(nil)
		advance(time.Second)
		n.wantWeights(1, 1)
		n.stop(context.Canceled)
	})
}

// TestOrderThatCannotBeWrittenDown changes nothing.
func TestOrderThatCannotBeWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		blocked := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(blocked, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		advance(5 * time.Second)
		n.director.OverrideFile = filepath.Join(blocked, "overrides.json")
		if _, err := n.director.Order(t.Context(), Order{Target: relay1, State: Drain}); err == nil {
			t.Error("ordered")
		}
		elsewhere := Override{Target: relay1, State: Drain, Node: "node2", At: time.Now()}
		if changed, err := n.director.Merge(t.Context(), []Override{elsewhere}); changed || err == nil {
			t.Errorf("merged: %v, %v", changed, err)
		}
		advance(5 * time.Second)
		n.wantWeights(1, 1)
		if len(n.director.Overrides()) != 0 {
			t.Errorf("overrides %v", n.director.Overrides())
		}
		n.stop(context.Canceled)
	})
}

// TestDamagedOverrideFile: what may have been drained stays so, until somebody says
// otherwise, over a further restart too; what serves goes on.
func TestDamagedOverrideFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.order(Order{Target: relay1, State: Drain})
		n.stop(ErrHandOver)
		if err := os.WriteFile(n.overrides, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			n.start()
			advance(5 * time.Second)
			n.wantWeights(0, 1)
			if told := n.director.Overrides(); len(told) != 0 {
				t.Errorf("other nodes are told of a guess: %v", told)
			}
			n.stop(ErrHandOver)
		}
		if _, err := os.Stat(n.overrides + ".damaged"); err != nil {
			t.Error(err)
		}
		if n.logged("level=ERROR", "it is not known what was ordered") != 1 {
			t.Errorf("log:\n%s", n.log)
		}
		n.start()
		// What another node knows goes before a guess.
		cleared := Override{Target: relay1, Cleared: true, Node: "node2", At: time.Now().Add(-time.Hour)}
		if changed, err := n.director.Merge(t.Context(), []Override{cleared}); !changed || err != nil {
			t.Errorf("merged: %v, %v", changed, err)
		}
		advance(time.Second)
		n.wantWeights(1, 1)
		n.stop(context.Canceled)
	})
}

// TestDamagedOverrideFileKeepsDisabled: who is not there beside others that serve does
// not come back, nor a service beside others.
func TestDamagedOverrideFileKeepsDisabled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		other := n.config.Services[0]
		other.Name, other.IPVS.Address = "submission", netip.MustParseAddrPort("192.0.2.100:587")
		n.config.Services = append(n.config.Services, other)
		n.start()
		n.order(Order{Target: relay1, State: Disabled})
		n.order(Order{Target: Target{Service: "submission"}, State: Disabled})
		n.wantWeights(-1, 1)
		n.stop(ErrHandOver)
		if err := os.WriteFile(n.overrides, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		advance(5 * time.Second)
		n.wantWeights(-1, 1)
		if _, there := n.kernel.now().Services[other.IPVS.ServiceKey]; there {
			t.Error("the service is back")
		}
		n.order(Order{Target: relay1, State: Enabled})
		if n.director.Status().OverrideTrouble == "" {
			t.Error("something is guessed still, and the status does not tell")
		}
		n.order(Order{Target: Target{Service: "submission"}, State: Enabled})
		n.wantWeights(1, 1)
		if trouble := n.director.Status().OverrideTrouble; trouble != "" {
			t.Errorf("nothing is guessed any more: %s", trouble)
		}
		n.stop(context.Canceled)
	})
}

// TestGuessesEndWithAnotherNodesWord: it knows what was ordered, and nobody takes a
// guess for an order.
func TestGuessesEndWithAnotherNodesWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.order(Order{Target: relay1, State: Drain})
		n.stop(ErrHandOver)
		if err := os.WriteFile(n.overrides, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		advance(5 * time.Second)
		guess := Override{Target: relay2, State: Drain, Node: "node2", At: time.Unix(0, 0)}
		if changed, err := n.director.Merge(t.Context(), []Override{guess}); changed || err != nil {
			t.Errorf("a guess of another node: %v, %v", changed, err)
		}
		n.wantWeights(0, 1)
		n.director.Agreed()
		advance(0)
		n.wantWeights(1, 1)
		if trouble := n.director.Status().OverrideTrouble; trouble != "" {
			t.Errorf("it is known again, and the status tells %q", trouble)
		}
		n.stop(ErrHandOver)
		n.start()
		advance(5 * time.Second)
		n.wantWeights(1, 1)
		n.stop(context.Canceled)
	})
}

// TestOrdersBeforeRun lose nothing that was ordered before this start: the control
// socket and the channel are there first.
func TestOrdersBeforeRun(t *testing.T) {
	for name, enter := range map[string]func(*testing.T, *Director) error{
		"another node's": func(t *testing.T, d *Director) error {
			_, err := d.Merge(t.Context(), []Override{{Target: relay2, Weight: weighs(3), Node: "node2", At: time.Now()}})
			return err
		},
		"an operator's": func(t *testing.T, d *Director) error {
			_, err := d.Order(ended(t), Order{Target: relay2, Weight: weighs(3)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNode(t, vrrptest.New(), 1)
				n.start()
				n.order(Order{Target: relay1, State: Drain})
				n.stop(ErrHandOver)
				n.director = n.new()
				if all := n.director.Overrides(); len(all) != 1 {
					t.Errorf("before it runs it knows of %v", all)
				}
				if err := enter(t, n.director); err != nil {
					t.Fatal(err)
				}
				n.run()
				advance(5 * time.Second)
				n.wantWeights(0, 3)
				n.stop(context.Canceled)
			})
		})
	}
}

// TestForgottenOrdersAreNotTakenInAgain: or the file would be written anew for ever,
// where another node forgets later.
func TestForgottenOrdersAreNotTakenInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		old := Override{Target: relay1, Cleared: true, Node: "node2", At: time.Now().Add(time.Second - overrideMemory)}
		if changed, err := n.director.Merge(t.Context(), []Override{old}); !changed || err != nil {
			t.Errorf("merged: %v, %v", changed, err)
		}
		advance(time.Second)
		if all := n.director.Overrides(); len(all) != 0 {
			t.Errorf("other nodes are told of %v", all)
		}
		n.order(Order{Target: relay2, Weight: weighs(3)}) // which forgets what is old
		if changed, err := n.director.Merge(t.Context(), []Override{old}); changed || err != nil {
			t.Errorf("merged again: %v, %v", changed, err)
		}
		n.stop(context.Canceled)
	})
}

// TestNodesThatWereNotTold are all of the cluster while there is no channel.
func TestNodesThatWereNotTold(t *testing.T) {
	s := newSteps(t, relayConfig())
	s.config.Cluster = &config.Cluster{Self: "node1", Nodes: map[string]netip.Addr{"node1": {}, "node2": {}, "node3": {}}}
	s.Director.Spread = func(context.Context, []Override) ([]string, map[string]string) { return []string{"node3"}, nil }
	spread, err := s.Order(ended(t), Order{Target: relay1, State: Drain})
	if err != nil {
		t.Fatal(err)
	}
	if len(spread.Untold) != 1 || spread.Untold["node2"] == "" {
		t.Errorf("not told: %v", spread.Untold)
	}
}

// TestDamagedOverrideFileLeavesALastServer: that all have weight 0 is no operator's
// will.
func TestDamagedOverrideFileLeavesALastServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		n.order(Order{Target: Target{Service: "smtp"}, State: Drain})
		n.wantWeights(0, 0)
		n.stop(ErrHandOver)
		if err := os.WriteFile(n.overrides, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start()
		advance(5 * time.Second)
		n.wantWeights(1, 1)
		if n.director.Status().OverrideTrouble == "" {
			t.Error("the status does not tell")
		}
		n.stop(context.Canceled)
	})
}

func TestMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.start()
		advance(5 * time.Second)
		drain := Override{Target: relay1, State: Drain, Node: "node2", At: time.Now().Add(time.Hour), By: "root on node2"}
		senseless := Override{Target: relay2, State: "down", Node: "node2", At: time.Now()}
		for first := range 2 { // what is left out comes again with each exchange
			changed, err := n.director.Merge(t.Context(), []Override{senseless, drain})
			if changed != (first == 0) || err != nil {
				t.Errorf("merged: %v, %v", changed, err)
			}
		}
		if n.logged("level=WARN", "orders of another node are left out") != 1 {
			t.Errorf("log:\n%s", n.log)
		}
		advance(0)
		n.wantWeights(0, 1)
		if changed, err := n.director.Merge(t.Context(), []Override{drain}); changed || err != nil {
			t.Errorf("merged again: %v, %v", changed, err)
		}
		// The other node's clock is an hour ahead, and this one's word comes later.
		n.order(Order{Target: relay1, State: Enabled})
		n.wantWeights(1, 1)
		if changed, _ := n.director.Merge(t.Context(), []Override{drain}); changed {
			t.Error("an older override stands again")
		}
		n.stop(context.Canceled)
	})
}

func TestOrderIsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		var spread []Override
		n.spread = func(ctx context.Context, overrides []Override) ([]string, map[string]string) {
			n.wantWeights(0, 1) // here it has taken effect
			spread = overrides
			<-ctx.Done()
			return []string{"node2"}, map[string]string{"node3": "no answer"}
		}
		n.start()
		advance(5 * time.Second)
		got := n.order(Order{Target: relay1, State: Drain})
		if diff := cmp.Diff([]Override{got.Override}, spread, compareStates); diff != "" {
			t.Errorf("spread (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"node2"}, got.Told); diff != "" || got.Untold["node3"] != "no answer" {
			t.Errorf("answer %+v", got)
		}
		n.stop(context.Canceled)
	})
}

// ended is a context that has ended: nothing that waits for the loop waits.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func TestOrderNames(t *testing.T) {
	c := relayConfig()
	c.Services[0].RealServers[1].Host = "relay2.example"
	other := c.Services[0]
	other.Name, other.RealServers = "submission", other.RealServers[:1]
	other.IPVS.Address = netip.AddrPortFrom(other.IPVS.Address.Addr(), 587)
	c.Services = append(c.Services, other)
	s := newSteps(t, c)
	everywhere := []Target{relay1, {Service: "submission", Server: relay1.Server}}
	for name, test := range map[string]struct {
		target Target
		want   []Target
		err    error
		says   string
	}{
		"address and port": {relay1, []Target{relay1}, nil, ""},
		"address":          {Target{Service: "smtp", Server: "192.0.2.1"}, []Target{relay1}, nil, ""},
		"host":             {Target{Service: "smtp", Server: "RELAY2.example"}, []Target{relay2}, nil, ""},
		"all services":     {Target{Server: "192.0.2.1"}, everywhere, nil, ""},
		"service":          {Target{Service: "smtp"}, []Target{{Service: "smtp"}}, nil, ""},
		"this node":        {Target{Node: "node"}, []Target{{Node: "node"}}, nil, ""},
		"beginning":        {Target{Service: "smtp", Server: "relay2"}, nil, ErrUnknownServer, "the beginning of"},
		"typo":             {Target{Service: "smtp", Server: "relay3.example"}, nil, ErrUnknownServer, `nearest is "relay2.example"`},
		"not in there":     {Target{Service: "submission", Server: "192.0.2.2"}, nil, ErrUnknownServer, `which is in "smtp"`},
		"service typo":     {Target{Service: "smpt"}, nil, ErrUnknownService, `nearest is "smtp"`},
		"server's service": {Target{Service: "smpt", Server: "192.0.2.1"}, nil, ErrUnknownService, `nearest is "smtp"`},
		"another node":     {Target{Node: "node9"}, nil, ErrUnknownNode, `this one is "node"`},
		"nothing":          {Target{}, nil, ErrBadOrder, "no target"},
		"node and service": {Target{Node: "node", Service: "smtp"}, nil, ErrBadOrder, "want one of them"},
	} {
		t.Run(name, func(t *testing.T) {
			spread, err := s.Order(ended(t), Order{Target: test.target, State: Drain})
			if !errors.Is(err, test.err) || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Fatalf("%v, want %v: %s", err, test.err, test.says)
			}
			var got []Target
			for _, o := range s.Director.overridesNow().inForce(time.Now()) {
				got = append(got, o.Target)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ordered (-want +got):\n%s", diff)
			}
			if len(got) > 0 && spread.Override.Target != got[0] {
				t.Errorf("told of %v", spread.Override.Target)
			}
			if _, err := s.Clear(ended(t), test.target, ""); !errors.Is(err, test.err) {
				t.Errorf("clear: %v", err)
			}
			if left := s.Director.overridesNow().inForce(time.Now()); len(left) != 0 {
				t.Errorf("after clear there is %v", left)
			}
		})
	}
}

// TestOrderKeepsWhatItDoesNotName: and what two orders want has one end.
func TestOrderKeepsWhatItDoesNotName(t *testing.T) {
	hour := noon.Add(time.Hour)
	for name, test := range map[string]struct {
		standing Override
		order    Order
		want     Override
		bad      bool
	}{
		"drain":                     {Override{}, Order{State: Drain}, Override{State: Drain}, false},
		"drain with a weight":       {Override{Weight: weighs(3)}, Order{State: Drain}, Override{State: Drain, Weight: weighs(3)}, false},
		"weight while drained":      {Override{State: Drain}, Order{Weight: weighs(3)}, Override{State: Drain, Weight: weighs(3)}, false},
		"another weight for longer": {Override{Weight: weighs(3), Until: noon}, Order{Weight: weighs(4), For: time.Hour}, Override{Weight: weighs(4), Until: hour}, false},
		"enable":                    {Override{State: Drain}, Order{State: Enabled}, Override{Cleared: true}, false},
		"enable what is not":        {Override{}, Order{State: Enabled}, Override{Cleared: true}, false},
		"enable with a weight":      {Override{State: Drain, Weight: weighs(3), Until: hour}, Order{State: Enabled}, Override{Weight: weighs(3), Until: hour}, false},
		"enable and weigh":          {Override{State: Drain}, Order{State: Enabled, Weight: weighs(3)}, Override{Weight: weighs(3)}, false},
		"drain for a time, weight for ever": {
			Override{Weight: weighs(3)}, Order{State: Drain, For: time.Hour}, Override{}, true,
		},
		"weight for ever, drain for a time": {
			Override{State: Drain, Until: hour}, Order{Weight: weighs(3)}, Override{}, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := test.order.override(test.standing, noon)
			if test.bad {
				if !errors.Is(err, ErrBadOrder) {
					t.Errorf("%+v, %v", got, err)
				}
				return
			}
			if diff := cmp.Diff(test.want, got, compareStates); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
	for name, order := range map[string]Order{
		"nothing":               {Target: relay1},
		"a time gone by":        {Target: relay1, State: Drain, For: -1},
		"enabled for a time":    {Target: relay1, State: Enabled, For: 1},
		"unknown state":         {Target: relay1, State: "off"},
		"weight of a service":   {Target: Target{Service: "smtp"}, Weight: weighs(1)},
		"a reason that is long": {Target: relay1, State: Drain, Reason: strings.Repeat("a", 300)},
	} {
		if err := order.validate(); !errors.Is(err, ErrBadOrder) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOrderTouchesOnlyItsServices: nothing is read, and nothing else planned.
func TestOrderTouchesOnlyItsServices(t *testing.T) {
	c := farm(100, 3)
	s := newSteps(t, c)
	s.kernel.takeDone()
	s.kernel.unreadable = errInjected // Read would make the step fail
	order := func(target Target, state AdminState, want ...string) {
		t.Helper()
		if _, err := s.Order(ended(t), Order{Target: target, State: state}); err != nil {
			t.Fatal(err)
		}
		s.step()
		if diff := cmp.Diff(want, s.kernel.takeDone()); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", target, state, diff)
		}
	}
	order(Target{Service: "service 7", Server: "10.102.0.7"}, Drain, "ipvsadm -e -t 10.1.0.7:80 -r 10.102.0.7:80 -g -w 0")
	order(Target{Service: "service 7", Server: "10.102.0.7"}, Disabled, "ipvsadm -d -t 10.1.0.7:80 -r 10.102.0.7:80")
	order(Target{Service: "service 7", Server: "10.102.0.7"}, Enabled, "ipvsadm -a -t 10.1.0.7:80 -r 10.102.0.7:80 -g -w 5")
	order(Target{Service: "service 9"}, Disabled, "ipvsadm -D -t 10.1.0.9:80")
	order(
		Target{Service: "service 9"}, Enabled, "ipvsadm -A -t 10.1.0.9:80 -s wlc",
		"ipvsadm -a -t 10.1.0.9:80 -r 10.100.0.9:80 -g -w 5", "ipvsadm -a -t 10.1.0.9:80 -r 10.101.0.9:80 -g -w 5",
		"ipvsadm -a -t 10.1.0.9:80 -r 10.102.0.9:80 -g -w 5",
	)
}

// TestDrainGoesBeforeHealth: what is down and would be removed stays while it is
// drained, and what comes up meanwhile gets no weight.
func TestDrainGoesBeforeHealth(t *testing.T) {
	c := farm(1, 2)
	c.Services[0].OnFailure = config.Remove
	check := c.Services[0].RealServers[0].Checks[0]
	s := newSteps(t, c)
	target := Target{Service: "service 0", Server: "10.100.0.0:80"}
	weight := func() int {
		server, there := s.kernel.now().Services[c.Services[0].IPVS.ServiceKey].realServer(c.Services[0].RealServers[0].Address)
		if !there {
			return -1
		}
		return server.Weight
	}
	want := func(when string, want int) {
		t.Helper()
		s.step()
		if got := weight(); got != want {
			t.Errorf("%s: weight %d, want %d", when, got, want)
		}
	}
	if _, err := s.Order(ended(t), Order{Target: target, State: Drain}); err != nil {
		t.Fatal(err)
	}
	want("drained", 0)
	s.verdict(check, false)
	want("drained and down", 0)
	s.verdict(check, true)
	want("drained and up", 0)
	s.verdict(check, false)
	if _, err := s.Clear(ended(t), target, ""); err != nil {
		t.Fatal(err)
	}
	want("down", -1)
}

// TestSlowStartAfterAnOrder: a real server that comes back rises as after a failure,
// unless it is down.
func TestSlowStartAfterAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := farm(1, 2)
		c.Services[0].SlowStart = 4 * time.Second
		s := newSteps(t, c)
		target := Target{Service: "service 0", Server: "10.100.0.0:80"}
		weight := func() int {
			server, _ := s.kernel.now().Services[c.Services[0].IPVS.ServiceKey].realServer(c.Services[0].RealServers[0].Address)
			return server.Weight
		}
		for _, state := range []AdminState{Drain, Enabled} {
			if _, err := s.Order(ended(t), Order{Target: target, State: state}); err != nil {
				t.Fatal(err)
			}
			s.step()
		}
		var got []int
		for range 6 {
			got = append(got, weight())
			advance(time.Second)
			s.step()
		}
		if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 5}, got); diff != "" {
			t.Errorf("weights (-want +got):\n%s", diff)
		}
	})
}

// TestWeightsThatWereOrderedTellNothing: after a restart, weight 0 of a drained real
// server is no verdict, and no weight that it told.
func TestWeightsThatWereOrderedTellNothing(t *testing.T) {
	c := relayConfig()
	kernel := Plan(Facts{Config: c, Up: upOf(allUp(c))})
	drain := func(servers ...Target) Admin {
		var all []Override
		for _, target := range servers {
			all = append(all, Override{Target: target, State: Drain, Node: "a", At: noon})
		}
		return adminOf(setOf(all...), noon)
	}
	drained := Plan(Facts{Config: c, Up: upOf(allUp(c)), Admin: drain(relay1)})
	first, second := c.Services[0].RealServers[0].Checks[0], c.Services[0].RealServers[1].Checks[0]
	for name, test := range map[string]struct {
		kernel State
		admin  Admin
		want   map[healthcheck.Spec]bool
	}{
		"nothing ordered":   {kernel, Admin{}, map[healthcheck.Spec]bool{first: true, second: true}},
		"one down":          {drained, Admin{}, map[healthcheck.Spec]bool{first: false, second: true}},
		"one drained":       {drained, drain(relay1), map[healthcheck.Spec]bool{second: true}},
		"the other drained": {drained, drain(relay2), map[healthcheck.Spec]bool{first: false}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.kernel.verdicts(c, test.admin)); diff != "" {
				t.Errorf("verdicts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWeightsThatWereOrderedAreNotTold: neither 0 of a drained real server nor an
// ordered weight is what it told before.
func TestWeightsThatWereOrderedAreNotTold(t *testing.T) {
	c := relayConfig()
	for i := range c.Services[0].RealServers {
		server := &c.Services[0].RealServers[i]
		server.Checks = []healthcheck.Spec{loadCheck.Of(server.Address)}
	}
	admin := adminOf(setOf(Override{Target: relay1, Weight: weighs(9), Node: "a", At: noon}), noon)
	kernel := Plan(Facts{Config: c, Up: upOf(allUp(c)), Admin: admin})
	want := map[ServerKey]int{serverKey(&c.Services[0], c.Services[0].RealServers[1].Address): 1}
	if diff := cmp.Diff(want, kernel.toldBefore(c, admin)); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
