package netif

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/ethernet"
)

var hardware = net.HardwareAddr{2, 0, 0, 0, 0, 0x0a}

// TestAnnouncement compares with frames that keepalived 2.2.7 sent; the rest up
// to the shortest Ethernet frame is padding.
func TestAnnouncement(t *testing.T) {
	for _, test := range []struct{ name, addr, want string }{
		{"IPv4", "10.99.0.100", "ffffffffffff02000000000a0806000108000604000102000000000a0a630064ffffffffffff0a630064"},
		{
			"IPv6 link-local", "fe80::100", "33330000000102000000000a86dd6000000000203afffe800000000000000000000000000100" +
				"ff0200000000000000000000000000018800559420000000fe800000000000000000000000000100020102000000000a",
		},
		{
			"IPv6", "fd99::100", "33330000000102000000000a86dd6000000000203afffd990000000000000000000000000100" +
				"ff0200000000000000000000000000018800576220000000fd990000000000000000000000000100020102000000000a",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			want, err := hex.DecodeString(test.want)
			if err != nil {
				t.Fatal(err)
			}
			addr := netip.MustParseAddr(test.addr)
			got, err := announcement(hardware, addr, false)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(got, want) || len(bytes.Trim(got[len(want):], "\x00")) != 0 {
				t.Errorf("frame %x, want %x and zeros", got, want)
			}
			if _, err := announcement(nil, addr, false); err == nil {
				t.Error("an interface without a hardware address has no frame")
			}
		})
	}
}

func TestAnnouncementOfARouter(t *testing.T) {
	const flags = 14 + 40 + 4 // Ethernet, IPv6, type, code and checksum
	frame, err := announcement(hardware, netip.MustParseAddr("fd99::100"), true)
	if err != nil {
		t.Fatal(err)
	}
	if frame[flags] != 0xa0 {
		t.Errorf("flags %x, want Router and Override", frame[flags])
	}
}

// TestFramesAsClaims: an announcement is a claim, a probe is none.
func TestFramesAsClaims(t *testing.T) {
	for _, text := range []string{"10.99.0.100", "fd99::100"} {
		addr := netip.MustParseAddr(text)
		announced, err := announcement(hardware, addr, false)
		if err != nil {
			t.Fatal(err)
		}
		if claim, ok := readFrame(announced); !ok || claim != (Claim{Addr: addr, MAC: MAC(hardware)}) {
			t.Errorf("announcement of %s: %v, %v", addr, claim, ok)
		}
		asked, err := probe(hardware, addr)
		if err != nil {
			t.Fatal(err)
		}
		if claim, ok := readFrame(asked); ok {
			t.Errorf("probe for %s claims %v", addr, claim)
		}
	}
}

// readFrame reads either kind of claim, as the sockets would cut it out.
func readFrame(data []byte) (Claim, bool) {
	var frame ethernet.Frame
	if frame.UnmarshalBinary(data) == nil && frame.EtherType == ethernet.EtherTypeIPv6 && len(frame.Payload) > ipv6Header {
		return readAdvertisement(frame.Payload[ipv6Header:])
	}
	return readARP(data)
}

func FuzzReadClaim(f *testing.F) {
	for _, text := range []string{"10.99.0.100", "fd99::100"} {
		frame, err := announcement(hardware, netip.MustParseAddr(text), true)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		f.Add(frame[:len(frame)-5])
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		claim, ok := readARP(data)
		if ok && (!claim.Addr.Is4() || claim.Addr.IsUnspecified()) {
			t.Errorf("ARP claims %v", claim)
		}
		if !ok && claim != (Claim{}) {
			t.Errorf("no claim is %v", claim)
		}
		if claim, ok := readAdvertisement(data); ok && !claim.Addr.Is6() {
			t.Errorf("a neighbour advertisement claims %v", claim)
		}
	})
}
