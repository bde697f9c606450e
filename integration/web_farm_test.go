package integration

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// The addresses of examples/web-farm/lvsd.toml.
const farmVIP, farmNode, farmWeb = 217, 201, 211

var farmPorts = []string{"80", "443"}

// TestWebFarm builds examples/web-farm from its own files and goes through its
// README: two directors, two nginx, ports 80 and 443 by direct routing.
func TestWebFarm(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS, lab.NeedNginx)
	t.Parallel()
	f := newWebFarm(t, "192.168.1.%d", farmVIP, farmNode, farmWeb)
	f.authority = f.lab.Authority("web farm")
	until := time.Now().Add(24 * time.Hour)
	for i := range f.web {
		f.certificates[i] = f.authority.Issue(siteName, until)
		f.serveWeb(i)
		f.web[i].WaitListening(80, 443)
		f.web[i].write(f.example("web-server.toml"))
		f.web[i].start()
	}
	for _, n := range f.nodes {
		n.write(f.example("lvsd.toml", "ens8", lab.LinkName,
			`advert_interval = "1s"`, keyed("advert_interval", f.interval),
			`interval = "3s"`, `interval = "300ms"`, `timeout = "3s"`, keyed("timeout", f.lab.Scaled(1500*time.Millisecond)),
			`retry_delay = "10s"`, `retry_delay = "100ms"`))
		// A connection that is not answered has two packets, whatever the timeout.
		n.Run("sysctl", "-qw", "net.ipv4.tcp_syn_retries=1")
	}
	first, second := f.nodes[0], f.nodes[1]
	f.stage("the first to start is MASTER", func(*testing.T) {
		first.start()
		f.lab.WaitFor("the first to be MASTER", func() error { return first.inState("master") })
		second.start()
		f.settle(first)
	})
	f.stage("web servers have the VIP and do not tell", func(t *testing.T) {
		for _, w := range f.web {
			f.lab.WaitFor(w.Name+" to have the VIP", func() error { return wantVIPs(w.Host, "lo", []string{f.vip}, true) })
		}
		f.settle(first)
	})
	f.stage("requests go to the servers in turn", f.balances)
	f.stage("a check fails fewer times than its retries", f.retries)
	f.stage("a web server is stopped and started", f.serverStops)
	f.stage("stop of the MASTER while curl loops, and its return", f.masterStops)
}

// balances: what the article looks at, with ipvsadm and curl.
func (f *webFarm) balances(t *testing.T) {
	for _, n := range f.nodes {
		f.weights(n, 1, 1)
	}
	table := f.nodes[0].Run("ipvsadm", "-L", "-n")
	for _, port := range farmPorts {
		if !regexp.MustCompile(`TCP +` + regexp.QuoteMeta(f.vip) + ":" + port + ` rr\n`).MatchString(table) {
			t.Errorf("no service of port %s by rr in\n%s", port, table)
		}
	}
	if n := strings.Count(table, " Route "); n != len(farmPorts)*len(f.web) {
		t.Errorf("%d real servers by direct routing, want %d:\n%s", n, len(farmPorts)*len(f.web), table)
	}
	for scheme := range f.urls {
		f.alternates(t, scheme)
	}
}

// weights waits until the node's kernel has these of the web servers, for both
// ports.
func (f *webFarm) weights(n *node, want ...int) {
	f.Helper()
	f.lab.WaitFor(fmt.Sprintf("%s to have the weights %d", n.Name, want), func() error {
		table, err := n.Try("ipvsadm", "-S", "-n")
		if err != nil {
			return err
		}
		for i, weight := range want {
			for _, port := range farmPorts {
				line := fmt.Sprintf("-a -t %s:%s -r %s:%s -g -w %d\n", f.vip, port, f.web[i].Address, port, weight)
				if !strings.Contains(table, line) {
					return fmt.Errorf("no %q in\n%s", line, table)
				}
			}
		}
		return nil
	})
}

// The check of the example asks once and then three times more.
const checkAttempts = 4

// unanswered lets so many attempts of the first director's check of port 80 on the
// first web server come to nothing, and waits until they have.
func (f *webFarm) unanswered(n int) {
	f.Helper()
	// A refused connection would be an answer, which is not tried again. The limit
	// gives nothing back for an hour.
	packets := fmt.Sprint(2 * n)
	rule := []string{
		"INPUT", "-s", f.nodes[0].Address.String(), "-p", "tcp", "--dport", "80", "--syn",
		"-m", "limit", "--limit", "1/hour", "--limit-burst", packets, "-j", "DROP",
	}
	f.web[0].Run("iptables", append([]string{"-I"}, rule...)...)
	f.lab.WaitFor(packets+" packets to be dropped", func() error {
		rules, err := f.web[0].Try("iptables", "-nvxL", "INPUT")
		if err == nil && !regexp.MustCompile(`(?m)^ +`+packets+` +\d+ DROP`).MatchString(rules) {
			err = fmt.Errorf("rules are\n%s", rules)
		}
		return err
	})
	f.web[0].Run("iptables", append([]string{"-D"}, rule...)...)
}

// passes waits until the first director's check of port 80 on the first web server
// has passed since a time.
func (f *webFarm) passes(since time.Time) {
	f.Helper()
	f.lab.WaitFor("the check to pass", func() error {
		status, err := f.nodes[0].status()
		if err != nil {
			return err
		}
		for _, service := range status.Services {
			if service.Name != "http" {
				continue
			}
			c := service.RealServers[0].Checks[0]
			if c.Code == "L4OK" && c.At.After(since) {
				return nil
			}
			err = fmt.Errorf("the last result is %s of %s, want one after %s", c.Code, c.At, since)
		}
		return err
	})
}

// retries: three attempts that nobody answers, and the fourth is.
func (f *webFarm) retries(t *testing.T) {
	first := f.nodes[0]
	before := first.logged("msg=\"server down\"")
	f.unanswered(checkAttempts - 1)
	f.passes(time.Now())
	f.weights(first, 1, 1)
	if n := first.logged("msg=\"server down\""); n != before {
		t.Errorf("%d servers went down:\n%s", n-before, first.daemon.Output())
	}
}

// serverStops: the other one answers everything meanwhile.
func (f *webFarm) serverStops(t *testing.T) {
	if err := f.nginx[1].Stop(); err != nil {
		t.Fatalf("nginx: %v", err)
	}
	for _, n := range f.nodes {
		f.weights(n, 1, 0)
	}
	for scheme := range f.urls {
		for range f.web {
			if server, _, _ := f.asked(scheme); server != webNames[0] {
				t.Errorf("%s: %s answered", scheme, server)
			}
		}
	}
	f.serveWeb(1)
	for _, n := range f.nodes {
		f.weights(n, 1, 1)
	}
	f.alternates(t, "http")
}

// masterStops: no request fails and no connection ends, neither when lvsd on the
// MASTER is stopped nor when it is back, as the BACKUP that it now is.
func (f *webFarm) masterStops(t *testing.T) {
	first, second := f.nodes[0], f.nodes[1]
	var loops []*curling
	var connections []*farmSession
	for scheme := range f.urls {
		for range f.web {
			connections = append(connections, f.open(scheme))
		}
	}
	for scheme := range f.urls {
		loops = append(loops, f.startCurl(scheme))
	}
	unharmed := func(when string) {
		t.Helper()
		for _, loop := range loops {
			loop.answered(3)
			n, failures := loop.requests()
			t.Logf("%s: %d requests over %s, %d failed", when, n, loop.scheme, len(failures))
			if len(failures) > 0 {
				t.Errorf("%s: requests over %s failed: %q", when, loop.scheme, failures)
			}
		}
		for _, c := range connections {
			if err := c.lives(); err != nil {
				t.Errorf("%s: %v", when, err)
			}
		}
	}
	unharmed("before")
	first.stop()
	f.settle(second)
	if reason := f.current(second).Reason; reason != "the master left" {
		t.Errorf("the second took over because %q", reason)
	}
	if slices.Contains(held(first.Host, lab.LinkName, []string{f.vip}), f.vip) {
		t.Error("the first has the VIP still")
	}
	unharmed("stopped")
	first.start()
	f.stays(t, second, first)
	unharmed("back")
}
