package director

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// TestSnapshotStateIsWhatIsOwned has a kernel where an administrator runs daemons
// and tunnels of his own.
func TestSnapshotStateIsWhatIsOwned(t *testing.T) {
	tunnel := netif.Decapsulation{Encapsulation: netif.IPIP}
	snapshot := Snapshot{
		Timeouts:       map[Timeout]time.Duration{TimeoutTCP: time.Hour, TimeoutUDP: time.Minute},
		Daemons:        []ipvs.Daemon{{State: ipvs.DaemonBackup, Interface: "eth1", ID: 3}},
		Decapsulations: []netif.Decapsulation{tunnel, {Encapsulation: netif.GRE}},
		Addresses:      []netif.VIP{relayVIP, netif.HostVIP(loopback, relayVIP.Addr)},
	}

	without := snapshot.State(OwnedBy(relayConfig()))
	if len(without.Daemons)+len(without.Timeouts)+len(without.Decapsulations) != 0 || len(without.VIPs) != 1 {
		t.Errorf("owned without being configured:\n%v", without)
	}
	want := []string{
		"VIP 192.0.2.100 on interface lo",
		"synchronisation daemon backup on interface eth1",
	}
	if diff := cmp.Diff(want, snapshot.Foreign(OwnedBy(relayConfig()))); diff != "" {
		t.Errorf("foreign (-want +got):\n%s", diff)
	}

	c := relayConfig()
	c.Sync = &config.Sync{Instance: "relay", Interface: "eth0", ID: 11}
	c.VRRP[0].KeepConnections = true
	c.IPVS.Timeouts.UDP = time.Minute
	c.Accept = []config.Accept{{Decapsulations: []netif.Decapsulation{tunnel}}}
	owned := OwnedBy(relayConfig())
	owned.Merge(OwnedBy(c)) // as a previous configuration
	with := snapshot.State(owned)
	if len(with.Daemons) != 1 || len(with.Timeouts) != 1 || len(with.Decapsulations) != 1 || len(with.VIPs) != 2 {
		t.Errorf("not owned although configured:\n%v", with)
	}
	if foreign := snapshot.Foreign(owned); len(foreign) != 0 {
		t.Errorf("foreign although configured: %q", foreign)
	}
}

func TestSnapshotSortsRealServers(t *testing.T) {
	c := relayConfig()
	entry := ipvs.ServiceEntry{Service: c.Services[0].IPVS}
	for _, address := range []string{"192.0.2.10:25", "192.0.2.9:25", "192.0.2.11:25"} {
		entry.Destinations = append(entry.Destinations, ipvs.DestinationEntry{
			Destination: ipvs.Destination{Address: netip.MustParseAddrPort(address)},
		})
	}
	have := Snapshot{Services: []ipvs.ServiceEntry{entry}}.State(OwnedBy(c))
	service := have.Services[entry.ServiceKey]
	for _, destination := range entry.Destinations {
		if server, there := service.realServer(destination.Address); !there || server != destination.Destination {
			t.Errorf("%v is not found in %v", destination.Address, service.RealServers)
		}
	}
	if _, there := service.realServer(netip.MustParseAddrPort("192.0.2.12:25")); there {
		t.Error("found what is not there")
	}
}

func TestDrainingIsWhatIsBusyAndNotNamed(t *testing.T) {
	c := relayConfig()
	c.Services[0].Sorry = &config.SorryServer{Address: netip.MustParseAddrPort("192.0.2.9:25")}
	entry := ipvs.ServiceEntry{Service: c.Services[0].IPVS}
	for address, active := range map[string]uint32{
		"192.0.2.1:25": 4, "192.0.2.9:25": 4, "192.0.2.7:25": 0, "192.0.2.8:25": 1,
	} {
		entry.Destinations = append(entry.Destinations, ipvs.DestinationEntry{
			Destination: ipvs.Destination{Address: netip.MustParseAddrPort(address)}, Active: active,
		})
	}
	foreign := entry
	foreign.Address = netip.MustParseAddrPort("192.0.2.200:25")
	draining := Snapshot{Services: []ipvs.ServiceEntry{entry, foreign}}.Draining(c)
	busy := netip.MustParseAddrPort("192.0.2.8:25")
	if _, there := draining[entry.ServiceKey][busy]; len(draining) != 1 || len(draining[entry.ServiceKey]) != 1 || !there {
		t.Errorf("draining %v, want %v of one service", draining, busy)
	}
}
