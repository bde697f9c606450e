package director

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director/ipvs"
)

// TestTaught: what lvsd did itself to thresholds and tunnels is known at the next
// reading, which does not tell it. Otherwise the old ones would be taken for
// somebody else's change.
func TestTaught(t *testing.T) {
	service := farm(2, 1).Services[0].IPVS
	other := farm(2, 1).Services[1].IPVS
	key := service.ServiceKey
	server := func(last byte, weight int, upper uint32) ipvs.Destination {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, last}), 80)
		return ipvs.Destination{Address: address, Weight: weight, Upper: upper}
	}
	entry := func(s ipvs.Service, servers ...ipvs.Destination) ipvs.ServiceEntry {
		e := ipvs.ServiceEntry{Service: s}
		for _, d := range servers {
			e.Destinations = append(e.Destinations, ipvs.DestinationEntry{Destination: d})
		}
		return e
	}
	known := []ipvs.ServiceEntry{entry(service, server(2, 5, 9), server(1, 5, 0))}
	for _, test := range []struct {
		name  string
		since []outcome
		want  []ipvs.ServiceEntry
	}{
		{"a weight is not", []outcome{{EditRealServer{key, server(2, 0, 9)}, true}}, known},
		{
			"a threshold",
			[]outcome{{EditRealServer{key, server(1, 5, 7)}, true}},
			[]ipvs.ServiceEntry{entry(service, server(2, 5, 9), server(1, 5, 7))},
		},
		{
			"none any more",
			[]outcome{{EditRealServer{key, server(2, 5, 0)}, true}},
			[]ipvs.ServiceEntry{entry(service, server(2, 5, 0), server(1, 5, 0))},
		},
		{
			"one that came",
			[]outcome{{AddRealServer{key, server(3, 5, 0)}, true}},
			[]ipvs.ServiceEntry{entry(service, server(3, 5, 0), server(2, 5, 9), server(1, 5, 0))},
		},
		{
			"a service that came",
			[]outcome{{AddService{other}, true}, {AddRealServer{other.ServiceKey, server(3, 1, 0)}, true}},
			[]ipvs.ServiceEntry{known[0], entry(other, server(3, 1, 0))},
		},
		{"what failed", []outcome{{EditRealServer{key, server(1, 5, 7)}, false}}, []ipvs.ServiceEntry{entry(service)}},
		{"of what is not known", []outcome{{AddRealServer{other.ServiceKey, server(3, 1, 0)}, true}}, known},
		{"what goes is seen to be gone", []outcome{{DeleteRealServer{key, server(1, 0, 0).Address}, true}}, known},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := []ipvs.ServiceEntry{known[0]}
			before[0].Destinations = slices.Clone(known[0].Destinations)
			if diff := cmp.Diff(test.want, taught(known, test.since), compareStates); diff != "" {
				t.Errorf("taught (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, known, compareStates); diff != "" {
				t.Errorf("the reading itself changed (-before +after):\n%s", diff)
			}
		})
	}
}
