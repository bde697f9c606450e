package ipvsadm

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
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
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			fatal(t, WriteTable(&got, kernel, c.services, c.options))
			wantGolden(t, name, got.String())
		})
	}
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
		got := sorted(given, compareDestinations)
		if got[0] != given[0] {
			t.Errorf("%s: %v is sorted before %v", want, got[0], got[1])
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

func TestWriteErrors(t *testing.T) {
	full := writerFunc(func([]byte) (int, error) { return 0, os.ErrDeadlineExceeded })
	none := ipvs.Connections(strings.NewReader(""))
	for name, err := range map[string]error{
		"table":       WriteTable(full, kernel, everyColumn, Options{}),
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
