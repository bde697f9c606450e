package segment

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/vrrp"
)

var update = flag.Bool("update", false, "rewrite the golden files; commit them only if you understand every change")

// start is when the tests' time begins.
var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

type captured struct {
	name  string
	bytes []byte
}

// capturedPackets reads testdata/packets.txt.
func capturedPackets(tb testing.TB) (all []captured) {
	tb.Helper()
	file, err := os.Open("testdata/packets.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, text, ok := strings.Cut(lines.Text(), " ")
		if !ok || name == "#" {
			continue
		}
		b, err := hex.DecodeString(text)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		all = append(all, captured{name, b})
	}
	if err := lines.Err(); err != nil || len(all) == 0 {
		tb.Fatalf("%d packets, %v", len(all), err)
	}
	return all
}

// TestCapturedPackets compares what is said of each packet by itself with
// testdata/speakers.want.
func TestCapturedPackets(t *testing.T) {
	var b strings.Builder
	for _, c := range capturedPackets(t) {
		fmt.Fprintf(&b, "%s\n", c.name)
		p, ok := Parse(c.bytes)
		if !ok {
			b.WriteString("  not VRRP\n")
			continue
		}
		p.Interface, p.Received = "eth0", start
		table := NewTable()
		table.Observe(p)
		report := table.Report(start, true)
		for _, s := range report.Speakers {
			fmt.Fprintf(&b, "  %s vrid %d: %s to %s ttl %d: %s, version %d, priority %d, interval %v, auth %s %q, checksum %s, VIPs %s\n",
				s.Family, s.VRID, s.Source, s.Destination, s.TTL, s.State, s.Version, s.Priority, s.Interval, s.Auth, s.Password,
				s.Checksum, joinAddrs(s.VIPs))
		}
		for _, f := range report.Flags {
			fmt.Fprintf(&b, "  ! %s: %s\n", f.Code, f.Detail)
		}
	}
	const golden = "testdata/speakers.want"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("speakers (-want +got):\n%s", diff)
	}
}

// FuzzObserve feeds packets to a Table: nothing breaks it, what it says can be
// printed, and it says of a packet only what is in it.
func FuzzObserve(f *testing.F) {
	for _, c := range capturedPackets(f) {
		f.Add(c.bytes, false)
	}
	f.Fuzz(func(t *testing.T, b []byte, again bool) {
		p, ok := Parse(b)
		if !ok {
			return
		}
		if len(p.Payload) > len(b) || p.Broken != nil && p.Payload != nil && p.AH {
			t.Fatalf("%+v of %x", p, b)
		}
		p.Received = start
		table := NewTable()
		table.Observe(p)
		if again {
			p.Received = start.Add(time.Second)
			if changes := table.Observe(p); len(changes) > 0 {
				t.Errorf("the same again changed %v", changes)
			}
		}
		report := table.Report(p.Received, true)
		if len(report.Speakers) != 1 {
			t.Fatalf("%d speakers of one packet", len(report.Speakers))
		}
		s := report.Speakers[0]
		var a vrrp.Advert
		valid := p.Broken == nil && a.Parse(p.Payload, p.Source, p.Destination) == vrrp.Accepted
		if valid != (s.Adverts > 0) || valid && (s.Priority != a.Priority || s.VRID != a.VRID || len(s.VIPs) != len(a.Addresses)) {
			t.Errorf("speaker %+v of advert %+v", s, a)
		}
		if _, err := json.Marshal(report); err != nil {
			t.Error(err)
		}
		table.Advance(start.Add(2 * time.Hour))
		if report := table.Report(start.Add(2*time.Hour), false); len(report.Speakers)+len(report.Flags) > 0 {
			t.Errorf("not forgotten: %+v", report)
		}
	})
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
