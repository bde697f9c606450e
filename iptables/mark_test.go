package iptables

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

var vip6 = netip.MustParseAddr("2001:db8::100")

func TestValidateMarkAndSNAT(t *testing.T) {
	tests := []struct {
		rule Rule
		want string
	}{
		{Mark{vip, "tcp", 80, 90, 7}, ""},
		{Mark{vip6, "sctp", 0, 0, 1<<32 - 1}, ""},
		{Mark{vip, "", 0, 0, 7}, ""},
		{Mark{netip.Addr{}, "", 0, 0, 7}, `mark "invalid IP": not an IPv4 or IPv6 address`},
		{Mark{netip.MustParseAddr("::ffff:10.1.0.100"), "", 0, 0, 7}, `mark "::ffff:10.1.0.100": not an IPv4 or IPv6 address`},
		{Mark{netip.MustParseAddr("fe80::1%eth0"), "", 0, 0, 7}, `mark "fe80::1%eth0": not an IPv4 or IPv6 address`},
		{Mark{vip, "icmp", 0, 0, 7}, `mark 10.1.0.100: protocol "icmp" is none of tcp, udp and sctp`},
		{Mark{vip, "", 80, 80, 7}, "mark 10.1.0.100: ports need a protocol: tcp, udp or sctp"},
		{Mark{vip, "tcp", 90, 80, 7}, "mark 10.1.0.100: ports 90 to 80 are no range"},
		{Mark{vip, "tcp", 0, 80, 7}, "mark 10.1.0.100: ports 0 to 80 are no range"},
		{Mark{vip, "tcp", 80, 80, 0}, "mark 10.1.0.100: 0 is no mark"},
		{SNAT{vip, "tcp", 25, netip.Addr{}}, ""},
		{SNAT{vip6, "udp", 0, vip6.Next()}, ""},
		{SNAT{vip, "", 0, netip.Addr{}}, ""},
		{SNAT{netip.Addr{}, "tcp", 25, netip.Addr{}}, `SNAT "invalid IP": not an IPv4 or IPv6 address`},
		{SNAT{vip, "icmp", 0, netip.Addr{}}, `SNAT 10.1.0.100: protocol "icmp" is none of tcp, udp and sctp`},
		{SNAT{vip, "", 25, netip.Addr{}}, "SNAT 10.1.0.100: a port needs a protocol: tcp, udp or sctp"},
		{SNAT{vip, "tcp", 25, vip6}, "SNAT 10.1.0.100: source 2001:db8::100 is not an address of its family"},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.rule.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got error %q, want %q", tt.rule, got, tt.want)
		}
	}
}

// TestMarksArePrintedAsParsed writes every form of a Mark, in both families, and
// recognises what the command prints of it.
func TestMarksArePrintedAsParsed(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		var want []string
		var marks []Rule
		for _, address := range []netip.Addr{vip, vip6, netip.MustParseAddr("::1.2.3.4")} {
			for _, protocol := range []string{"tcp", "udp", "sctp"} {
				for _, ports := range [][2]uint16{{0, 0}, {80, 80}, {80, 90}, {1, 65535}, {80, 65535}, {65535, 65535}} {
					marks = append(marks, Mark{address, protocol, ports[0], ports[1], 1<<32 - 1})
				}
			}
			marks = append(marks, Mark{address, "", 0, 0, 7})
		}
		chains := []Chain{Mark{VIP: vip}.Chain(), Mark{VIP: vip6}.Chain()}
		for _, mark := range marks {
			succeed(t, table.Add(t.Context(), mark))
			succeed(t, table.Add(t.Context(), mark))
			want = append(want, mark.String())
		}
		equal(t, "marks", texts(t, list(t, table, chains...)), want)
		for _, mark := range marks {
			succeed(t, table.Delete(t.Context(), mark))
		}
		equal(t, "after Delete", texts(t, list(t, table, chains...)), nil)
	})
}

// TestMarkedPacket: a packet to the VIP and port is counted by the rule, others
// are not.
func TestMarkedPacket(t *testing.T) {
	for _, backend := range backends {
		t.Run(backend, func(t *testing.T) {
			need(t, "netns", backend)
			client, node := newHost(t), newHost(t)
			_, mac := connect(client, node)
			for _, address := range []netip.Addr{vip, vip6} {
				markedPacket(t, client, node, mac, address, backend)
			}
		})
	}
}

func markedPacket(t *testing.T, client, node host, mac net.HardwareAddr, vip netip.Addr, backend string) {
	node.enter()
	table := openTable(t, backend)
	succeed(t, table.Add(t.Context(), Mark{vip, "udp", 53, 60, 7}))
	client.netlink(func(n *netlink.Handle) error {
		wire, err := n.LinkByName("wire")
		if err != nil {
			return err
		}
		if err := n.RouteReplace(&netlink.Route{LinkIndex: wire.Attrs().Index, Dst: netlink.NewIPNet(vip.AsSlice())}); err != nil {
			return err
		}
		return n.NeighSet(&netlink.Neigh{
			LinkIndex: wire.Attrs().Index, State: netlink.NUD_PERMANENT, IP: vip.AsSlice(), HardwareAddr: mac,
		})
	})
	client.netlink(func(n *netlink.Handle) error {
		wire, err := n.LinkByName("wire")
		if err != nil {
			return err
		}
		own := &netlink.Addr{IPNet: netlink.NewIPNet(vip.Next().AsSlice()), Flags: unix.IFA_F_NODAD}
		return n.AddrReplace(wire, own)
	})
	command := Chain{IPv6: vip.Is6()}.command() + strings.TrimPrefix(backend, "iptables")
	node.run(command, "-t", "mangle", "-A", "PREROUTING", "-d", vip.String(), "-p", "udp")
	count := func(rule string) string {
		for line := range strings.Lines(node.run(command, "-t", "mangle", "-v", "-S", "PREROUTING")) {
			if _, counters, _ := strings.Cut(line, " -c "); strings.Contains(line, "-A ") && strings.Contains(line, "MARK") == (rule == "mark") {
				return strings.Fields(counters)[0]
			}
		}
		return ""
	}
	// A datagram may get lost while the wire is new.
	for deadline := time.Now().Add(patience); count("all") != "4"; {
		if time.Now().After(deadline) {
			t.Fatal("no four datagrams arrived")
		}
		node.run(command, "-t", "mangle", "-Z")
		client.enter()
		for _, port := range []uint16{52, 53, 60, 61} {
			send(t, netip.AddrPortFrom(vip, port))
		}
	}
	if got := count("mark"); got != "2" {
		t.Errorf("%s of four datagrams were marked, want 2:\n%s", got, node.run(command, "-t", "mangle", "-v", "-S"))
	}
}

// send sends one datagram, as soon as the host has an address to send from.
func send(t *testing.T, to netip.AddrPort) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err == nil {
			_, err = conn.Write([]byte("x"))
			conn.Close()
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// TestSNAT writes every form of an SNAT; the kernel must take each.
func TestSNAT(t *testing.T) {
	onBackends(t, func(t *testing.T, h host, table *Table, backend string) {
		needSNAT(t, h, backend)
		h.run(backend, "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE")
		var rules []Rule
		var want []string
		for _, address := range []netip.Addr{vip, vip6} {
			var family []string
			for _, protocol := range []string{"tcp", "udp", "sctp", ""} {
				for _, source := range []netip.Addr{{}, address.Next()} {
					for _, port := range []uint16{0, 25} {
						if rule := (SNAT{address, protocol, port, source}); rule.Validate() == nil {
							rules, family = append(rules, rule), append([]string{rule.String()}, family...)
						}
					}
				}
			}
			want = append(want, family...)
		}
		for range 2 {
			for _, rule := range rules {
				succeed(t, table.Add(t.Context(), rule))
			}
		}
		chains := []Chain{SNAT{VIP: vip}.Chain(), SNAT{VIP: vip6}.Chain()}
		equal(t, "SNAT rules", texts(t, list(t, table, chains...)), want)
		chain := h.run(backend, "-t", "nat", "-S", "POSTROUTING")
		if want := "-A POSTROUTING -o eth0 -j MASQUERADE\n"; !strings.HasSuffix(chain, want) {
			t.Errorf("the foreign rule must come after lvsd's:\n%s", chain)
		}
		for _, rule := range rules {
			succeed(t, table.Delete(t.Context(), rule))
		}
		equal(t, "after Delete", texts(t, list(t, table, chains...)), nil)
	})
}

// needSNAT skips a test where the kernel has no ipvs match, after seeing that the
// error names it.
func needSNAT(t *testing.T, h host, backend string) {
	t.Helper()
	table := openTable(t, backend)
	err := table.Add(t.Context(), SNAT{VIP: vip, Protocol: "tcp"})
	if err == nil {
		succeed(t, table.Delete(t.Context(), SNAT{VIP: vip, Protocol: "tcp"}))
		return
	}
	if !strings.Contains(err.Error(), "modprobe xt_ipvs") {
		t.Fatalf("got error %v, want one that names the module", err)
	}
	lab.Missing(t, lab.NeedIPVS, err)
}
