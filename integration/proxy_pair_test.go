package integration

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestProxyPair is examples/proxy-pair with its three failures: whichever it is, both
// VIPs are on the other proxy, the client browses by both, and the log has the lines
// that the README shows.
func TestProxyPair(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedSquid, lab.NeedNginx)
	t.Parallel()
	p := newProxyPair(t, squidAnywhere)
	p.stage("each VIP is at home", func(*testing.T) {
		p.start("lvsd.toml")
		p.settle(bothAtHome)
		p.browse(p.first, p.second)
		p.logged("Start")
	})
	for _, failure := range []struct {
		heading      string
		damage, mend func()
	}{
		{
			"The internal link",
			func() { p.first.SetCable(false) },
			func() { p.first.SetCable(true) },
		},
		{
			"The external link",
			func() { p.internet.SetCable(p.first.Host, false) },
			func() { p.internet.SetCable(p.first.Host, true) },
		},
		{
			"Squid",
			func() { p.first.stopSquid() },
			func() { p.first.squid.Start() },
		},
	} {
		p.stage(failure.heading+" fails", func(*testing.T) {
			failure.damage()
			p.settle(onSecond)
			p.browse(p.second, p.second)
			p.logged(failure.heading + " fails")
		})
		p.stage(failure.heading+" is back", func(*testing.T) {
			failure.mend()
			p.settle(bothAtHome)
			p.browse(p.first, p.second)
			p.logged(failure.heading + " is back")
		})
	}
}

// stopSquid stops it as its unit does.
func (n *proxy) stopSquid() {
	n.segment.Helper()
	if err := n.squid.Stop(); err != nil {
		n.segment.Fatalf("%s: squid ended: %v\n%s", n.Name, err, n.squid.Output())
	}
}

// TestProxyPairUnicast is the pair of unicast.toml on a network that carries no
// multicast, which would make both MASTER.
func TestProxyPairUnicast(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedSquid, lab.NeedNginx)
	t.Parallel()
	p := newProxyPair(t, squidAnywhere)
	for _, n := range p.proxies() {
		for _, chain := range []string{"INPUT", "OUTPUT"} {
			n.Run("iptables", "-A", chain, "-p", "112", "-d", "224.0.0.0/4", "-j", "DROP")
		}
	}
	p.stage("each VIP is at home", func(*testing.T) {
		p.start("unicast.toml")
		p.settle(bothAtHome)
		p.browse(p.first, p.second)
	})
	p.stage("the external link fails", func(*testing.T) {
		p.internet.SetCable(p.second.Host, false)
		p.settle(onFirst)
		p.browse(p.first, p.first)
	})
	p.stage("it is back", func(*testing.T) {
		p.internet.SetCable(p.second.Host, true)
		p.settle(bothAtHome)
		p.browse(p.first, p.second)
	})
	p.stage("nobody has tried multicast", func(t *testing.T) {
		for _, n := range p.proxies() {
			for _, chain := range []string{"INPUT", "OUTPUT"} {
				if rule := n.Run("iptables", "-v", "-S", chain, "1"); !strings.Contains(rule, " -c 0 0 ") {
					t.Errorf("%s has met adverts by multicast: %s", n.Name, rule)
				}
			}
		}
	})
}

// TestProxyPairBound: Squids that listen on the VIPs by address, which are not there
// when they start.
func TestProxyPairBound(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedSquid, lab.NeedNginx)
	t.Parallel()
	p := newProxyPair(t, squidOnVIPs)
	p.stage("untold, they do not listen on the VIPs that came", func(*testing.T) {
		p.start("lvsd.toml")
		p.settle(bothAtHome)
		for i, n := range p.proxies() {
			p.lab.WaitFor("the connection to be refused", func() error {
				if err := p.fetch(proxyVIPs[i], n); !errors.Is(err, syscall.ECONNREFUSED) {
					return fmt.Errorf("%s: %w", n.Name, cmp.Or(err, errListens))
				}
				return nil
			})
		}
	})
	p.stage("the hook tells them", func(*testing.T) {
		p.first.tellSquid()
		p.second.tellSquid()
		p.internet.SetCable(p.first.Host, false)
		p.settle(onSecond)
		p.browse(p.second, p.second)
	})
	p.stage("and when a VIP is back", func(*testing.T) {
		p.internet.SetCable(p.first.Host, true)
		p.settle(bothAtHome)
		p.browse(p.first, p.second)
	})
	p.stage("with ip_nonlocal_bind nobody needs to", func(*testing.T) {
		p.second.tellNobody()
		p.second.Run("sysctl", "-q", "-w", "net.ipv4.ip_nonlocal_bind=1")
		p.second.stopSquid()
		p.settle(onFirst)
		p.second.squid.Start()
		p.settle(bothAtHome)
		p.browse(p.first, p.second)
	})
}

var errListens = errors.New("it listens")

// ownRules let in what a proxy is there for, and nothing else.
var ownRules = []string{
	"-P INPUT DROP",
	"-A INPUT -i lo -j ACCEPT",
	"-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
	"-A INPUT -p tcp --dport " + proxyPort + " -j ACCEPT",
}

// TestProxyPairFirewall: a firewall that keeps VRRP from a node makes both nodes
// MASTER; lvsd doctor finds it, says so, and names the command that mends it.
func TestProxyPairFirewall(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedSquid, lab.NeedNginx)
	t.Parallel()
	p := newProxyPair(t, squidAnywhere)
	n := p.second
	p.stage("open", func(*testing.T) {
		p.start("lvsd.toml")
		p.settle(bothAtHome)
	})
	p.stage("the policy is DROP", func(t *testing.T) {
		n.rules("iptables-nft", ownRules...)
		p.settle(secondIsDeaf)
		f := n.examined().want(t, "firewall-vrrp", "VRRP on eth0", "the policy of INPUT is DROP, and no rule accepts it")
		if want := "this node hears no adverts, and becomes MASTER beside the MASTER"; f.Breaks != want {
			t.Errorf("breaks %q, want %q", f.Breaks, want)
		}
		p.logged("A firewall without VRRP")
		n.examined().mend(t, f, n.Host)
		p.settle(bothAtHome)
		p.browse(p.first, p.second)
		n.rules("iptables-nft", "-P INPUT ACCEPT", "-F INPUT")
	})
	p.stage("the rules of iptables-legacy, then those of the README", func(t *testing.T) {
		if _, err := n.Try("iptables-legacy", "-S"); err != nil {
			lab.Missing(t, "iptables-legacy", err)
		}
		n.rules("iptables-legacy", ownRules...)
		p.settle(secondIsDeaf)
		n.examined().want(t, "firewall-vrrp", "VRRP on eth0", "the policy of INPUT is DROP, and no rule accepts it")
		n.rules("iptables-legacy", "-A INPUT -i eth0 -d 224.0.0.0/8 -j ACCEPT", "-A INPUT -p vrrp -i eth0 -j ACCEPT")
		n.examined().mend(t, finding{ID: "firewall-vrrp", Subject: "VRRP on eth0"})
		p.settle(bothAtHome)
		n.rules("iptables-legacy", "-P INPUT ACCEPT", "-F INPUT")
	})
	p.stage("a rule rejects it", func(t *testing.T) {
		n.rules("iptables-nft", "-A INPUT -p vrrp -j REJECT")
		n.examined().mend(t, n.examined().want(t, "firewall-vrrp", "VRRP on eth0", "-A INPUT -p vrrp -j REJECT"), n.Host)
	})
}

// rules gives a command of iptables's these arguments, one after the other.
func (n *proxy) rules(command string, rules ...string) {
	n.segment.Helper()
	for _, rule := range rules {
		n.Run(command, strings.Fields(rule)...)
	}
}

// examined is the proxy as lvsd doctor sees it.
func (n *proxy) examined() *patient {
	return &patient{node: n.node, t: n.segment.stages, flags: []string{"--no-probe"}}
}
