package vrrp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testKey(start byte) []byte {
	key := make([]byte, 32)
	for i := range key {
		key[i] = start + byte(i)
	}
	return key
}

// testHMAC has the key of the published vectors as key 1, and another.
func testHMAC() HMAC {
	return HMAC{Keys: map[uint8][]byte{1: testKey(0), 2: testKey(100)}, Active: 1}
}

// published are the vectors that come with keepalived 2.4, key 1 and VRID 51.
var published = []struct {
	name     string
	src, dst netip.Addr
	plain    bool
	message  string
}{
	{
		"IPv4", netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("198.51.100.20"), true,
		"3133c80100644402c00002640101000068000000800000001b84bc4e8e43892dc6d98448f8ee2265",
	},
	{
		"IPv6", netip.MustParseAddr("fe80::10"), netip.MustParseAddr("fe80::20"), false,
		"3133c8010064a2e9fe800000000000000000000000000100010100006800000080000000c8c56146ebfd66ee10ec4d8186461b78",
	},
}

// vector is a published one, with the configuration of who accepts it.
func vector(t testing.TB, i int) (message []byte, p Packet, c Config) {
	t.Helper()
	v := published[i]
	m, err := hex.DecodeString(v.message)
	if err != nil {
		t.Fatal(err)
	}
	c = testConfig(V3)
	c.HMAC = testHMAC()
	c.Source = v.dst
	return m, Packet{Payload: slices.Clone(m), Source: v.src, Destination: v.dst, TTL: TTL}, c
}

func TestPublishedVectors(t *testing.T) {
	for i, v := range published {
		t.Run(v.name, func(t *testing.T) {
			m, p, c := vector(t, i)
			var a Advert
			if d := c.take(p, &a); d != Accepted {
				t.Fatal(d)
			}
			want := SequenceAt(time.Unix(0x68000000, 5e8))
			if a.Trailer.KeyID != 1 || a.Trailer.Sequence != want || a.PlainChecksum != v.plain || a.Priority != 200 {
				t.Errorf("parsed as %+v", a)
			}
			a.Trailer.MAC = [macLen]byte{}
			if err := a.Sign(testKey(0), v.src); err != nil {
				t.Fatal(err)
			}
			again, err := a.Append(nil, v.src, v.dst)
			if err != nil || !bytes.Equal(again, m) {
				t.Errorf("%x, %v\nwant %x", again, err, m)
			}
		})
	}
}

// No bit of an authenticated message can change but those of the checksum, which
// then is wrong.
func TestFlippedBits(t *testing.T) {
	for i, v := range published {
		m, p, c := vector(t, i)
		for bit := range len(m) * 8 {
			copy(p.Payload, m)
			p.Payload[bit/8] ^= 1 << (bit % 8)
			var a Advert
			if c.take(p, &a) == Accepted {
				t.Errorf("%s: bit %d", v.name, bit)
			}
		}
	}
}

// What the HMAC must tell apart, with sound checksums all around.
func TestAcceptHMAC(t *testing.T) {
	peer := netip.MustParseAddr("192.0.2.2")
	for _, tt := range []struct {
		name   string
		mine   func(*Config)
		theirs func(*Advert)
		key    []byte
		change func([]byte)
		from   netip.Addr
		want   Discard
	}{
		{name: "active key", want: Accepted},
		{name: "other key", theirs: func(a *Advert) { a.Trailer.KeyID = 2 }, key: testKey(100), want: Accepted},
		{name: "unknown key", theirs: func(a *Advert) { a.Trailer.KeyID = 3 }, want: UnknownKey},
		{name: "wrong key", key: testKey(1), want: BadHMAC},
		{name: "key under another id", theirs: func(a *Advert) { a.Trailer.KeyID = 2 }, want: BadHMAC},
		{name: "other source", from: netip.MustParseAddr("192.0.2.3"), want: BadHMAC},
		{name: "no trailer", theirs: func(a *Advert) { a.Trailer.KeyID = 0 }, want: NoTrailer},
		{
			name: "no trailer, permissive", mine: func(c *Config) { c.HMAC.Permissive = true },
			theirs: func(a *Advert) { a.Trailer.KeyID = 0 }, want: Accepted,
		},
		{name: "wrong key, permissive", mine: func(c *Config) { c.HMAC.Permissive = true }, key: testKey(1), want: BadHMAC},
		{name: "trailer, no keys", mine: func(c *Config) { c.HMAC = HMAC{} }, want: Accepted},
		{name: "trailer of another type", change: func(b []byte) { b[len(b)-trailerLen] = 2 }, want: BadTrailer},
		{name: "trailer with reserved bits", change: func(b []byte) { b[len(b)-trailerLen+3] = 1 }, want: BadTrailer},
		{name: "trailer with key 0", change: func(b []byte) { b[len(b)-trailerLen+1] = 0 }, want: BadTrailer},
		{name: "later sequence", change: func(b []byte) { b[len(b)-macLen-1]++ }, want: BadHMAC},
		{name: "cut", change: func(b []byte) { b[len(b)-1]++ }, want: BadHMAC},
	} {
		for _, v := range []Version{V2, V3} {
			c := testConfig(v)
			c.HMAC = testHMAC()
			a := Advert{
				Version: v, VRID: c.VRID, Priority: 200, Interval: c.Interval, Addresses: c.VIPs,
				Trailer: Trailer{KeyID: 1, Sequence: SequenceAt(time.Unix(1000, 0))},
			}
			key := testKey(0)
			if tt.mine != nil {
				tt.mine(&c)
			}
			if tt.theirs != nil {
				tt.theirs(&a)
			}
			if tt.key != nil {
				key = tt.key
			}
			a.PlainChecksum = true // so that another source does not break it
			if err := a.Sign(key, peer); (err == nil) != a.Trailer.Present() {
				t.Fatal(err)
			}
			m, err := a.Append(nil, peer, Group)
			if err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(m) // over IPv4 the checksum does not cover the trailer
			}
			p := Packet{Payload: m, Source: peer, Destination: Group, TTL: TTL}
			if tt.from.IsValid() {
				p.Source = tt.from
			}
			var got Advert
			if d := c.take(p, &got); d != tt.want {
				t.Errorf("version %d, %s: %v, want %v", v, tt.name, d, tt.want)
			}
		}
	}
}

// An advert for one virtual router or family proves nothing in another.
func TestHMACBinds(t *testing.T) {
	src := netip.MustParseAddr("192.0.2.2")
	sign := func(change func(*Advert)) [macLen]byte {
		a := Advert{Version: V3, VRID: 51, Priority: 100, Interval: time.Second, Addresses: parseAddrs("192.0.2.100"), Trailer: Trailer{KeyID: 1, Sequence: 7}}
		change(&a)
		if err := a.Sign(testKey(0), src); err != nil {
			t.Fatal(err)
		}
		return a.Trailer.MAC
	}
	base := sign(func(*Advert) {})
	for name, change := range map[string]func(*Advert){
		"vrid":      func(a *Advert) { a.VRID = 52 },
		"version":   func(a *Advert) { a.Version = V2 },
		"priority":  func(a *Advert) { a.Priority = 0 },
		"interval":  func(a *Advert) { a.Interval *= 2 },
		"addresses": func(a *Advert) { a.Addresses = parseAddrs("192.0.2.101") },
		"sequence":  func(a *Advert) { a.Trailer.Sequence++ },
		"key id":    func(a *Advert) { a.Trailer.KeyID = 2 },
	} {
		if sign(change) == base {
			t.Errorf("%s is not in it", name)
		}
	}
	if sign(func(a *Advert) { a.PlainChecksum = true }) != base {
		t.Error("the checksum is in it")
	}
}

func TestSequence(t *testing.T) {
	now := time.Unix(1_700_000_000, 250e6)
	s := SequenceAt(now)
	if s != 1_700_000_000<<32|0x4000<<16 {
		t.Errorf("%x", s)
	}
	for _, d := range []time.Duration{0, time.Second, -time.Second, time.Hour, -250 * time.Millisecond, 24 * 365 * time.Hour} {
		if got := SequenceAt(now.Add(d)).Ahead(now); got != d {
			t.Errorf("%v ahead: %v", d, got)
		}
	}
	late := time.Unix(1<<32-1, 0) // 2106: it wraps
	if !SequenceAt(late.Add(2 * time.Second)).After(SequenceAt(late)) {
		t.Error("the wrap goes back")
	}
	if s := Sequence(0).next(late, 0); s != SequenceAt(late) {
		t.Errorf("the first one: %x", s)
	}
}

// However the clock jumps, a sender's sequence rises, unless a window would make
// all receivers refuse it.
func TestNextSequence(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		name   string
		clock  time.Duration // from the last one's
		window time.Duration
		want   Sequence
	}{
		{"on", time.Second, 0, SequenceAt(now.Add(time.Second))},
		{"same", 0, 0, SequenceAt(now) + 1},
		{"set back", -time.Hour, 0, SequenceAt(now) + 1},
		{"set back, within the window", -time.Second, 3 * time.Second, SequenceAt(now) + 1},
		{"set back, beyond the window", -time.Hour, 3 * time.Second, SequenceAt(now.Add(-time.Hour))},
		{"set forward", time.Hour, 3 * time.Second, SequenceAt(now.Add(time.Hour))},
	} {
		if got := SequenceAt(now).next(now.Add(tt.clock), tt.window); got != tt.want {
			t.Errorf("%s: %x, want %x", tt.name, got, tt.want)
		}
	}
}

// Without the key nobody makes a message that is accepted and says anything else
// than a published one.
func FuzzAcceptHMAC(f *testing.F) {
	for i := range published {
		m, _, _ := vector(f, i)
		f.Add(m, true, byte(i))
		f.Add(m[:len(m)-trailerLen], false, byte(i))
	}
	f.Fuzz(func(t *testing.T, m []byte, permissive bool, i byte) {
		original, p, c := vector(t, int(i)%len(published))
		c.HMAC.Permissive = permissive
		p.Payload = m
		var got, want Advert
		if c.take(p, &got) != Accepted {
			return
		}
		if !got.Trailer.Present() {
			if !permissive {
				t.Fatalf("accepted without trailer: %x", m)
			}
			return
		}
		if d := want.Parse(original, p.Source, p.Destination); d != Accepted {
			t.Fatal(d)
		}
		got.PlainChecksum = want.PlainChecksum // not in the HMAC
		if diff := cmp.Diff(want, got, compareAddr); diff != "" {
			t.Fatalf("accepted %x (-published +accepted):\n%s", m, diff)
		}
	})
}

func BenchmarkAcceptHMAC(b *testing.B) {
	_, p, c := vector(b, 0)
	var a Advert
	b.ReportAllocs()
	for b.Loop() {
		if c.take(p, &a) != Accepted {
			b.Fatal("discarded")
		}
	}
}
