package director

import (
	"context"
	"errors"
	"time"
)

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
	TrafficCounters
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
// what was read. It holds the director up in nothing.
func (d *Director) Traffic(_ context.Context) (Traffic, error) {
	return Traffic{}, errors.ErrUnsupported
}
