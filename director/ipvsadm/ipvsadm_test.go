package ipvsadm

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director/ipvs"
)

// The golden files are the output of ipvsadm 1.31 on Linux 6.1 with glibc 2.36,
// and not to be made from this package's own.

var kernel = ipvs.Info{Version: 0x010201, TableSize: 4096}

func TestWriteTable(t *testing.T) {
	for name, c := range map[string]struct {
		services []ipvs.ServiceEntry
		options  Options
	}{
		"table-numeric": {everyColumn, Options{}},
		"table-names":   {everyColumn, Options{Names: exampleNames(t)}},
		"table-rare":    {rareColumns, Options{}},
		"table-sorted":  {parseTable(t, "table-unsorted"), Options{}},

		"stats-names":        {everyColumn, Options{Names: exampleNames(t), Columns: Stats}},
		"rate-numeric":       {everyColumn, Options{Columns: Rate}},
		"thresholds-names":   {everyColumn, Options{Names: exampleNames(t), Columns: Thresholds}},
		"persistent-numeric": {everyColumn, Options{Columns: Persistent}},
		"tunnel-numeric":     {everyColumn, Options{Columns: Tunnel}},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			fatal(t, WriteTable(&got, kernel, c.services, c.options))
			wantGolden(t, name, got.String())
		})
	}
}

func TestWriteService(t *testing.T) {
	find := func(k ipvs.ServiceKey) ipvs.ServiceEntry {
		return everyColumn[slices.IndexFunc(everyColumn, func(s ipvs.ServiceEntry) bool { return s.ServiceKey == k })]
	}
	for name, c := range map[string]struct {
		service ipvs.ServiceEntry
		options Options
	}{
		"service-names": {find(key(ipvs.TCP, "10.9.0.100:80")), Options{Names: exampleNames(t)}},
		"service-stats": {find(mark(ipvs.IPv6, 78)), Options{Columns: Stats}},
	} {
		var got bytes.Buffer
		fatal(t, WriteService(&got, c.service, c.options))
		wantGolden(t, name, got.String())
	}
}

func TestWriteRules(t *testing.T) {
	for name, o := range map[string]Options{
		"rules-numeric": {},
		"rules-names":   {Names: exampleNames(t)},
	} {
		var got bytes.Buffer
		fatal(t, WriteRules(&got, everyColumn, o))
		wantGolden(t, name, got.String())
	}
}

// TestRareRules covers what the golden files of rules lack.
func TestRareRules(t *testing.T) {
	rare := ipvs.Service{
		ServiceKey: mark(ipvs.IPv4, 4294967295), Scheduler: "rr", Engine: "sip", Timeout: time.Minute, Granularity: 32,
		Flags: ipvs.Persistent | ipvs.OnePacket | ipvs.Sched3,
	}
	want := "-A -f -1 -s rr -p 60 --pe sip -o -b flag-3\n" +
		"-a -f -1 -r 10.9.0.11:0 -g -w 2\n"
	var got bytes.Buffer
	fatal(t, WriteRules(&got, []ipvs.ServiceEntry{entry(rare, destination("10.9.0.11:0", ipvs.Local, 2))}, Options{}))
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteDaemons(t *testing.T) {
	backup := ipvs.Daemon{
		State: ipvs.DaemonBackup, Interface: "dummy0", MaxLen: 1472,
		Group: netip.MustParseAddr("224.0.0.81"), Port: 8848, TTL: 1,
	}
	master := ipvs.Daemon{
		State: ipvs.DaemonMaster, Interface: "dummy0", ID: 51, MaxLen: 1300,
		Group: netip.MustParseAddr("ff05::81"), Port: 9000, TTL: 3,
	}
	for name, daemons := range map[string][]ipvs.Daemon{
		"daemons-one": {backup}, "daemons": {backup, master},
	} {
		var got bytes.Buffer
		fatal(t, WriteDaemons(&got, daemons))
		wantGolden(t, name, got.String())
	}
}

func TestWriteTimeouts(t *testing.T) {
	var got bytes.Buffer
	fatal(t, WriteTimeouts(&got, ipvs.Timeouts{TCP: 15 * time.Minute, TCPFin: 2 * time.Minute, UDP: 31 * time.Second}))
	wantGolden(t, "timeouts", got.String())
}

func TestKernelOrder(t *testing.T) {
	unsorted := parseTable(t, "table-unsorted")
	var got bytes.Buffer
	fatal(t, WriteTable(&got, kernel, unsorted, Options{KernelOrder: true}))
	wantGolden(t, "table-unsorted", got.String())
}

func TestWriteTableLeavesTheOrder(t *testing.T) {
	services := parseTable(t, "table-unsorted")
	var first, second bytes.Buffer
	fatal(t, WriteTable(&first, kernel, services, Options{}))
	fatal(t, WriteTable(&second, kernel, services, Options{}))
	if first.String() != second.String() {
		t.Error("printing twice gives different tables")
	}
}

// TestMixedFamilies has two destinations of which an IPv4 address is the first
// word of an IPv6 one. ipvsadm finds them equal when the IPv4 address comes
// first, and then keeps the kernel's order.
func TestMixedFamilies(t *testing.T) {
	v4 := destination("32.1.13.184:80", ipvs.Tunnel, 1)
	v6 := destination("[2001:db8:9000::1]:80", ipvs.Tunnel, 1)
	for want, given := range map[string][]ipvs.DestinationEntry{
		"IPv4 first": {v4, v6},
		"IPv6 first": {v6, v4},
	} {
		var byAddress order[ipvs.DestinationEntry]
		got := byAddress.of(given, false, compareDestinations)
		if *got[0] != given[0] {
			t.Errorf("%s: %v is sorted before %v", want, got[0], got[1])
		}
	}
}

// TestNumbers covers what ipvsadm was not recorded with, by its format strings.
func TestNumbers(t *testing.T) {
	const large = 123456789012345
	everyUnit := ipvs.Stats{
		Connections: 99999999, InPackets: 100000000, OutPackets: 1999999999, InBytes: 123456789012, OutBytes: large,
		ConnectionRate: 99999999, InPacketRate: 100000000, OutPacketRate: 7, InByteRate: 1e11 - 1, OutByteRate: 1e14 - 1,
	}
	s := tcp("10.9.0.100:80", "rr", limited(destination("10.9.0.11:80", ipvs.Masquerade, 3), 1<<31-1, 2147483646))
	s.Stats, s.Destinations[0].Stats = everyUnit, everyUnit
	s.Destinations[0].Active, s.Destinations[0].Inactive, s.Destinations[0].Persistent = 1, 22, 4294967295
	for _, c := range []struct {
		options Options
		rows    string
	}{
		{Options{Columns: Stats}, "" +
			"TCP  10.9.0.100:80                99999999  100000K    1999M     123G     123T\n" +
			"  -> 10.9.0.11:80                 99999999  100000K    1999M     123G     123T\n"},
		{Options{Columns: Stats, Exact: true}, "" +
			"TCP  10.9.0.100:80                99999999 100000000 1999999999 123456789012 123456789012345\n" +
			"  -> 10.9.0.11:80                 99999999 100000000 1999999999 123456789012 123456789012345\n"},
		{Options{Columns: Rate}, "" +
			"TCP  10.9.0.100:80                99999999  100000K        7   99999M   99999G\n" +
			"  -> 10.9.0.11:80                 99999999 100000000        7   99999M   99999G\n"},
		{Options{Columns: Rate, Exact: true}, "" +
			"TCP  10.9.0.100:80                99999999 100000000        7 99999999999 99999999999999\n" +
			"  -> 10.9.0.11:80                 99999999 100000000        7 99999999999 99999999999999\n"},
		{Options{Columns: Thresholds}, "" +
			"TCP  10.9.0.100:80 rr\n" +
			"  -> 10.9.0.11:80                 2147483647 2147483646 1          22        \n"},
		{Options{Columns: Persistent}, "" +
			"TCP  10.9.0.100:80 rr\n" +
			"  -> 10.9.0.11:80                 3         4294967295  1          22        \n"},
	} {
		var got bytes.Buffer
		fatal(t, WriteService(&got, s, c.options))
		rows := strings.TrimPrefix(got.String(), c.options.Columns.title())
		if diff := cmp.Diff(c.rows, rows); diff != "" {
			t.Errorf("%+v (-want +got)\n%s", c.options, diff)
		}
	}
}

// TestEncapsulation covers what ipvsadm was not recorded with.
func TestEncapsulation(t *testing.T) {
	for _, c := range []struct {
		tunnel     ipvs.TunnelInfo
		info, rule string
	}{
		{ipvs.TunnelInfo{}, "ipip         ", "ipip"},
		{
			ipvs.TunnelInfo{Type: ipvs.GUE, Port: 65535, Flags: ipvs.TunnelRemoteChecksum},
			"gue:65535:r+c", "gue --tun-port 65535 --tun-remcsum",
		},
		{ipvs.TunnelInfo{Type: ipvs.GUE, Port: 1, Flags: ipvs.TunnelChecksum}, "gue:1:+c     ", "gue --tun-port 1 --tun-csum"},
		{ipvs.TunnelInfo{Type: ipvs.GRE}, "gre:-c       ", "gre --tun-nocsum"},
	} {
		d := tunnelled("10.9.0.11:80", c.tunnel)
		if got := string(appendEncapsulation(nil, &d)); got != c.info {
			t.Errorf("%v: got %q, want %q", c.tunnel, got, c.info)
		}
		if got, want := string(appendTunnelOptions(nil, c.tunnel)), " --tun-type "+c.rule; got != want {
			t.Errorf("%v: got %q, want %q", c.tunnel, got, want)
		}
	}
}

// TestRows covers what ipvsadm was not recorded with, by its format strings.
func TestRows(t *testing.T) {
	service := func(change func(*ipvs.ServiceEntry)) ipvs.ServiceEntry {
		s := tcp("10.9.0.100:80", "rr", destination("10.9.0.11:80", ipvs.Masquerade, 1))
		change(&s)
		return s
	}
	long := Options{Names: hostName(strings.Repeat("x", 70))}
	for want, c := range map[string]struct {
		service ipvs.ServiceEntry
		options Options
	}{
		"  -> 10.9.0.11:80                 Masq    1      4294967295 7         \n": {service: service(func(s *ipvs.ServiceEntry) {
			s.Destinations[0].Active, s.Destinations[0].Inactive, s.Destinations[0].Persistent = 4294967295, 7, 9
		})},
		"  -> 10.9.0.11:80                 (null)  1      0          0         \n": {service: service(func(s *ipvs.ServiceEntry) {
			s.Destinations[0].Forwarding = ipvs.Bypass
		})},
		"  -> 10.9.0.11:80                 Local   1      0          0         \n": {service: service(func(s *ipvs.ServiceEntry) {
			s.Destinations[0].Forwarding = ipvs.Local
		})},
		"?    10.9.0.100:80 rr\n": {service: service(func(s *ipvs.ServiceEntry) { s.Protocol = 50 })},
		"UDP  10.9.0.100:80 rr persistent 120 pe sip ops\n": {service: service(func(s *ipvs.ServiceEntry) {
			s.Protocol, s.Flags = ipvs.UDP, ipvs.Persistent|ipvs.OnePacket
			s.Timeout, s.Engine = 2*time.Minute, "sip"
		})},
		"TCP  10.9.0.100:80 rr\n":                   {service: service(func(s *ipvs.ServiceEntry) { s.Engine = "sip" })},
		"TCP  " + strings.Repeat("x", 28) + " rr\n": {service(func(*ipvs.ServiceEntry) {}), long},
		"TCP  [" + strings.Repeat("x", 58) + " rr\n": {service(func(s *ipvs.ServiceEntry) {
			s.ServiceKey = key(ipvs.TCP, "[fd00:9::100]:80")
		}), long},
	} {
		var got bytes.Buffer
		fatal(t, WriteTable(&got, kernel, []ipvs.ServiceEntry{c.service}, c.options))
		if !strings.Contains(got.String(), want) {
			t.Errorf("got\n%swithout\n%s", &got, want)
		}
	}
}

func TestWriteConnections(t *testing.T) {
	for name, o := range map[string]Options{
		"connections-numeric": {},
		"connections-names":   {Names: exampleNames(t)},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := os.Open("testdata/ip_vs_conn.txt")
			fatal(t, err)
			defer table.Close()
			var got bytes.Buffer
			fatal(t, WriteConnections(&got, ipvs.Connections(table), o))
			wantGolden(t, name, got.String())
		})
	}
}

// TestEngineConnections covers the rows that TestConnectionsAgainstIPVSADM finds
// on a real kernel.
func TestEngineConnections(t *testing.T) {
	table := "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n" +
		"UDP 0A090064 0000 0A090064 13C4 0A09000B 13C4 UDP              29 sip 3848276298@example.com\n" +
		"UDP 0A090064 8235 0A090064 0035 0A09000B 14E9 UDP             299\n"
	want := "IPVS connection entries\n" +
		"pro expire state       source             virtual            destination        pe name          pe_data\n" +
		"UDP 00:29  UDP         10.9.0.100:0       10.9.0.100:5060    10.9.0.11:5060   sip                3848276298@example.com\n" +
		"UDP 04:59  UDP         10.9.0.100:33333   10.9.0.100:53      10.9.0.11:5353\n"
	var got bytes.Buffer
	fatal(t, WriteConnections(&got, ipvs.Connections(strings.NewReader(table)), Options{Columns: Persistent}))
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestWriteErrors(t *testing.T) {
	services := everyColumn[:1]
	full := writerFunc(func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded })
	none := ipvs.Connections(strings.NewReader(""))
	for name, err := range map[string]error{
		"table":       WriteTable(full, kernel, everyColumn, Options{}),
		"service":     WriteService(full, services[0], Options{}),
		"rules":       WriteRules(full, services, Options{}),
		"timeouts":    WriteTimeouts(full, ipvs.Timeouts{}),
		"daemons":     WriteDaemons(full, []ipvs.Daemon{{State: ipvs.DaemonMaster}}),
		"connections": WriteConnections(full, none, Options{}),
	} {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: error %v, want that of the writer", name, err)
		}
	}
	var got bytes.Buffer
	broken := ipvs.Connections(strings.NewReader("Pro\nTCP"))
	if err := WriteConnections(&got, broken, Options{}); err == nil || !strings.Contains(got.String(), "pro expire") {
		t.Errorf("error %v after %q", err, &got)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func wantGolden(t *testing.T, name, got string) {
	t.Helper()
	want, err := os.ReadFile("testdata/" + name + ".txt")
	fatal(t, err)
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-ipvsadm +got)\n%s", diff)
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// parseTable reads a table that was printed with numbers and without flags, in
// the order in which it was printed.
func parseTable(t *testing.T, name string) []ipvs.ServiceEntry {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name + ".txt")
	fatal(t, err)
	var all []ipvs.ServiceEntry
	for _, line := range strings.Split(string(text), "\n")[3:] {
		switch f := strings.Fields(line); {
		case len(f) == 3 && f[0] == "TCP":
			all = append(all, tcp(f[1], f[2]))
		case len(f) == 6 && f[0] == "->":
			method := map[string]ipvs.Forwarding{"Masq": ipvs.Masquerade, "Tunnel": ipvs.Tunnel}[f[2]]
			last := &all[len(all)-1]
			last.Destinations = append(last.Destinations, destination(f[1], method, 1))
		case line != "":
			t.Fatalf("%s: %q", name, line)
		}
	}
	return all
}

func key(p ipvs.Protocol, address string) ipvs.ServiceKey {
	k := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: p, Address: netip.MustParseAddrPort(address)}
	if k.Address.Addr().Is6() {
		k.Family = ipvs.IPv6
	}
	return k
}

func destination(address string, f ipvs.Forwarding, weight int) ipvs.DestinationEntry {
	return ipvs.DestinationEntry{Destination: ipvs.Destination{
		Address: netip.MustParseAddrPort(address), Forwarding: f, Weight: weight,
	}}
}

func limited(d ipvs.DestinationEntry, upper, lower uint32) ipvs.DestinationEntry {
	d.Upper, d.Lower = upper, lower
	return d
}

func tunnelled(address string, how ipvs.TunnelInfo) ipvs.DestinationEntry {
	d := destination(address, ipvs.Tunnel, 1)
	d.Tunnel = how
	return d
}

func entry(s ipvs.Service, destinations ...ipvs.DestinationEntry) ipvs.ServiceEntry {
	if s.Granularity == 0 && s.Flags&ipvs.Persistent == 0 {
		s.Granularity = s.Family.Bits()
	}
	return ipvs.ServiceEntry{Service: s, Destinations: destinations}
}

func tcp(address, scheduler string, destinations ...ipvs.DestinationEntry) ipvs.ServiceEntry {
	return entry(ipvs.Service{ServiceKey: key(ipvs.TCP, address), Scheduler: scheduler}, destinations...)
}

func mark(f ipvs.Family, n uint32) ipvs.ServiceKey {
	return ipvs.ServiceKey{Family: f, Mark: n}
}

// hostName is the name of every host.
type hostName string

func (n hostName) Host(netip.Addr) string               { return string(n) }
func (n hostName) Service(uint16, ipvs.Protocol) string { return "" }

// names are SystemNames with hosts of our own.
type names struct {
	*SystemNames
	hosts map[string]string
}

func (n names) Host(a netip.Addr) string { return n.hosts[a.String()] }

// exampleNames are the names that the host had where ipvsadm was recorded.
func exampleNames(t *testing.T) Names {
	t.Helper()
	services, err := os.Open("testdata/services.txt")
	fatal(t, err)
	defer services.Close()
	system, err := NewSystemNames(t.Context(), services)
	fatal(t, err)
	return names{system, map[string]string{
		"10.9.0.100": "relay.example.com",
		"10.9.0.11":  "mx1.a-rather-long-domain-name.example.com",
		"10.9.0.12":  "mx2",
		"fd00:9::11": "v6host.example.com",
	}}
}
