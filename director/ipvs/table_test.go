package ipvs

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// tableSample is what Linux 6.1 writes, with HZ 250.
const tableSample = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  C0000201:0050 wlc  
  -> [2001:0db8:0000:0000:0000:0000:0000:0001]:0050      Tunnel  1      0          0         
  -> C000020B:0050      Route   3      7          2147483647
UDP  C0000201:0035 rr ops  persistent 15000 FFFFFF00
TCP  [2001:0db8:0000:0000:0000:0000:0000:0005]:0050 rr persistent 15000 40000000
  -> [2001:0db8:0000:0000:0000:0000:0000:0006]:FFFF      Masq    65535  -1         0         
SCTP  C0000201:0035 sh  
FWM  00000007 none ops 
  -> 7F000001:0000      Local   0      0          0         
FWM  FFFFFFFF wlc persistent 669600000 FFFFFFFF
`

func TestTableLines(t *testing.T) {
	var got []string
	for line, err := range tableLines(strings.NewReader(tableSample)) {
		fatal(t, err)
		if line.service {
			got = append(got, line.key.String())
			continue
		}
		d := line.destination
		got = append(got, fmt.Sprint(d.Destination, " ", d.Active, " ", d.Inactive))
	}
	want := []string{
		"tcp 192.0.2.1:80",
		"[2001:db8::1]:80 Tunnel weight 1 0 0",
		"192.0.2.11:80 Route weight 3 7 2147483647",
		"udp 192.0.2.1:53",
		"tcp [2001:db8::5]:80",
		"[2001:db8::6]:65535 Masq weight 65535 4294967295 0",
		"sctp 192.0.2.1:53",
		"fwmark 7",
		"127.0.0.1:0 Local weight 0 0 0",
		"fwmark 4294967295",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("read\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTableFaults(t *testing.T) {
	header := strings.Join(strings.SplitAfterN(tableSample, "\n", 4)[:3], "")
	for bad, want := range map[string]string{
		"TCQ  C0000201:0050 wlc\n":              `line 4: protocol "TCQ"`,
		"TCP  C000020:0050 wlc\n":               `line 4: address "C000020:0050"`,
		"TCP  C0000201:005 wlc\n":               `line 4: port "C0000201:005"`,
		"TCP  C0000201 wlc\n":                   `line 4: address "C0000201"`,
		"TCP\n":                                 `line 4: address ""`,
		"\n":                                    `line 4: protocol ""`,
		"FWM  00000000 wlc\n":                   `line 4: mark "00000000"`,
		"FWM  7 wlc\n":                          `line 4: mark "7"`,
		"  -> C000020B:0050 Rout 3 0 0\n":       `line 4: forwarding method "Rout"`,
		"  -> C000020B:0050 Route 3 0\n":        `line 4: number ""`,
		"  -> C000020B:0050 Route x 0 0\n":      `line 4: number "x"`,
		"  -> C000020B:0050 Route - 0 0\n":      `line 4: number "-"`,
		"  -> [2001:db8::1]:0050 Route 3 0 0\n": `line 4: address "[2001:db8::1]:0050"`,
		"TCP  [2001-0db8:0000:0000:0000:0000:0000:0001]:0050 rr\n": `line 4: address "[2001-0db8:0000:0000:0000:0000:0000:0001]:0050"`,
		"TCP  C0000201:0050 wlc":                                   "line 4: EOF",
		"TCP  " + strings.Repeat("C", 1<<15) + "\n":                "line 4: bufio: buffer full",
		"  -> C000020B:0050 Route 99999999999 0 0\n":               `line 4: number "99999999999"`,
	} {
		var last error
		for _, err := range tableLines(strings.NewReader(header + bad)) {
			last = err
		}
		if last == nil || last.Error() != want {
			t.Errorf("%.40q: error %v, want %s", bad, last, want)
		}
	}
}

// FuzzTable looks for a table that makes the reader panic, and for lines with a
// service that cannot be.
func FuzzTable(f *testing.F) {
	f.Add([]byte(tableSample))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		for line, err := range tableLines(bytes.NewReader(b)) {
			switch {
			case err != nil:
				if line != nil {
					t.Error("both a line and an error")
				}
			case line.service && (line.key.Mark != 0) == line.key.Address.IsValid():
				t.Errorf("service %+v has both a mark and an address, or neither", line.key)
			case !line.service && !line.destination.Address.IsValid():
				t.Error("destination without address")
			}
			n++
		}
		if lines := bytes.Count(b, []byte("\n")) + 1; n > lines {
			t.Errorf("%d lines of %d", n, lines)
		}
	})
}

func TestServiceIndex(t *testing.T) {
	tcp := key(TCP, "192.0.2.1:25")
	keys := []ServiceKey{
		tcp, key(UDP, "192.0.2.1:25"), key(TCP, "[2001:db8::1]:25"),
		{Family: IPv6, Mark: 7},
		{Family: IPv4, Mark: 7},
		{Family: IPv6, Mark: 8},
	}
	services := make([]ServiceEntry, len(keys))
	for i, k := range keys {
		services[i].ServiceKey = k
	}
	x := newServiceIndex(services)
	for _, c := range []struct {
		key  ServiceKey
		want int
	}{
		{keys[0], 0},
		{keys[1], 1},
		{keys[2], 2}, // in order
		{ServiceKey{Mark: 7}, -1},
		{ServiceKey{Mark: 8}, 5},
		{ServiceKey{Mark: 9}, -1},
		{keys[1], 1},
		{keys[0], 0},
		{key(TCP, "192.0.2.9:25"), -1},
		{keys[2], 2},
	} {
		if got := x.find(c.key); got != c.want {
			t.Errorf("%v: %d, want %d", c.key, got, c.want)
		}
	}
}

func BenchmarkTableLines(b *testing.B) {
	var text strings.Builder
	parts := strings.SplitAfterN(tableSample, "\n", 4)
	text.WriteString(strings.Join(parts[:3], ""))
	const services = 1000
	for range services {
		text.WriteString("TCP  C0000201:0050 wlc  \n")
		for range 10 {
			text.WriteString("  -> C000020B:0050      Route   3      7          0         \n")
		}
	}
	b.ReportAllocs()
	var last netip.AddrPort
	for b.Loop() {
		for line, err := range tableLines(strings.NewReader(text.String())) {
			if err != nil {
				b.Fatal(err)
			}
			last = line.destination.Address
		}
	}
	_ = last
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/services, "ns/service")
}
