package ipvs

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecall takes from an earlier reading what a glance does not tell, in
// whatever order, and asks again where something is not known.
func TestRecall(t *testing.T) {
	at := func(port uint16, f Forwarding) DestinationEntry {
		host := netip.MustParseAddr("198.51.100.1")
		return DestinationEntry{Destination: Destination{Address: netip.AddrPortFrom(host, port), Forwarding: f}}
	}
	whole := func(port uint16, f Forwarding) DestinationEntry {
		d := at(port, f)
		d.Upper, d.Lower, d.Persistent, d.Stats.Connections = 9, uint32(port), 3, 4
		return d
	}
	glanced := func(port uint16, f Forwarding) DestinationEntry {
		d := at(port, f)
		d.Weight, d.Active, d.Inactive = 5, 6, 7
		return d
	}
	both := func(port uint16, f Forwarding) DestinationEntry {
		d := whole(port, f)
		d.Weight, d.Active, d.Inactive = 5, 6, 7
		return d
	}
	service := func(address string, d ...DestinationEntry) ServiceEntry {
		return ServiceEntry{Service: Service{ServiceKey: key(TCP, address)}, Destinations: d}
	}
	known := []ServiceEntry{
		service("192.0.2.1:25", whole(1, DirectRoute), whole(2, Masquerade), whole(3, Bypass)),
		service("192.0.2.2:25", whole(1, DirectRoute)),
		service("192.0.2.3:25"),
	}
	now := []ServiceEntry{
		service("192.0.2.1:25", glanced(1, DirectRoute), glanced(2, Masquerade), glanced(3, Masquerade)),
		service("192.0.2.3:25"),
		service("192.0.2.2:25", glanced(1, DirectRoute)),
		service("192.0.2.4:25"),                          // unknown service
		service("192.0.2.2:25", glanced(2, DirectRoute)), // unknown destination
		service("192.0.2.2:25", glanced(1, Tunnel)),      // forwarded to otherwise
		service("192.0.2.1:25", glanced(2, Masquerade), glanced(1, DirectRoute)),
		service("192.0.2.1:25"), // not read
	}
	done := slices.Repeat([]bool{true}, len(now))
	done[7] = false
	recall(now, done, known)
	if want := []bool{true, true, true, false, false, false, true, false}; !slices.Equal(done, want) {
		t.Errorf("done %v, want %v", done, want)
	}
	for i, want := range map[int][]DestinationEntry{
		0: {both(1, DirectRoute), both(2, Masquerade), both(3, Bypass)},
		2: {both(1, DirectRoute)},
		6: {both(2, Masquerade), both(1, DirectRoute)},
	} {
		if diff := cmp.Diff(want, now[i].Destinations, entryOptions); diff != "" {
			t.Errorf("service %d (-want +got)\n%s", i, diff)
		}
	}
}
