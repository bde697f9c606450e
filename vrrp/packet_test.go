package vrrp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var compareAddr = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

// captured is a line of testdata/adverts.txt.
type captured struct {
	name     string
	src, dst netip.Addr
	advert   Advert
	message  []byte
}

func readCaptured(tb testing.TB) []captured {
	tb.Helper()
	text, err := os.ReadFile("testdata/adverts.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var all []captured
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		all = append(all, parseCaptured(tb, strings.Fields(line)))
	}
	return all
}

func parseCaptured(tb testing.TB, f []string) captured {
	tb.Helper()
	value := func(i int, key string) string {
		v, ok := strings.CutPrefix(f[i], key)
		if !ok {
			tb.Fatalf("%s: field %d: want %s", f[0], i, key)
		}
		return v
	}
	number := func(s string) uint8 {
		n, err := strconv.ParseUint(s, 10, 8)
		if err != nil {
			tb.Fatal(err)
		}
		return uint8(n)
	}
	interval, err := time.ParseDuration(value(6, "interval="))
	if err != nil {
		tb.Fatal(err)
	}
	c := captured{name: f[0], src: netip.MustParseAddr(f[1]), dst: netip.MustParseAddr(f[2])}
	c.advert = Advert{
		Version: Version(number(value(3, "v"))), VRID: number(value(4, "vrid=")),
		Priority: number(value(5, "prio=")), Interval: interval,
	}
	if p := value(7, "auth="); p != "-" {
		c.advert.Auth = AuthPassword
		copy(c.advert.AuthData[:], p)
	}
	if list := value(8, "addrs="); list != "-" {
		for _, a := range strings.Split(list, ",") {
			c.advert.Addresses = append(c.advert.Addresses, netip.MustParseAddr(a))
		}
	}
	if c.message, err = hex.DecodeString(f[9]); err != nil {
		tb.Fatal(err)
	}
	return c
}

// Every captured advert is what Append makes and what Parse understands.
func TestCaptured(t *testing.T) {
	all := readCaptured(t)
	if len(all) < 40 {
		t.Fatalf("%d adverts in testdata/adverts.txt", len(all))
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			b, err := c.advert.Append(nil, c.src, c.dst)
			if err != nil || !bytes.Equal(b, c.message) {
				t.Errorf("Append: %x, %v\n want %x", b, err, c.message)
			}
			var got Advert
			if d := got.Parse(c.message, c.src, c.dst); d != Accepted {
				t.Fatalf("Parse: %v", d)
			}
			if diff := cmp.Diff(c.advert, got, compareAddr, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
		})
	}
}

// RFC 9568 leaves the pseudo-header out of the sum over IPv4, RFC 5798 does not.
func TestPlainChecksum(t *testing.T) {
	for _, c := range readCaptured(t) {
		if c.advert.Version != V3 {
			continue
		}
		a := c.advert
		a.PlainChecksum = true
		b, err := a.Append(nil, c.src, c.dst)
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(b, c.message); same == c.src.Is4() {
			t.Errorf("%s: equal to the form with pseudo-header: %v", c.name, same)
		}
		var got Advert
		if d := got.Parse(b, c.src, c.dst); d != Accepted {
			t.Errorf("%s: Parse: %v", c.name, d)
		}
		if got.PlainChecksum != c.src.Is4() {
			t.Errorf("%s: PlainChecksum %v", c.name, got.PlainChecksum)
		}
	}
}

// Measured: the message-only sum of the capture v3-ipv4 at priority 100.
func TestPlainChecksumValue(t *testing.T) {
	a := Advert{
		Version: V3, VRID: 61, Priority: 100, Interval: time.Second, PlainChecksum: true,
		Addresses: []netip.Addr{netip.MustParseAddr("10.99.0.100")},
	}
	b, err := a.Append(nil, netip.MustParseAddr("10.99.0.2"), Group)
	if want := "313d640100645f960a630064"; err != nil || hex.EncodeToString(b) != want {
		t.Errorf("%x, %v, want %s", b, err, want)
	}
}

func TestAppendErrors(t *testing.T) {
	src := netip.MustParseAddr("192.0.2.1")
	for name, a := range map[string]Advert{
		"version":           {Version: 4, Interval: time.Second},
		"part of a second":  {Version: V2, Interval: 1500 * time.Millisecond},
		"256 seconds":       {Version: V2, Interval: 256 * time.Second},
		"part of 10ms":      {Version: V3, Interval: 15 * time.Millisecond},
		"40.96 seconds":     {Version: V3, Interval: MaxIntervalV3 + centisecond},
		"negative":          {Version: V3, Interval: -centisecond},
		"other family":      {Version: V3, Interval: time.Second, Addresses: []netip.Addr{netip.IPv6Loopback()}},
		"invalid address":   {Version: V3, Interval: time.Second, Addresses: make([]netip.Addr, 1)},
		"too many to count": {Version: V3, Interval: time.Second, Addresses: make([]netip.Addr, 256)},
	} {
		b := []byte("kept")
		b, err := a.Append(b, src, Group)
		if err == nil || string(b) != "kept" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestParseDiscards(t *testing.T) {
	src := netip.MustParseAddr("10.99.0.1")
	valid := map[Version]string{
		V2: "2133960100013e030a6300640000000000000000",
		V3: "313d9601006442a30a630064",
	}
	// edit changes the message and mends the checksum.
	edit := func(f func(b []byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b = f(b)
			b[6], b[7] = 0, 0
			start := Version(b[0]>>4).checksumStart(src, Group, len(b), false)
			sum := ^fold(start + sum16(b))
			b[6], b[7] = byte(sum>>8), byte(sum)
			return b
		}
	}
	set := func(i int, v byte) func([]byte) []byte {
		return edit(func(b []byte) []byte { b[i] = v; return b })
	}
	for _, tt := range []struct {
		name    string
		version Version
		change  func([]byte) []byte
		want    Discard
	}{
		{"v2 as it is", V2, set(0, 0x21), Accepted},
		{"v3 as it is", V3, set(0, 0x31), Accepted},
		{"v3 reserved bits", V3, set(4, 0xf0), Accepted},
		{"nothing", V3, func([]byte) []byte { return nil }, BadLength},
		{"half a header", V3, func(b []byte) []byte { return b[:7] }, BadLength},
		{"v2 without auth data", V2, func(b []byte) []byte { return b[:12] }, BadLength},
		{"v3 without address", V3, func(b []byte) []byte { return b[:8] }, BadLength},
		{"one byte more", V3, func(b []byte) []byte { return append(b, 0) }, BadLength},
		{"count of 255", V3, set(3, 255), BadLength},
		{"version 1", V2, set(0, 0x11), BadVersion},
		{"version 4", V3, set(0, 0x41), BadVersion},
		{"type 2", V3, set(0, 0x32), BadType},
		{"type 0 of v2", V2, set(0, 0x20), BadType},
		{"v2 checksum", V2, func(b []byte) []byte { b[6] ^= 1; return b }, BadChecksum},
		{"v3 checksum", V3, func(b []byte) []byte { b[7] ^= 1; return b }, BadChecksum},
		{"v2 address changed", V2, func(b []byte) []byte { b[11]++; return b }, BadChecksum},
		{"v2 password changed", V2, func(b []byte) []byte { b[19]++; return b }, BadChecksum},
		{"v3 interval 0", V3, edit(func(b []byte) []byte { b[4], b[5] = 0xf0, 0; return b }), ZeroInterval},
		{"v3 no address", V3, edit(func(b []byte) []byte { b[3] = 0; return b[:8] }), ZeroCount},
		{"v2 no address", V2, edit(func(b []byte) []byte { b[3] = 0; return append(b[:8], b[12:]...) }), Accepted},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(valid[tt.version])
			if err != nil {
				t.Fatal(err)
			}
			var a Advert
			if got := a.Parse(tt.change(b), src, Group); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

// Version 2 over IPv6 is nobody's standard.
func TestVersion2HasNoIPv6(t *testing.T) {
	b, err := hex.DecodeString("215f960200014d4afe800000000000000000000000000100fd990000000000000000000000000100")
	if err != nil {
		t.Fatal(err)
	}
	var a Advert
	src, dst := netip.MustParseAddr("fe80::ff:fe00:a"), netip.MustParseAddr("ff02::12")
	if got := a.Parse(b, src, dst); got != BadVersion {
		t.Errorf("%v, want %v", got, BadVersion)
	}
}

// What is accepted, Append makes again: all but the reserved bits, and the
// checksum that comes with them. A second Parse into the same Advert leaves
// nothing of the first.
func FuzzParse(f *testing.F) {
	for _, c := range readCaptured(f) {
		f.Add(c.message, c.src.AsSlice(), c.dst.AsSlice())
	}
	for i := range published {
		_, p, _ := vector(f, i)
		f.Add(p.Payload, p.Source.AsSlice(), p.Destination.AsSlice())
	}
	dirty := []netip.Addr{netip.IPv6Unspecified(), netip.IPv6Loopback()}
	f.Fuzz(func(t *testing.T, b, from, to []byte) {
		src, ok1 := netip.AddrFromSlice(from)
		dst, ok2 := netip.AddrFromSlice(to)
		if !ok1 || !ok2 || src.Is4() != dst.Is4() {
			return
		}
		a := Advert{Addresses: dirty, Auth: AuthHeader, PlainChecksum: true}
		if a.Parse(b, src, dst) != Accepted {
			return
		}
		again, err := a.Append(nil, src, dst)
		if err != nil {
			t.Fatalf("Append of %+v: %v", a, err)
		}
		if !bytes.Equal(bare(again), bare(b)) {
			t.Fatalf("%x\nbecame %x", b, again)
		}
		var second Advert
		if d := second.Parse(again, src, dst); d != Accepted {
			t.Fatalf("%x discarded: %v", again, d)
		}
		if diff := cmp.Diff(a, second, compareAddr, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-first +second):\n%s", diff)
		}
	})
}

// bare is a message without reserved bits and checksum.
func bare(b []byte) []byte {
	b = slices.Clone(b)
	if b[0]>>4 == byte(V3) {
		b[4] &= 0x0f
	}
	b[checksumAt], b[checksumAt+1] = 0, 0
	return b
}

func BenchmarkParse(b *testing.B) {
	c := readCaptured(b)[4]
	var a Advert
	b.ReportAllocs()
	for b.Loop() {
		if a.Parse(c.message, c.src, c.dst) != Accepted {
			b.Fatal("discarded")
		}
	}
}
