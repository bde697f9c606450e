package ipvs

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// message is one captured message: the attributes after the generic netlink
// header, and what they say in this package's words.
type message struct {
	kind, says string
	attributes []byte
}

func loadMessages(t testing.TB) []message {
	t.Helper()
	f, err := os.Open("testdata/messages.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []message
	for lines := bufio.NewScanner(f); lines.Scan(); {
		kind, says, ok := strings.Cut(lines.Text(), ": ")
		if !ok || strings.HasPrefix(kind, "#") {
			continue
		}
		lines.Scan()
		raw, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatalf("%s: %v", says, err)
		}
		all = append(all, message{kind, says, raw})
	}
	return all
}

// TestCapturedMessages decodes what ipvsadm and the kernel say to each other,
// and encodes what this package says itself to the very bytes of ipvsadm.
func TestCapturedMessages(t *testing.T) {
	kinds := make(map[string]int)
	for _, m := range loadMessages(t) {
		t.Run(m.kind+" "+m.says, func(t *testing.T) {
			var says string
			switch m.kind {
			case "service", "service reply":
				e, err := decodeService(m.attributes, names{})
				fatal(t, err)
				if m.kind == "service" {
					wantBytes(t, appendService(nil, e.Service), m.attributes)
				}
				says = e.String()
			case "key":
				k := decodeKey(t, m.attributes)
				wantBytes(t, appendServiceKey(nil, k), m.attributes)
				says = k.String()
			case "destination":
				d, err := decodeDestination(m.attributes, 0)
				fatal(t, err)
				want, err := nested(m.attributes, attributeDestination)
				fatal(t, err)
				wantBytes(t, appendDestination(nil, d.Destination), nest(attributeDestination, want))
				says = d.String()
			case "destination reply":
				d, err := decodeDestination(m.attributes, 0)
				fatal(t, err)
				says = d.String()
			case "info":
				i, err := decodeInfo(m.attributes)
				fatal(t, err)
				says = i.String()
			case "daemon", "daemon reply":
				d, err := decodeDaemon(m.attributes)
				fatal(t, err)
				if m.kind == "daemon" {
					wantBytes(t, appendDaemon(nil, d), m.attributes)
				}
				says = d.String()
			case "timeouts":
				x, err := decodeTimeouts(m.attributes)
				fatal(t, err)
				wantBytes(t, appendTimeouts(nil, x), m.attributes)
				says = fmt.Sprint(x)
			default:
				t.Fatalf("unknown kind %q", m.kind)
			}
			if says != m.says {
				t.Errorf("decoded as %q, want %q", says, m.says)
			}
		})
		kinds[m.kind]++
	}
	if len(kinds) != 9 {
		t.Errorf("kinds of message: %v", kinds)
	}
}

// decodeKey reads a request that holds only what identifies a service, and
// which therefore decodeService finds incomplete.
func decodeKey(t *testing.T, attributes []byte) ServiceKey {
	t.Helper()
	body, err := nested(attributes, attributeService)
	fatal(t, err)
	e, err := decodeService(nest(attributeService, body, appendUint32(nil, serviceGranularity, 0)), names{})
	fatal(t, err)
	return e.ServiceKey
}

// nest is an attribute that holds others.
func nest(kind uint16, attributes ...[]byte) []byte {
	b, start := beginNested(nil, kind)
	return endNested(append(b, bytes.Join(attributes, nil)...), start)
}

func wantBytes(t *testing.T, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		t.Errorf("encoded as\n%x, want\n%x", got, want)
	}
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDecodeCounters gives every counter its own value, wider than 32 bits, and
// a weight wider than the 16 that ipvsadm writes.
func TestDecodeCounters(t *testing.T) {
	block := func(append64 bool) (b []byte) {
		for kind := uint16(1); kind <= 10; kind++ {
			v := uint64(kind)
			if append64 {
				b = appendAttribute(b, kind, native.AppendUint64(nil, v<<32|v))
			} else {
				b = appendUint32(b, kind, uint32(v))
			}
		}
		return b
	}
	wide := Stats{
		1<<32 | 1, 2<<32 | 2, 3<<32 | 3, 4<<32 | 4, 5<<32 | 5,
		6<<32 | 6, 7<<32 | 7, 8<<32 | 8, 9<<32 | 9, 10<<32 | 10,
	}
	narrow := Stats{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	d := appendDestinationIdentity(nil, netip.MustParseAddrPort("192.0.2.11:25"))
	d = appendUint32(d, destinationWeight, 70000)
	d = appendUint32(d, destinationActive, 11)
	d = appendUint32(d, destinationInactive, 12)
	d = appendUint32(d, destinationPersistent, 13)
	d = append(d, nest(destinationStats, block(false))...)
	old := nest(attributeDestination, d)
	current := nest(attributeDestination, d, nest(destinationStats64, block(true)))
	for name, c := range map[string]struct {
		message []byte
		want    Stats
	}{"both blocks": {current, wide}, "narrow block only": {old, narrow}} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeDestination(c.message, 0)
			fatal(t, err)
			want := DestinationEntry{
				Destination: Destination{Address: netip.MustParseAddrPort("192.0.2.11:25"), Weight: 70000},
				Active:      11, Inactive: 12, Persistent: 13,
				Stats: c.want,
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDecodeFaults(t *testing.T) {
	service := func(attributes ...[]byte) []byte {
		return nest(attributeService, attributes...)
	}
	v4 := appendUint16(nil, serviceFamily, uint16(IPv4))
	mask := appendUint32(nil, serviceGranularity, 0)
	for name, c := range map[string]struct {
		message []byte
		want    string
	}{
		"nothing":             {nil, "no attribute 1"},
		"header cut off":      {[]byte{8, 0}, "cut off"},
		"longer than message": {[]byte{8, 0, 1, 0}, "attribute of 8 bytes in the remaining 4"},
		"shorter than header": {[]byte{3, 0, 1, 0}, "attribute of 3 bytes"},
		"unknown family":      {service(appendUint16(nil, serviceFamily, 7), mask), "no granularity|address"},
		"no address":          {service(v4, mask), "address has 0 bytes"},
		"no granularity":      {service(v4), "no granularity"},
		"wide family":         {service(appendUint32(nil, serviceFamily, 2), mask), "has 4 bytes, not 2"},
		"long prefix": {service(appendUint16(nil, serviceFamily, uint16(IPv6)),
			appendUint32(nil, serviceGranularity, 129)), "prefix length 129"},
		"broken statistics": {service(v4, mask, nest(serviceStats, []byte{1})), "statistics: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decodeService(c.message, names{})
			if err == nil || !containsAny(err.Error(), strings.Split(c.want, "|")) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func containsAny(s string, parts []string) bool {
	for _, p := range parts {
		if strings.Contains(s, p) {
			return true
		}
	}
	return false
}

// TestRoundTrip holds for everything a client may be asked to write.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, d := drawService(t), drawDestination(t)
		fatalRapid(t, s.validate())
		fatalRapid(t, d.validate())
		gotService, err := decodeService(kernelService(s), names{})
		fatalRapid(t, err)
		if gotService.Service != s {
			t.Errorf("service %+v, want %+v", gotService.Service, s)
		}
		gotDestination, err := decodeDestination(appendDestination(nil, d), s.Family)
		fatalRapid(t, err)
		if gotDestination.Destination != d {
			t.Errorf("destination %+v, want %+v", gotDestination.Destination, d)
		}
	})
}

func fatalRapid(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// kernelService is a service as the kernel lists it: with its own flag.
func kernelService(s Service) []byte {
	s.Flags |= hashed
	return appendService(nil, s)
}

func drawService(t *rapid.T) Service {
	s := Service{
		Scheduler:   rapid.StringMatching(`[a-z]{1,15}`).Draw(t, "scheduler"),
		Flags:       Flags(rapid.Uint32().Draw(t, "flags")) & (Persistent | OnePacket | Sched1 | Sched2 | Sched3),
		Timeout:     time.Duration(rapid.IntRange(0, 31*24*3600).Draw(t, "timeout")) * time.Second,
		Engine:      rapid.StringMatching(`[a-z]{0,15}`).Draw(t, "engine"),
		Granularity: uint8(rapid.IntRange(1, 32).Draw(t, "granularity")),
	}
	if rapid.Bool().Draw(t, "by mark") {
		s.Mark = rapid.Uint32Min(1).Draw(t, "mark")
		s.Family = rapid.SampledFrom([]Family{IPv4, IPv6}).Draw(t, "family")
		return s
	}
	s.Protocol = rapid.SampledFrom([]Protocol{TCP, UDP, SCTP}).Draw(t, "protocol")
	s.Address = drawAddress(t, "service")
	s.Family = familyOf(s.Address.Addr())
	return s
}

func drawDestination(t *rapid.T) Destination {
	d := Destination{
		Address:    drawAddress(t, "destination"),
		Forwarding: Forwarding(rapid.IntRange(0, 4).Draw(t, "forwarding")),
		Weight:     rapid.IntRange(0, 65535).Draw(t, "weight"),
		Upper:      rapid.Uint32Max(math.MaxInt32).Draw(t, "upper"),
		Lower:      rapid.Uint32Max(math.MaxInt32).Draw(t, "lower"),
	}
	if d.Forwarding == Tunnel {
		d.Tunnel = TunnelInfo{
			Type:  TunnelType(rapid.IntRange(0, 2).Draw(t, "type")),
			Port:  rapid.Uint16Min(1).Draw(t, "tunnel port"),
			Flags: rapid.Uint16Max(2).Draw(t, "tunnel flags"),
		}
	}
	return d
}

func drawAddress(t *rapid.T, label string) netip.AddrPort {
	n := rapid.SampledFrom([]int{4, 16}).Draw(t, label+" address length")
	raw := rapid.SliceOfN(rapid.Byte(), n, n).
		Filter(func(b []byte) bool { a, _ := netip.AddrFromSlice(b); return !a.Is4In6() }).
		Draw(t, label+" address")
	a, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a, rapid.Uint16().Draw(t, label+" port"))
}

// FuzzDecode looks for a message that makes a decoder panic, and for one that is
// decoded to something this package would encode differently.
func FuzzDecode(f *testing.F) {
	for _, m := range loadMessages(f) {
		f.Add(m.attributes)
		f.Add(m.attributes[:len(m.attributes)-1])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeInfo(b)
		_, _ = decodeTimeouts(b)
		if d, err := decodeDaemon(b); err == nil {
			again, err := decodeDaemon(appendDaemon(nil, d))
			if err != nil || again != d {
				t.Errorf("%v became %v, error %v", d, again, err)
			}
		}
		if e, err := decodeService(b, names{}); err == nil && e.Address.IsValid() == (e.Mark != 0) {
			t.Errorf("service %v has both a mark and an address, or neither", e)
		}
		d, err := decodeDestination(b, IPv4)
		if err != nil {
			return
		}
		again, err := decodeDestination(appendDestination(nil, d.Destination), IPv4)
		if err != nil || again.Destination != d.Destination {
			t.Errorf("%v became %v, error %v", d, again, err)
		}
	})
}
