package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// newcomers is how many clients it takes for each server to get as many as it
	// weighs: 10 for one of the main site, 1 for one of the reserve.
	newcomers = 22
	// few are enough to have some with a server in the main site.
	few = 6
)

// TestExchange: two directors and four servers in two sites, by the file of the
// example, survive every disaster while clients ask without a pause. What may
// fail is said with each; nothing else may, and nothing once the directors have
// found out.
func TestExchange(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedNginx)
	x := newExchange(t)
	x.main.director.write(x.example("lvsd.toml", map[string]string{
		"vrid = 101\n":           fmt.Sprintf("vrid = 101\nadvert_interval = %q\n", x.interval),
		"  interval = \"3s\"\n":  fmt.Sprintf("  interval = \"1s\"\n  timeout = %q\n", x.lab.Scaled(2*time.Second).Round(time.Second)),
		"fast_interval = \"1s\"": "fast_interval = \"300ms\"",
		"slow_start = \"60s\"":   "slow_start = \"1s\"",
		"up_delay = \"10s\"":     "up_delay = \"3s\"",
	}))
	x.stage("the director of the main site is MASTER and knows all servers", func(*testing.T) {
		for _, server := range x.servers() {
			server.WaitListening(443)
		}
		for _, n := range x.directors() {
			n.start()
		}
		x.lab.WaitFor("lb1 to be MASTER", func() error { return x.isMaster(x.main, true) })
		x.waitWeights(nil, x.directors()...)
	})
	x.serverDisasters()
	x.directorDisaster()
	x.siteDisaster()
	x.lineDisaster()
}

// serverDisasters: a server dies, another says that it is unwell.
func (x *exchange) serverDisasters() {
	exch1, exch2 := x.main.servers[0], x.main.servers[1]
	x.stage("clients go to the sites by weight and stay with their server", x.welcome)
	x.stage("a server dies, and only its clients notice", func(t *testing.T) {
		x.suffer(t, exch1.nginx.Kill, func() {
			x.waitWeights([]*exchangeServer{exch1}, x.directors()...)
		}, x.both(lot{gone: []*exchangeServer{exch1}, fails: servedBy(exch1)}))
	})
	x.stage("the other says that it is unwell, the reserve takes over and nobody notices", func(t *testing.T) {
		x.suffer(t, exch2.fail, func() {
			x.waitWeights(x.main.servers, x.directors()...)
		}, x.both(lot{gone: x.main.servers}))
	})
	x.stage("both are back, and nobody notices", func(t *testing.T) {
		x.suffer(t, func() {
			exch1.start()
			exch2.heal()
		}, func() { x.waitWeights(nil, x.directors()...) }, x.both(lot{}))
	})
}

// directorDisaster: the MASTER is lost.
func (x *exchange) directorDisaster() {
	lb1 := x.main.director
	x.stage("others come and go to the main site again", x.welcomeFew)
	x.stage("the director is lost, and its clients keep their servers", func(t *testing.T) {
		x.waitTemplates(x.reserve.director)
		x.suffer(t, func() { x.main.SetCable(lb1.Host, false) }, func() {
			x.lab.WaitFor("lb2 to be MASTER", func() error { return x.settled(x.reserve, x.sites()...) })
		}, x.both(lot{fails: anybody}))
	})
	x.stage("it is back and MASTER", func(t *testing.T) {
		x.suffer(t, func() { x.main.SetCable(lb1.Host, true) }, x.recover, x.both(lot{fails: x.switching, moves: true}))
	})
}

// siteDisaster: the main site is lost.
func (x *exchange) siteDisaster() {
	x.stage("others come before the site is lost", x.welcomeFew)
	x.stage("the main site is lost, the reserve takes over", func(t *testing.T) {
		x.waitTemplates(x.reserve.director)
		x.main.client.halt()
		var taken time.Time
		x.suffer(t, func() { x.main.setPower(false) }, func() {
			x.lab.WaitFor("lb2 to be MASTER", func() error { return x.settled(x.reserve, x.reserve) })
			taken = time.Now()
			x.waitWeights(x.main.servers, x.reserve.director)
		}, map[*exchangeSite]lot{x.reserve: {
			gone:  x.main.servers,
			fails: func(c call) bool { return c.begun.Before(taken) || servedBy(x.main.servers...)(c) },
		}})
	})
	x.stage("the main site is back", func(t *testing.T) {
		x.suffer(t, func() { x.main.setPower(true) }, x.recover,
			map[*exchangeSite]lot{x.reserve: {fails: x.switching, moves: true}})
	})
}

// lineDisaster: the sites lose each other, and each serves its own clients.
func (x *exchange) lineDisaster() {
	x.stage("others come before the line is cut", x.welcomeFew)
	x.stage("the line is cut, each site serves its own", func(t *testing.T) {
		x.waitTemplates(x.reserve.director)
		var taken time.Time
		x.suffer(t, func() { x.main.SetCable(x.line, false) }, func() {
			x.lab.WaitFor("lb2 to be MASTER too", func() error { return x.settled(x.reserve, x.reserve) })
			taken = time.Now()
			x.waitWeights(x.main.servers, x.reserve.director)
			x.waitWeights(x.reserve.servers, x.main.director)
		}, map[*exchangeSite]lot{
			x.main: {gone: x.reserve.servers, fails: servedBy(x.reserve.servers...)},
			x.reserve: {
				gone:  x.main.servers,
				fails: func(c call) bool { return c.begun.Before(taken) || servedBy(x.main.servers...)(c) },
			},
		})
		if err := x.settled(x.main, x.main); err != nil {
			t.Errorf("lb1 is not MASTER for its site any more: %v", err)
		}
	})
	x.stage("the line is mended, and one yields", func(t *testing.T) {
		x.suffer(t, func() { x.main.SetCable(x.line, true) }, x.recover, x.both(lot{fails: anybody, moves: true}))
	})
}

// recover waits until lb1 is the only MASTER and both directors have all servers.
func (x *exchange) recover() {
	x.Helper()
	x.settle(x.main)
	x.waitWeights(nil, x.directors()...)
}

// A lot is what the clients of a site have to put up with.
type lot struct {
	// fails tells which calls may fail that are under way, or begin, before the
	// directors have found out. Nil is none.
	fails func(call) bool
	// gone are servers that clients must not be sent to after that.
	gone []*exchangeServer
	// moves tells that clients may come to other servers, though theirs is there.
	moves bool
}

func (x *exchange) both(l lot) map[*exchangeSite]lot {
	return map[*exchangeSite]lot{x.main: l, x.reserve: l}
}

func anybody(call) bool { return true }

// servedBy is for clients of these servers.
func servedBy(servers ...*exchangeServer) func(call) bool {
	return func(c call) bool { return isOne(c.home, servers) }
}

func isOne(name string, of []*exchangeServer) bool {
	return slices.ContainsFunc(of, func(s *exchangeServer) bool { return s.Name == name })
}

// switching is for calls that had not ended when a director yielded to another.
func (x *exchange) switching(c call) bool {
	for _, n := range x.directors() {
		if i, err := n.instance(); err == nil && (c.ended.IsZero() || c.ended.After(i.Since)) {
			return true
		}
	}
	return false
}

// suffer has a disaster strike, waits until it is over, which is when the
// directors have found out, and until every client was answered since. Then it
// holds the clients' calls against their lot. Sites without a lot do not ask.
func (x *exchange) suffer(t *testing.T, strike, over func(), lots map[*exchangeSite]lot) {
	t.Helper()
	struck := time.Now()
	strike()
	over()
	found := time.Now()
	for site, lot := range lots {
		may := func(c call) bool {
			between := c.begun.Before(found) && (c.ended.IsZero() || c.ended.After(struck))
			return between && lot.fails != nil && lot.fails(c)
		}
		site.client.abandon(may)
		site.client.everyone(found)
		site.client.judge(t, may, func(c call) error {
			switch {
			case c.begun.After(found) && isOne(c.server, lot.gone):
				return fmt.Errorf("was sent to %s", c.server)
			case c.server != c.home && !lot.moves && !isOne(c.home, lot.gone):
				return fmt.Errorf("has moved to %s", c.server)
			}
			return nil
		})
	}
}

// welcome has as many clients ask as it takes to see the weights, none of whom a
// director has seen before. They go on asking: suffer finds those that are not
// sent to the same server again.
func (x *exchange) welcome(t *testing.T) {
	x.replace(newcomers)
	want := map[string]int{"exch1": 10, "exch2": 10, "exch3": 1, "exch4": 1}
	if diff := cmp.Diff(want, x.main.client.askAll(t)); diff != "" {
		t.Fatalf("clients by server (-want +got):\n%s", diff)
	}
	x.begin(t)
}

// welcomeFew is welcome without a look at all weights: most go to the main site.
func (x *exchange) welcomeFew(t *testing.T) {
	x.replace(few)
	if n := x.main.client.askAll(t); n["exch3"] > 1 || n["exch4"] > 1 {
		t.Fatalf("clients by server: %v", n)
	}
	x.begin(t)
}

// replace has so many new clients inside, and a few outside, in place of others.
func (x *exchange) replace(inside int) {
	x.Helper()
	x.main.client.halt()
	x.reserve.client.halt()
	x.main.client.replace(inside)
	x.reserve.client.replace(few)
}

// begin has all of them ask until they are replaced.
func (x *exchange) begin(t *testing.T) {
	t.Helper()
	x.reserve.client.askAll(t)
	for _, site := range x.sites() {
		site.client.begin()
	}
}

// waitTemplates waits until the director knows which server each client has.
func (x *exchange) waitTemplates(n *node) {
	x.Helper()
	x.lab.WaitFor(n.Name+" to know the clients", func() error {
		table, err := n.Try("ipvsadm", "-Lnc")
		for _, site := range x.sites() {
			for _, a := range site.client.addresses {
				if err == nil && !strings.Contains(table, " "+a.String()+":0 ") {
					err = fmt.Errorf("%s is not in\n%s", a, table)
				}
			}
		}
		return err
	})
}
