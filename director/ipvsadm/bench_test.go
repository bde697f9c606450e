package ipvsadm

import (
	"io"
	"net/netip"
	"testing"

	"github.com/lvsd/lvsd/director/ipvs"
)

// BenchmarkWrite prints 5,000 services with 10 destinations each in every
// format.
func BenchmarkWrite(b *testing.B) {
	services := largeTable(5000, 10)
	for name, columns := range map[string]Columns{
		"default": Connections, "stats": Stats, "rate": Rate,
		"thresholds": Thresholds, "persistent": Persistent, "tunnel": Tunnel,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := WriteTable(io.Discard, kernel, services, Options{Columns: columns}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("rules", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := WriteRules(io.Discard, services, Options{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// TestFewAllocations keeps the cost of a table from growing with its lines.
func TestFewAllocations(t *testing.T) {
	services := largeTable(100, 100)
	allocations := testing.AllocsPerRun(10, func() {
		fatal(t, WriteTable(io.Discard, kernel, services, Options{}))
	})
	if allocations > 50 {
		t.Errorf("%v allocations for 10,100 lines", allocations)
	}
}

// largeTable is in no order.
func largeTable(services, destinations int) []ipvs.ServiceEntry {
	address := func(first byte, n int, port uint16) netip.AddrPort {
		n = n * 7919 % (services * destinations * 2)
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{first, byte(n >> 16), byte(n >> 8), byte(n)}), port)
	}
	all := make([]ipvs.ServiceEntry, services)
	for i := range all {
		all[i] = entry(ipvs.Service{
			ServiceKey: ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: address(10, i, 80)},
			Scheduler:  "wlc",
		})
		all[i].Destinations = make([]ipvs.DestinationEntry, destinations)
		for j := range all[i].Destinations {
			all[i].Destinations[j].Destination = ipvs.Destination{
				Address: address(11, i*destinations+j, 80), Forwarding: ipvs.DirectRoute, Weight: j,
			}
		}
	}
	return all
}
