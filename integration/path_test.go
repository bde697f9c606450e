package integration

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// The ports of the services in the tests of path checks: one that asks the
// servers themselves, one by way of the VIP, and one so through a tunnel.
const (
	plainPort  = 7000
	directPort = 7001
	tunnelPort = 7002
)

// pathRack is a rack with a second director.
type pathRack struct {
	*rack
	second *lab.Host
}

func newPathRack(t *testing.T) *pathRack {
	r := &pathRack{rack: newRack(t)}
	r.second = r.host("second", outer(3))
	return r
}

// pathServer is a real server of a test and what its service is called by
// ipvsadm.
type pathServer struct {
	service netip.AddrPort
	server  netip.Addr
}

// serviceOf writes a service with checks that go by way of the VIP or not.
func (r *pathRack) serviceOf(vip netip.AddrPort, via, options string, servers ...netip.Addr) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
[[virtual_service]]
address = %q
protocol = "tcp"
scheduler = "rr"
%s  [[virtual_service.check]]
  type = "tcp"
  via = %q
  interval = "200ms"
  timeout = %q
  rise = 1
  fall = 1
`, vip, options, via, r.Scaled(300*time.Millisecond).Round(time.Millisecond))
	for _, server := range servers {
		fmt.Fprintf(&b, "  [[virtual_service.real_server]]\n  address = %q\n", server)
	}
	return b.String()
}

// weight waits until the real server has this weight on the director.
func (r *pathRack) weight(on *lab.Host, s pathServer, want int) {
	r.t.Helper()
	r.WaitFor(fmt.Sprintf("%s: %s of %s to have weight %d", on.Name, s.server, s.service, want), func() error {
		table := on.Run("ipvsadm", "-Sn")
		line := fmt.Sprintf("-a -t %s -r %s ", s.service, netip.AddrPortFrom(s.server, s.service.Port()))
		_, after, found := strings.Cut(table, line)
		rule, _, _ := strings.Cut(after, "\n")
		if !found || !strings.Contains(rule+" ", fmt.Sprintf("-w %d ", want)) {
			return fmt.Errorf("table is\n%s", table)
		}
		return nil
	})
}

// paths are the virtual services by firewall mark.
func paths(on *lab.Host) []string {
	var all []string
	for line := range strings.Lines(on.Run("ipvsadm", "-Sn")) {
		if strings.HasPrefix(line, "-a -f ") {
			all = append(all, strings.TrimSpace(line))
		}
	}
	return all
}

// TestPathChecks: a real server that answers at its own address and not at the
// VIP is found out, by either director and over either family.
func TestPathChecks(t *testing.T) {
	r := newPathRack(t)
	vip := outer(100)
	var text strings.Builder
	text.WriteString(instance(both(vip)...))
	at := func(v netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(v, port) }
	ipv4 := []netip.Addr{r.addresses[0].ipv4, r.addresses[1].ipv4}
	ipv6 := []netip.Addr{r.addresses[0].ipv6, r.addresses[1].ipv6}
	text.WriteString(r.serviceOf(at(vip.ipv4, plainPort), "server", "", ipv4...))
	text.WriteString(r.serviceOf(at(vip.ipv4, directPort), "vip", "", ipv4...))
	text.WriteString(r.serviceOf(at(vip.ipv6, directPort), "vip", "", ipv6...))
	text.WriteString(r.serviceOf(at(vip.ipv4, tunnelPort), "vip", "forwarding = \"tun\"\n", ipv4[1]))
	for _, server := range r.servers {
		for _, port := range []uint16{plainPort, directPort, tunnelPort} {
			server.Echo(lab.TCP, at(netip.IPv6Unspecified(), port))
		}
		server.Run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
	}
	direct := func(i int) pathServer { return pathServer{at(vip.ipv4, directPort), ipv4[i]} }
	direct6 := func(i int) pathServer { return pathServer{at(vip.ipv6, directPort), ipv6[i]} }
	tunnelled := pathServer{at(vip.ipv4, tunnelPort), ipv4[1]}
	plain := func(i int) pathServer { return pathServer{at(vip.ipv4, plainPort), ipv4[i]} }
	first := r.lvsd(r.director, text.String(), both(vip)...)
	second := r.lvsd(r.second, strings.Replace(text.String(), "vrid = 20", "vrid = 20\npriority = 50", 1))
	directors := []*lab.Host{r.director, r.second}

	stage := func(name string, run func(t *testing.T)) {
		if !t.Run(name, run) {
			t.Fatalf("the rest depends on %q\n%s\n%s", name, first.Output(), second.Output())
		}
	}
	stage("without the VIP", func(*testing.T) {
		for _, d := range directors {
			for i := range r.servers {
				r.weight(d, plain(i), 1)
				r.weight(d, direct(i), 0)
				r.weight(d, direct6(i), 0)
			}
			r.weight(d, tunnelled, 0)
		}
		r.stays(r.director, direct(1), 0)
	})
	stage("each asks one server, alike on all nodes", func(t *testing.T) {
		one, two := paths(r.director), paths(r.second)
		if len(one) != 5 || strings.Join(one, "\n") != strings.Join(two, "\n") {
			t.Errorf("services by mark are\n%q and\n%q, want the same five", one, two)
		}
	})
	stage("one has the VIP, the other not", func(*testing.T) {
		r.addVIP(r.servers[0], vip.ipv4)
		for _, d := range directors {
			r.weight(d, direct(0), 1)
			r.weight(d, direct(1), 0)
			r.weight(d, direct6(0), 0)
		}
		r.addVIP(r.servers[0], vip.ipv6)
		for _, d := range directors {
			r.weight(d, direct6(0), 1)
			r.weight(d, direct6(1), 0)
		}
	})
	stage("the other forwards what it should accept", func(*testing.T) {
		r.servers[1].Run("sysctl", "-qw", "net.ipv4.ip_forward=1")
		r.stays(r.second, direct(1), 0)
	})
	stage("a tunnel needs its device too", func(*testing.T) {
		r.addVIP(r.servers[1], vip.ipv4)
		for _, d := range directors {
			r.weight(d, direct(1), 1)
			r.weight(d, tunnelled, 0)
		}
		r.servers[1].Run("ip", "link", "set", "tunl0", "up")
		r.servers[1].Run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.tunl0.rp_filter=0")
		for _, d := range directors {
			r.weight(d, tunnelled, 1)
		}
	})
	stage("a failover", func(t *testing.T) {
		changes := func() int { return strings.Count(second.Output(), "-w 0") }
		before := changes()
		first.Signal(syscall.SIGTERM)
		if err := first.Err(); err != nil {
			t.Error(err)
		}
		r.holds(r.second, vip.ipv4)
		r.probed(r.second, direct(0), 5)
		if n := changes() - before; n > 0 {
			t.Errorf("%d weights became 0:\n%s", n, second.Output())
		}
		if left := paths(r.director); len(left) > 0 {
			t.Errorf("a clean stop leaves %q", left)
		}
		if value := acceptLocal(r.director); value != "0" {
			t.Errorf("a clean stop leaves accept_local = %s", value)
		}
		r.servers[0].Run("ip", "address", "delete", vip.ipv4.String()+"/32", "dev", "lo")
		r.weight(r.second, direct(0), 0)
		r.weight(r.second, plain(0), 1)
		r.addVIP(r.servers[0], vip.ipv4)
		r.weight(r.second, direct(0), 1)
	})
	stage("no such check any more", func(*testing.T) {
		path := filepath.Join(r.Dir(r.second.Name), "lvsd.toml")
		plain := strings.ReplaceAll(text.String(), `via = "vip"`, `via = "server"`)
		if err := os.WriteFile(path, []byte(plain), 0o600); err != nil {
			t.Fatal(err)
		}
		second.Signal(syscall.SIGHUP)
		r.WaitFor("the services by mark to go", func() error {
			if left := paths(r.second); len(left) > 0 || acceptLocal(r.second) != "0" {
				return fmt.Errorf("%q are left, accept_local = %s", left, acceptLocal(r.second))
			}
			return nil
		})
	})
}

func acceptLocal(h *lab.Host) string {
	return strings.TrimSpace(h.Run("sysctl", "-n", "net.ipv4.conf."+lab.LinkName+".accept_local"))
}

// addVIP makes a real server accept packets to the VIP.
func (r *pathRack) addVIP(h *lab.Host, vip netip.Addr) {
	r.t.Helper()
	h.Run("ip", "address", "add", netip.PrefixFrom(vip, vip.BitLen()).String(), "dev", "lo")
}

func (r *pathRack) holds(h *lab.Host, vip netip.Addr) {
	r.t.Helper()
	r.WaitFor(h.Name+" to have the VIP", func() error {
		if have := h.Run("ip", "-o", "address"); !strings.Contains(have, " "+vip.String()+"/32 ") {
			return errors.New(have)
		}
		return nil
	})
}

// probed waits until that many more probes of the server have been scheduled.
func (r *pathRack) probed(on *lab.Host, s pathServer, times int) {
	r.t.Helper()
	scheduled := func() (n int) {
		for line := range strings.Lines(on.Run("ipvsadm", "-Ln", "--stats", "--exact")) {
			fields := strings.Fields(line)
			if len(fields) > 2 && fields[0] == "->" && fields[1] == netip.AddrPortFrom(s.server, 0).String() {
				_, _ = fmt.Sscan(fields[2], &n)
			}
		}
		return n
	}
	before := scheduled()
	r.WaitFor("more probes", func() error {
		if now := scheduled(); now < before+times {
			return fmt.Errorf("%d since then", now-before)
		}
		return nil
	})
}

// stays checks that the weight is the same after some more probes.
func (r *pathRack) stays(on *lab.Host, s pathServer, weight int) {
	r.t.Helper()
	r.weight(on, s, weight)
	r.probed(on, s, 2)
	r.weight(on, s, weight)
}

// TestPathChecksOfRelays: each node is a real server too, by REDIRECT rule while
// it is BACKUP. One that lost its rule is found out, and a MASTER finds itself.
func TestPathChecksOfRelays(t *testing.T) {
	r := &pathRack{rack: emptyRack(t)}
	r.second = r.host("second", outer(3))
	vip := outer(100).ipv4
	service := netip.AddrPortFrom(vip, directPort)
	text := strings.Replace(instance(vip), "vrid = 20", "vrid = 20\nserve_on_backup = true", 1) +
		r.serviceOf(service, "vip", "", outer(1).ipv4, outer(3).ipv4)
	text = strings.Replace(text, "excluded_vips = []\n", "", 1)
	nodes := []*lab.Host{r.director, r.second}
	for _, n := range nodes {
		n.Echo(lab.TCP, netip.AddrPortFrom(netip.IPv4Unspecified(), directPort))
	}
	backup := strings.Replace(text, "vrid = 20", "vrid = 20\npriority = 50", 1)
	first := r.lvsd(r.director, text, vip)
	second := r.lvsd(r.second, backup)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("first:\n%s\nsecond:\n%s", first.Output(), second.Output())
		}
	})
	servers := []pathServer{{service, outer(1).ipv4}, {service, outer(3).ipv4}}
	for _, n := range nodes {
		for _, s := range servers {
			r.weight(n, s, 1)
		}
	}
	second.Kill()
	r.second.Run("iptables", "-t", "nat", "-F", "PREROUTING")
	r.weight(r.director, servers[1], 0)
	r.weight(r.director, servers[0], 1)
	second = r.lvsd(r.second, backup)
	r.weight(r.director, servers[1], 1)
}
