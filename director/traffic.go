package director

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// trafficEvery is how often the counters are read at most.
const trafficEvery = time.Second

// Meter reads what the kernel counts. It works beside the Kernel, whose calls must
// not wait for it.
type Meter interface {
	// Count returns all virtual services of the kernel with their counters.
	Count(ctx context.Context) ([]ipvs.ServiceEntry, error)
}

// Traffic is what the kernel counts, of the services of the configuration. As JSON
// its fields are only ever added to.
type Traffic struct {
	// Schema is "lvsd.traffic/1".
	Schema   string           `json:"schema"`
	At       time.Time        `json:"at"`
	Services []ServiceTraffic `json:"services"`
}

// ServiceTraffic is one virtual service of the kernel. One of the file with several
// addresses or ports is several of one Name.
type ServiceTraffic struct {
	Name string `json:"name"`
	// Protocol is "tcp", "udp", "sctp" or empty, Address as "192.0.2.1:25" or empty,
	// Mark the firewall mark or 0.
	Protocol string `json:"protocol,omitempty"`
	Address  string `json:"address,omitempty"`
	Mark     uint32 `json:"mark,omitempty"`
	// Family is "ipv4" or "ipv6". It tells two services of one Mark apart.
	Family string `json:"family"`
	TrafficCounters
	// Servers are those of the file in its order, then the others by address.
	Servers []ServerTraffic `json:"real_servers"`
}

// ServerTraffic is one real server, or the sorry server.
type ServerTraffic struct {
	Address string `json:"address"`
	Weight  int    `json:"weight"`
	// Active, Inactive and Persistent count connections now.
	Active     uint32 `json:"active_connections"`
	Inactive   uint32 `json:"inactive_connections"`
	Persistent uint32 `json:"persistent_connections"`
	TrafficCounters
}

// TrafficCounters are counted since the service or server was added, the rates are
// the kernel's own estimates, by the second (ip_vs_est.c). Of DR and TUN nothing that
// goes out passes the director.
type TrafficCounters struct {
	Connections uint64 `json:"connections"`
	InPackets   uint64 `json:"in_packets"`
	OutPackets  uint64 `json:"out_packets"`
	InBytes     uint64 `json:"in_bytes"`
	OutBytes    uint64 `json:"out_bytes"`

	ConnectionRate uint64 `json:"connection_rate"`
	InPacketRate   uint64 `json:"in_packet_rate"`
	OutPacketRate  uint64 `json:"out_packet_rate"`
	InByteRate     uint64 `json:"in_byte_rate"`
	OutByteRate    uint64 `json:"out_byte_rate"`
}

// Traffic reads the kernel's counters, at most once a second: who asks sooner gets
// what was read. It holds the director up in nothing. The error is the kernel's, or
// that ctx ended while somebody else's question was being answered.
func (d *Director) Traffic(ctx context.Context) (Traffic, error) {
	c := d.currentConfig()
	if len(c.Services) == 0 || d.Meter == nil {
		return Traffic{Schema: trafficSchema, At: time.Now(), Services: []ServiceTraffic{}}, nil
	}
	if err := d.metering.take(ctx); err != nil {
		return Traffic{}, err
	}
	defer d.metering.leave()
	if d.metered.at.IsZero() || time.Since(d.metered.at) >= trafficEvery {
		d.metered.services, d.metered.err = d.Meter.Count(ctx)
		d.metered.at = time.Now()
	}
	if d.metered.err != nil {
		return Traffic{}, d.metered.err
	}
	return trafficOf(c, d.metered), nil
}

const trafficSchema = "lvsd.traffic/1"

// metered is the last answer of a Meter.
type metered struct {
	at       time.Time
	services []ipvs.ServiceEntry
	err      error
}

// trafficOf are the counters of the services of c, in file order. Those that the
// kernel has not are left out.
func trafficOf(c *config.Config, m metered) Traffic {
	entries := byKey(m.services)
	all := Traffic{Schema: trafficSchema, At: m.at, Services: make([]ServiceTraffic, 0, len(c.Services))}
	for i := range c.Services {
		if entry := entries[c.Services[i].IPVS.ServiceKey]; entry != nil {
			all.Services = append(all.Services, serviceTraffic(&c.Services[i], entry))
		}
	}
	return all
}

func serviceTraffic(c *config.VirtualService, entry *ipvs.ServiceEntry) ServiceTraffic {
	protocol, address := listensOn(entry.ServiceKey)
	service := ServiceTraffic{
		Name: c.Name, Protocol: protocol, Address: address, Mark: entry.Mark, Family: familyName(entry.Family),
		TrafficCounters: TrafficCounters(entry.Stats),
		Servers:         make([]ServerTraffic, 0, len(entry.Destinations)),
	}
	for _, destination := range inFileOrder(entry.Destinations, c.RealServers) {
		service.Servers = append(service.Servers, ServerTraffic{
			Address: destination.Address.String(), Weight: destination.Weight,
			Active: destination.Active, Inactive: destination.Inactive, Persistent: destination.Persistent,
			TrafficCounters: TrafficCounters(destination.Stats),
		})
	}
	return service
}

// listensOn is where a service listens in the words of the status; both are empty for
// a firewall mark.
func listensOn(k ipvs.ServiceKey) (protocol, address string) {
	if k.Mark != 0 {
		return "", ""
	}
	return k.Protocol.String(), k.Address.String()
}

func familyName(f ipvs.Family) string {
	if f == ipvs.IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// inFileOrder sorts what the kernel lists in an order of its own.
func inFileOrder(destinations []ipvs.DestinationEntry, servers []config.RealServer) []ipvs.DestinationEntry {
	place := make(map[netip.AddrPort]int, len(servers))
	for i := range servers {
		place[servers[i].Address] = i
	}
	placeIn := func(address netip.AddrPort) int {
		if i, ok := place[address]; ok {
			return i
		}
		return len(servers)
	}
	return slices.SortedFunc(slices.Values(destinations), func(a, b ipvs.DestinationEntry) int {
		return cmp.Or(cmp.Compare(placeIn(a.Address), placeIn(b.Address)), a.Address.Compare(b.Address))
	})
}
