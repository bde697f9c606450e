package doctor

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/segment"
)

// relayFile is a director and real server at once, natFile a gateway of real
// servers, tunnelFile one whose real servers are behind routers.
const (
	relayFile = `
[[vrrp]]
name = "relay"
interface = "eth0"
vrid = 20
vips = ["192.0.2.100"]
serve_on_backup = true
[sync]
[[virtual_service]]
name = "smtp"
address = "192.0.2.100:25"
protocol = "tcp"
forwarding = "dr"
  [[virtual_service.real_server]]
  address = "192.0.2.11"
  [[virtual_service.real_server]]
  address = "192.0.2.12"
`
	natFile = `
[[vrrp]]
name = "outside"
interface = "eth0"
vrid = 20
vips = ["192.0.2.100"]
[[virtual_service]]
name = "web"
address = "192.0.2.100:80"
protocol = "tcp"
forwarding = "nat"
  [[virtual_service.real_server]]
  address = "10.0.0.11:8080"
`
	insideFile = `
[[vrrp]]
name = "inside"
interface = "eth1"
vrid = 21
vips = ["10.0.0.254"]
`
	groupFile = `
[[sync_group]]
name = "gateway"
instances = ["outside", "inside"]
`
	tunnelFile6 = `
[[vrrp]]
name = "relay"
interface = "eth0"
vrid = 20
vips = ["fe80::100", "2001:db8::100"]
[[virtual_service]]
name = "web"
address = "[2001:db8::100]:80"
protocol = "tcp"
forwarding = "tun"
  [[virtual_service.real_server]]
  address = "2001:db8:1::11"
`
	tunnelFile = `
[[vrrp]]
name = "relay"
interface = "eth0"
vrid = 20
vips = ["192.0.2.100"]
[[virtual_service]]
name = "web"
address = "192.0.2.100:80"
protocol = "tcp"
forwarding = "tun"
  [[virtual_service.real_server]]
  address = "10.1.0.11"
`
)

// vip and the others are those of the files.
var (
	vip    = netip.MustParseAddr("192.0.2.100")
	first  = netip.MustParseAddr("192.0.2.11")
	second = netip.MustParseAddr("192.0.2.12")
	inner  = netip.MustParseAddr("10.0.0.11")
	far    = netip.MustParseAddr("10.1.0.11")
	// other is another node.
	other = netip.MustParseAddr("192.0.2.2")

	firstMAC  = netif.MAC{2, 0, 0, 0, 0, 1}
	secondMAC = netif.MAC{2, 0, 0, 0, 0, 2}
	thirdMAC  = netif.MAC{2, 0, 0, 0, 0, 3}
)

// healthy are the facts of a host in order: a BACKUP beside a MASTER, without a
// daemon.
func healthy(c *config.Config) Facts {
	f := Facts{
		Sysctls: map[string]string{
			conntrackCount: "10", conntrackMax: "65536",
			"net.ipv4.conf.all.rp_filter": "0", "net.ipv4.conf.eth0.rp_filter": "0",
			"net.ipv4.conf.all.arp_ignore": "1", "net.ipv4.conf.eth0.arp_ignore": "0",
		},
		Links: map[string]Link{"eth0": {MTU: 1500, Up: true}, "eth1": {MTU: 1500, Up: true}},
		Addresses: []netif.Address{
			{Interface: "lo", Addr: netip.MustParseAddr("127.0.0.1"), Bits: 8},
			{Interface: "eth0", Addr: netip.MustParseAddr("192.0.2.1"), Bits: 24},
			{Interface: "eth1", Addr: netip.MustParseAddr("10.0.0.1"), Bits: 24},
		},
		Routes: map[netip.Addr]Route{
			netip.IPv4Unspecified(): {Interface: "eth0", Gateway: netip.MustParseAddr("192.0.2.254")},
			first:                   {Interface: "eth0", MTU: 1500},
			second:                  {Interface: "eth0", MTU: 1500},
			inner:                   {Interface: "eth1", MTU: 1500},
			far:                     {Interface: "eth0", MTU: 1520, Gateway: netip.MustParseAddr("192.0.2.254")},
		},
		Answers: map[Place][]netif.MAC{
			{"eth0", vip}: {secondMAC}, {"eth0", first}: {thirdMAC}, {"eth0", second}: {firstMAC},
		},
		Adverts: &segment.Report{Speakers: []segment.Speaker{speaker()}},
		Clock:   ClockInTime,
	}
	for _, r := range director.Requirements(c) {
		f.Sysctls[r.Name] = r.Value
	}
	return f
}

// speaker is the MASTER, which is another node.
func speaker() segment.Speaker {
	return segment.Speaker{
		Router: segment.Router{Interface: "eth0", VRID: 20, Family: "ipv4"}, Source: other, State: segment.Master,
		Version: 3, Interval: time.Second, Auth: segment.AuthNone, VIPs: []netip.Addr{vip},
	}
}

// speaks replaces the speaker by one that differs.
func speaks(edit func(*segment.Speaker)) func(*Facts) {
	return func(f *Facts) { edit(&f.Adverts.Speakers[0]) }
}

// says adds a daemon that says this of its instance.
func says(edit func(*director.Status, *director.InstanceStatus)) func(*Facts) {
	return func(f *Facts) {
		f.Status = &director.Status{PID: 4711}
		i := director.InstanceStatus{Name: "relay", State: "backup", Master: other.String()}
		edit(f.Status, &i)
		f.Status.Instances = append(f.Status.Instances, i)
	}
}

// input is the table filter with this policy and these rules of INPUT.
func input(policy string, rules ...string) func(*Facts) {
	text := fmt.Sprintf("*filter\n:INPUT %s [0:0]\n:allow - [0:0]\n:before - [0:0]\n:limit - [0:0]\n%s\nCOMMIT\n", policy, strings.Join(rules, "\n"))
	return func(f *Facts) { f.Rulesets, f.NFTables = []Ruleset{ParseRuleset(text)}, true }
}

// prerouting is the table nat with these rules of PREROUTING.
func prerouting(legacy bool, rules ...string) Ruleset {
	r := ParseRuleset("*nat\n:PREROUTING ACCEPT [0:0]\n" + strings.Join(rules, "\n") + "\nCOMMIT\n")
	r.Legacy = legacy
	return r
}

func all(edits ...func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		for _, edit := range edits {
			edit(f)
		}
	}
}

// set gives parameters values.
func set(pairs ...string) func(*Facts) {
	return func(f *Facts) {
		for i := 0; i < len(pairs); i += 2 {
			f.Sysctls[pairs[i]] = pairs[i+1]
		}
	}
}

func has(ifname string, addr netip.Addr) func(*Facts) {
	return func(f *Facts) { f.Addresses = append(f.Addresses, netif.HostAddress(ifname, addr)) }
}

func answers(ifname string, addr netip.Addr, macs ...netif.MAC) func(*Facts) {
	return func(f *Facts) { f.Answers[Place{ifname, addr}] = macs }
}

func routes(addr netip.Addr, route Route) func(*Facts) {
	return func(f *Facts) { f.Routes[addr] = route }
}
