package doctor

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/segment"
)

var update = flag.Bool("update", false, "write the files that are compared with")

var findingTests = []struct {
	name, file string
	edit       func(*Facts)
}{
	{"a host in order", relayFile, all()},
	{"nothing is known", relayFile, func(f *Facts) { *f = Facts{} }},

	{"lacks", relayFile, func(f *Facts) {
		f.Lacks = []director.Lack{
			{What: "scheduler mh is not in the kernel; load it: modprobe ip_vs_mh", Breaks: "virtual services that need it cannot be made"},
			{What: "interface eth7 (nearest is eth0)", Breaks: "instance relay is in FAULT"},
			{What: "firewall rules: no iptables", Breaks: "no REDIRECT, MARK or SNAT rule can be made"},
			{What: "the kernel's IPVS has no gue tunnels; it takes Linux 5.4 or later", Breaks: "virtual services that need it cannot be made"},
			{What: "IPVS", Unknown: "not permitted"},
			{What: "net.ipv4.vs.expire_nodest_conn is 0, should be 1", Mend: "sysctl -w net.ipv4.vs.expire_nodest_conn=1"},
		}
	}},
	{"rivals", relayFile, func(f *Facts) {
		f.Rivals = []Process{{100, "keepalived"}, {101, "keepalived"}, {7, "ldirectord"}, {4711, "lvsd"}}
	}},
	{"a second lvsd", relayFile, all(says(func(*director.Status, *director.InstanceStatus) {}), func(f *Facts) {
		f.Rivals = []Process{{4711, "lvsd"}, {4712, "lvsd"}}
	})},
	{"what rivals left", tunnelFile, func(f *Facts) {
		at := netip.AddrPortFrom(vip, 80)
		f.Services = []ipvs.ServiceKey{
			{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: at},
			{Family: ipvs.IPv4, Protocol: ipvs.UDP, Address: at},
			{Family: ipvs.IPv6, Mark: 7},
		}
		f.Daemons = []ipvs.Daemon{{State: ipvs.DaemonMaster, Interface: "eth0"}}
	}},
	{"a sync daemon that the file asks for", relayFile, func(f *Facts) {
		f.Daemons = []ipvs.Daemon{{State: ipvs.DaemonMaster, Interface: "eth0"}}
	}},
	{"parameters", natFile, set("net.ipv4.ip_forward", "0", "net.ipv4.conf.eth0.send_redirects", "1", "net.ipv4.vs.expire_nodest_conn", "0")},
	{"parameters that lvsd will set", relayFile, set("net.ipv4.vs.sync_refresh_period", "0")},
	{"parameters that lvsd was to set", relayFile, all(
		set("net.ipv4.vs.sync_refresh_period", "0"), says(func(*director.Status, *director.InstanceStatus) {}),
	)},
	{"strict rp_filter", relayFile, all(set("net.ipv4.conf.eth0.rp_filter", "1"),
		routes(netip.IPv4Unspecified(), Route{Interface: "eth1"}))},
	{"strict rp_filter of all, without a default route", relayFile, all(set("net.ipv4.conf.all.rp_filter", "1"),
		routes(netip.IPv4Unspecified(), Route{Missing: true}))},
	{"strict rp_filter where it does not matter", relayFile, set("net.ipv4.conf.eth0.rp_filter", "1")},
	{"loose rp_filter of all over a strict one", relayFile, all(
		set("net.ipv4.conf.all.rp_filter", "2", "net.ipv4.conf.eth0.rp_filter", "1"),
		routes(netip.IPv4Unspecified(), Route{Interface: "eth1"}))},
	{"full tables", relayFile, all(set(conntrackCount, "60000"), func(f *Facts) { f.Buckets, f.Connections = 4096, 100000 })},
	{"full conntrack that nobody uses", tunnelFile, set(conntrackCount, "60000")},
	{"large receive offload", relayFile, func(f *Facts) { f.Links["eth0"] = Link{LRO: true} }},

	{"two hosts answer for the VIP", relayFile, answers("eth0", vip, thirdMAC, firstMAC)},
	{"another host answers for a VIP that is here", relayFile, all(has("eth0", vip), answers("eth0", vip, thirdMAC))},
	{"the VIP is here alone", relayFile, all(has("eth0", vip), answers("eth0", vip))},
	{"nobody answers for the VIP, and there is a MASTER", relayFile, answers("eth0", vip)},
	{"nobody answers for the VIP, and there is none", relayFile, all(answers("eth0", vip), func(f *Facts) { f.Adverts = nil })},
	{"a conflict that the daemon has seen", relayFile, says(func(s *director.Status, _ *director.InstanceStatus) {
		s.Conflicts = []director.ConflictStatus{
			{VIP: vip.String(), Interface: "eth0", MAC: thirdMAC.String(), Count: 3},
			{VIP: "192.0.2.101", Interface: "eth0", MAC: thirdMAC.String(), Ended: true},
		}
	})},
	{"the VIP on lo, told of", relayFile, all(has("lo", vip), set("net.ipv4.conf.all.arp_ignore", "0"))},
	{"the VIP on lo, silent", relayFile, has("lo", vip)},
	{"the VIP on another interface", relayFile, has("eth1", vip)},

	{"the VIP on lo, nobody knows whether silent", relayFile, all(has("lo", vip), func(f *Facts) {
		delete(f.Sysctls, "net.ipv4.conf.eth0.arp_ignore")
	})},
	{"nobody answers for the VIP, and the daemon knows a MASTER", relayFile, all(
		answers("eth0", vip), says(func(*director.Status, *director.InstanceStatus) {}), func(f *Facts) { f.Adverts = nil })},
	{"no route to real servers", relayFile, routes(first, Route{Missing: true})},
	{"dr through a gateway", relayFile, routes(first, Route{Interface: "eth0", Gateway: netip.MustParseAddr("192.0.2.254")})},
	{"a real server is silent, another there twice", relayFile, all(answers("eth0", first), answers("eth0", second, firstMAC, secondMAC))},
	{"a real server is this node", relayFile, all(routes(first, Route{Local: true, Interface: "eth0"}), answers("eth0", first))},
	{"answers leave elsewhere", relayFile, routes(netip.IPv4Unspecified(), Route{Interface: "eth1"})},
	{"no default route", relayFile, routes(netip.IPv4Unspecified(), Route{Missing: true})},

	{"nat without a floating gateway", natFile, all()},
	{"nat with two servers, and a wider network", natFile + "  [[virtual_service.real_server]]\n  address = \"10.0.0.12:8080\"\n", func(f *Facts) {
		wide := netif.Address{Interface: "eth2", Addr: netip.MustParseAddr("10.9.9.9"), Bits: 8}
		f.Addresses = append([]netif.Address{wide}, append(f.Addresses, wide)...)
	}},
	{"nat with one of another instance", natFile + insideFile, all()},
	{"nat with one of the group", natFile + insideFile + groupFile, all()},
	{"one-armed nat", strings.ReplaceAll(natFile, "10.0.0.11", "192.0.2.11"), all()},
	{"one-armed nat with snat", strings.NewReplacer("10.0.0.11", "192.0.2.11", "\"nat\"", "\"nat\"\nsnat = true").Replace(natFile), all()},
	{"nat behind a router", strings.ReplaceAll(natFile, "10.0.0.11", "10.1.0.11"), all()},

	{"a tunnel with room", tunnelFile, all()},
	{"ipip", tunnelFile, routes(far, Route{Interface: "eth0", MTU: 1500})},
	{"gue", tunnelFile + "encapsulation = \"gue\"\ngue_port = 6080\n", routes(far, Route{Interface: "eth0", MTU: 1500})},
	{
		"gue with remote checksums", tunnelFile + "encapsulation = \"gue\"\ngue_port = 6080\ntunnel_checksum = \"remote\"\n",
		routes(far, Route{Interface: "eth0", MTU: 1500}),
	},
	{"gre", tunnelFile + "encapsulation = \"gre\"\n", routes(far, Route{Interface: "eth0", MTU: 1500})},
	{"gre with checksums", tunnelFile + "encapsulation = \"gre\"\ntunnel_checksum = \"checksum\"\n", routes(far, Route{Interface: "eth0", MTU: 1400})},

	{"ipip around IPv6", tunnelFile6, routes(netip.MustParseAddr("2001:db8:1::11"), Route{Interface: "eth0", MTU: 1500})},

	{"rules of both backends", relayFile, func(f *Facts) {
		f.NFTables = true
		f.Rulesets = []Ruleset{prerouting(false, "-A PREROUTING -p icmp -j ACCEPT"), prerouting(true, "-A PREROUTING -p icmp -j ACCEPT")}
	}},
	{"rules of both backends, legacy is the host's", relayFile, func(f *Facts) {
		f.Rulesets = []Ruleset{prerouting(false, "-A PREROUTING -p icmp -j ACCEPT"), prerouting(true, "-A PREROUTING -p icmp -j ACCEPT")}
	}},
	{"rules that translate before IPVS", relayFile, func(f *Facts) {
		f.NFTables = true
		f.Rulesets = []Ruleset{prerouting(false,
			"-A PREROUTING -d 192.0.2.100/32 -p tcp -m tcp --dport 25 -m comment --comment lvsd -j REDIRECT",
			"-A PREROUTING -d 192.0.2.100/32 -p tcp -m tcp --dport 26 -j DNAT --to-destination 10.0.0.1",
			"-A PREROUTING -d 192.0.2.101/32 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.0.0.1",
			"-A PREROUTING ! -d 192.0.2.100/32 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.0.0.1",
			"-A PREROUTING -i eth1 -p tcp -m tcp --dport 25 -j DNAT --to-destination 10.0.0.1",
			"-A PREROUTING -p tcp -m multiport --dports 20:30,80 -m comment --comment \"to the \\\"old\\\" relay\" -j DNAT --to-destination 10.0.0.1:25",
		)}
	}},
	{"INPUT drops everything", relayFile, input("DROP", "-A INPUT -i lo -j ACCEPT", "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT")},
	{"INPUT ends with a reject", relayFile, input("ACCEPT", "-A INPUT -p tcp -m tcp --dport 25 -j ACCEPT", "-A INPUT -j REJECT --reject-with icmp-port-unreachable")},
	{"INPUT drops VRRP", relayFile, input("ACCEPT", "-A INPUT -p 112 -j DROP")},
	{"INPUT drops VRRP of one address", relayFile, input("ACCEPT", "-A INPUT -s 192.0.2.9/32 -p 112 -j DROP")},
	{"INPUT drops too much VRRP", relayFile, input("ACCEPT", "-A INPUT -p 112 -m limit --limit 9/sec -j DROP")},
	{"INPUT accepts on other interfaces", relayFile, input("DROP", "-A INPUT -i ens+ -j ACCEPT", "-A INPUT -p tcp -j ACCEPT", "-A INPUT -p udp -j ACCEPT")},
	{"INPUT accepts by a chain", relayFile, input("DROP", "-A INPUT -j allow", "-A allow -p 112 -j ACCEPT", "-A allow -s 192.0.2.0/24 -p udp -j ACCEPT", "-A allow -i eth+ -p tcp -m multiport --dports 20:30 -j ACCEPT")},
	{"INPUT calls a chain that drops", relayFile, input("ACCEPT", "-A INPUT -j allow", "-A allow -p tcp -m tcp --dport 22 -j ACCEPT", "-A allow -j DROP")},
	{"INPUT calls a chain that may be left before it drops", relayFile, input("ACCEPT", "-A INPUT -j allow", "-A allow -m limit --limit 9/sec -j RETURN", "-A allow -j DROP")},
	{"INPUT calls a chain that is left before it accepts", relayFile, input("DROP", "-A INPUT -j allow", "-A allow -j RETURN", "-A allow -j ACCEPT")},
	{"INPUT hands everything to a program", relayFile, input("DROP", "-A INPUT -j NFQUEUE --queue-num 0")},
	{"a chain accepts that VRRP does not come to", relayFile, input(
		"DROP", "-A INPUT -j before", "-A before -i lo -j ACCEPT", "-A before -p tcp -j limit", "-A before -p udp -j limit", "-A limit -j ACCEPT",
	)},
	{"unicast behind rules for multicast", strings.Replace(relayFile, "serve_on_backup = true", "serve_on_backup = true\nsource = \"192.0.2.1\"\npeers = [\"192.0.2.2\"]", 1), input(
		"DROP", "-A INPUT -d 224.0.0.0/8 -i eth0 -j ACCEPT", "-A INPUT -p tcp -j ACCEPT",
	)},
	{"INPUT accepts new connections", relayFile, input("DROP", "-A INPUT -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT")},

	{"a clock that is free", relayFile, func(f *Facts) { f.Clock = ClockFree }},
	{"a clock that adverts depend on", strings.Replace(relayFile, "serve_on_backup = true", `
[vrrp.auth]
type = "hmac-sha256"
keys = [{ id = 1, secret = "the first key of the two is this" }]`, 1), all(
		func(f *Facts) { f.Clock = ClockFree }, speaks(func(s *segment.Speaker) { s.Auth = segment.AuthHMAC }),
	)},

	{"a clock that adverts do not depend on", strings.Replace(relayFile, "serve_on_backup = true", `
[vrrp.auth]
type = "hmac-sha256"
window = "0s"
keys = [{ id = 1, secret = "the first key of the two is this" }]`, 1), all(
		func(f *Facts) { f.Clock = ClockFree }, speaks(func(s *segment.Speaker) { s.Auth = segment.AuthHMAC }),
	)},

	{"another group of routers", relayFile, speaks(func(s *segment.Speaker) { s.VIPs = []netip.Addr{other} })},
	{"another version", relayFile, speaks(func(s *segment.Speaker) { s.Version = 2 })},
	{"another interval", relayFile, speaks(func(s *segment.Speaker) { s.Interval = 2 * time.Second })},
	{"a password", relayFile, speaks(func(s *segment.Speaker) { s.Auth = segment.AuthPass })},
	{"more VIPs", relayFile, speaks(func(s *segment.Speaker) { s.VIPs = []netip.Addr{vip, other} })},
	{"another VRID with the VIP", relayFile, speaks(func(s *segment.Speaker) { s.VRID = 21 })},
	{"another VRID with others", relayFile, speaks(func(s *segment.Speaker) { s.VRID, s.VIPs = 21, []netip.Addr{other} })},
	{"this node itself", relayFile, speaks(func(s *segment.Speaker) { s.ThisNode, s.VIPs = true, []netip.Addr{other} })},
	{"this node itself, of another VRID", relayFile, speaks(func(s *segment.Speaker) { s.ThisNode, s.VRID = true, 21 })},
	{"two masters, and from behind a router", relayFile, func(f *Facts) {
		f.Adverts.Flags = []segment.Flag{
			{Code: segment.CodeTwoMasters, Router: speaker().Router, Detail: "192.0.2.2 and 192.0.2.3"},
			{Code: segment.CodeTTL, Router: speaker().Router, Source: other, Detail: "TTL 254"},
			{Code: segment.CodeTTL, Router: segment.Router{Interface: "eth0", VRID: 99, Family: "ipv4"}, Source: first, Detail: "TTL 254"},
		}
	}},

	{"what the daemon says", relayFile, says(func(s *director.Status, i *director.InstanceStatus) {
		s.Reload.Error = "lvsd.toml:3:1: vrrp.vird: no such key"
		s.Reconcile.Error = "add VIP: no such device"
		s.Drift = []director.DriftStatus{{Found: "weight 7", Op: "ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.11:25 -g -w 1"}}
		i.Faults = []string{"tracker uplink: no carrier"}
		i.Notices = []director.NoticeStatus{
			{Kind: "two_masters", Peer: "192.0.2.2", Detail: "priority 100"},
			{Kind: "clock", Peer: "192.0.2.2", Detail: "10s"},
			{Kind: "unknown_source", Peer: "192.0.2.9", Detail: "no peer"},
		}
	})},
	{"what the daemon may not do", relayFile, all(says(func(*director.Status, *director.InstanceStatus) {}), func(f *Facts) {
		f.DaemonMay = map[string]bool{capNetAdmin: false, capNetRaw: false}
	})},
	{"what the daemon may do", relayFile, all(says(func(*director.Status, *director.InstanceStatus) {}), func(f *Facts) {
		f.DaemonMay = map[string]bool{capNetAdmin: true, capNetRaw: true}
	})},
}

func parse(t *testing.T, file string) *config.Config {
	t.Helper()
	c, err := config.Parse("lvsd.toml", []byte(file), "node")
	if err != nil {
		t.Fatalf("%v in:\n%s", err, file)
	}
	return c
}

func TestFindings(t *testing.T) {
	var b strings.Builder
	for _, test := range findingTests {
		c := parse(t, test.file)
		facts := healthy(c)
		test.edit(&facts)
		report := Examine(&Case{Config: c, Facts: facts})
		fmt.Fprintf(&b, "== %s: wrong %v, ok %d\n", test.name, report.Wrong(), report.OK)
		for _, f := range report.Findings {
			fmt.Fprintf(&b, "%s: %s %s: %s: %s\n  breaks: %s\n", f.Check, f.Severity, f.ID, f.Subject, f.What, f.Breaks)
			for _, line := range [][2]string{{"edit", f.Edit}, {"on", f.On}, {"mend", f.Mend}} {
				if line[1] != "" {
					fmt.Fprintf(&b, "  %s: %s\n", line[0], line[1])
				}
			}
		}
	}
	path := filepath.Join("testdata", "findings.want")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
