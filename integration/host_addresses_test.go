package integration

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

// plainKeys are for nodes that serve as MASTER only. Without a refresh, a
// neighbour finds a new MASTER only by what that announces.
const plainKeys = "settle = \"0s\"\ngarp = { delay = \"1s\", refresh = \"0s\" }\n"

// newPlainPair is newPair with plainKeys and more, for each node with what edit
// changes.
func newPlainPair(t *testing.T, edit func(n *node, v *virtualRouter)) *pair {
	t.Helper()
	p := newPair(t)
	for _, n := range p.nodes() {
		v := n.router
		v.Keys = plainKeys
		edit(n, &v)
		n.configure(v)
	}
	return p
}

// The VIPs of TestIPv6.
const (
	linkVIP6   = "fe80::100"
	globalVIP6 = "fd98::100"
)

// TestIPv6: a virtual router of IPv6, which carries an IPv4 address too, moves
// from node to node, and a client follows it without asking.
func TestIPv6(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(_ *node, v *virtualRouter) {
		v.VIPs = []string{linkVIP6, globalVIP6 + "/64"}
		v.Keys += "excluded_vips = [\"" + hostVIP + "\"]\n"
	})
	for n, h := range []*lab.Host{p.first.Host, p.second.Host, p.client} {
		h.Run("ip", "address", "add", fmt.Sprintf("fd98::%d/64", n+1), "dev", lab.LinkName, "nodad")
	}
	one := func(master, other *node) func() error {
		return func() error {
			errs := []error{p.serves6(master)}
			if other.takesPart() {
				errs = append(errs, other.says("backup"))
			}
			return errors.Join(append(errs, hasAddresses(other.Host, lab.LinkName, false, all6...))...)
		}
	}
	p.stage("the higher priority is MASTER", func(*testing.T) {
		p.first.start()
		p.second.start()
		p.lab.WaitFor("the first to serve", one(p.first, p.second))
	})
	p.stage("the adverts are in order", func(t *testing.T) {
		i := p.second.now()
		if len(i.Peers) != 1 || cmp.Diff([]string{linkVIP6, globalVIP6}, i.Peers[0].VIPs) != "" {
			t.Errorf("the BACKUP knows the peers %+v", i.Peers)
		}
		if len(i.Notices) > 0 {
			t.Errorf("the BACKUP finds fault: %+v", i.Notices)
		}
	})
	p.stage("it says goodbye, the other takes over", func(t *testing.T) {
		p.first.stop()
		p.lab.WaitFor("the second to serve", one(p.second, p.first))
		if reason := p.second.now().Reason; reason != "the master left" {
			t.Errorf("the other took over because %q", reason)
		}
	})
	p.stage("it is back, and preempts", func(*testing.T) {
		p.first.start()
		p.lab.WaitFor("the first to serve", one(p.first, p.second))
	})
	p.stage("it falls silent, the other takes over", func(*testing.T) {
		p.first.daemon.Signal(syscall.SIGSTOP)
		p.lab.WaitFor("the second to serve", func() error { return p.serves6(p.second) })
	})
	p.stage("it goes on, and there is one MASTER", func(*testing.T) {
		p.first.daemon.Signal(syscall.SIGCONT)
		p.lab.WaitFor("the first to serve", one(p.first, p.second))
	})
}

var all6 = []string{linkVIP6 + "/128", globalVIP6 + "/64", hostVIP + "/32"}

// serves6 is nil when the node is MASTER, has the VIPs, and the client sends
// what is for each of them to the node.
func (p *pair) serves6(n *node) error {
	errs := []error{n.says("master"), hasAddresses(n.Host, lab.LinkName, true, all6...)}
	for _, vip := range []string{globalVIP6, hostVIP} {
		errs = append(errs, p.clientResolves(vip, n.MAC()))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	_, err := p.client.Try("ping", "-c", "1", "-W", "5", globalVIP6)
	return err
}

// TestVIPOptions: VIPs are as the file says, on which interface ever, and routes
// and rules go with them; what is the node's own is not touched.
func TestVIPOptions(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPlainPair(t, func(n *node, v *virtualRouter) {
		v.Keys += optionKeys
		n.Run("ip", "link", "add", "eth1", "type", "veth", "peer", "name", "eth1-peer")
		n.Run("ip", "link", "set", "eth1-peer", "up")
		n.Run("ip", "link", "set", "eth1", "up")
		n.Run("ip", "address", "add", ownAddress, "dev", "eth1")
		n.Run("ip", "route", "add", "10.53.0.0/16", "dev", "eth1", "table", "100")
		n.Run("ip", "rule", "add", "priority", "2000", "from", "10.53.0.0/16", "table", "100")
	})
	p.stage("the MASTER has all, the BACKUP nothing", func(t *testing.T) {
		p.first.start()
		p.second.start()
		p.settleOptions(p.first, p.second)
		have, err := ipAddresses(p.first.Host, "eth1")
		if err != nil {
			t.Fatal(err)
		}
		want := ipAddress{Local: "10.97.0.1", Length: 24, Scope: "link", Label: "eth1:vip", Broadcast: "10.97.0.255"}
		if diff := cmp.Diff(want, have[optionVIP]); diff != "" {
			t.Errorf("the VIP with options (-want +got):\n%s", diff)
		}
	})
	for _, c := range []struct{ what, command string }{
		{"VIP with options", "ip address del " + optionVIP + " dev eth1"},
		{"IPv6 VIP", "ip address del fd97::1/64 dev eth1"},
		{"route", "ip route del 10.50.0.0/16 table 100"},
		{"route that drops", "ip route del blackhole 10.51.0.0/16 table 100"},
		{"rule", "ip rule del priority 1000"},
	} {
		p.stage("a deleted "+c.what+" comes back", func(t *testing.T) {
			undisturbed := p.undisturbed(t, p.nodes()...)
			p.first.Run("sh", "-c", c.command)
			p.settleOptions(p.first, p.second)
			undisturbed()
		})
	}
	p.stage("they go along with the role", func(*testing.T) {
		p.first.stop()
		p.settleOptions(p.second, p.first)
		p.first.start()
		p.settleOptions(p.first, p.second)
	})
	p.stage("what a crash left goes, since another is MASTER", func(*testing.T) {
		p.first.daemon.Signal(syscall.SIGKILL)
		<-p.first.daemon.Done()
		if err := p.first.hasOptions(true); err != nil {
			p.Fatalf("it went with lvsd: %v", err)
		}
		p.lab.WaitFor("the second to be MASTER", func() error {
			return errors.Join(p.second.says("master"), p.second.hasOptions(true))
		})
		v := p.first.router
		v.Keys = "preempt = false\n" + v.Keys
		p.first.configure(v)
		p.first.start()
		p.settleOptions(p.second, p.first)
	})
}

// The VIP with options, and the node's own address, which differs from it by its
// length only.
const (
	optionVIP  = "10.97.0.1/24"
	ownAddress = "10.97.0.1/16"
)

const optionKeys = `
excluded_vips = [
  { address = "10.97.0.1/24", interface = "eth1", scope = "link", label = "eth1:vip", broadcast = "10.97.0.255" },
  { address = "fd97::1/64", interface = "eth1" },
]
[[vrrp.route]]
destination = "10.50.0.0/16"
gateway = "10.99.0.3"
interface = "eth0"
source = "10.99.0.100"
table = 100
metric = 7
[[vrrp.route]]
destination = "10.51.0.0/16"
type = "blackhole"
table = 100
[[vrrp.rule]]
from = "10.97.0.0/24"
incoming = "eth1"
table = 100
priority = 1000
`

// settleOptions waits until the one is MASTER and has all, and the other is not
// and has nothing.
func (p *pair) settleOptions(master, other *node) {
	p.Helper()
	p.lab.WaitFor(master.Name+" alone to have all", func() error {
		errs := []error{p.settled(master), master.hasOptions(true), other.hasOptions(false)}
		return errors.Join(errs...)
	})
}

// hasOptions is an error unless the kernel has all that optionKeys say, or
// nothing of it, and what is the node's own.
func (n *node) hasOptions(all bool) error {
	routes, rules := "", ""
	if all {
		routes = "10.50.0.0/16 via 10.99.0.3 dev eth0 src 10.99.0.100 metric 7 \nblackhole 10.51.0.0/16 \n"
		rules = "1000:\tfrom 10.97.0.0/24 iif eth1 lookup 100 proto 112\n"
	}
	errs := []error{
		hasAddresses(n.Host, "eth1", all, optionVIP, "fd97::1/64"),
		hasAddresses(n.Host, "eth1", true, ownAddress),
	}
	own := "10.53.0.0/16 dev eth1 scope link \n"
	errs = append(errs, n.prints(routes, "ip", "route", "show", "table", "100", "proto", "112"))
	errs = append(errs, n.prints(own, "ip", "route", "show", "table", "100", "proto", "boot"))
	errs = append(errs, n.prints(rules, "ip", "-N", "rule", "show", "priority", "1000"))
	errs = append(errs, n.prints("2000:\tfrom 10.53.0.0/16 lookup 100\n", "ip", "rule", "show", "priority", "2000"))
	return errors.Join(errs...)
}

// prints is an error unless the command prints the text in the node.
func (n *node) prints(want string, command ...string) error {
	got, err := n.Try(command[0], command[1:]...)
	if strings.Contains(got, "FIB table does not exist") {
		got, err = "", nil
	}
	if err == nil && got != want {
		err = fmt.Errorf("%s: %v printed %q, want %q", n.Name, command, got, want)
	}
	return err
}
