// Package ipvs speaks to the kernel's IP Virtual Server: it lists, adds,
// changes and deletes virtual services and their destinations over generic
// netlink, and reads the connection table. Its words are the kernel's
// (include/uapi/linux/ip_vs.h): a virtual service is a Service, a real server
// is a Destination.
//
// It must not know configuration, health, roles or who owns which service.
package ipvs

import (
	"net/netip"
	"time"
)

// Protocol is the IP protocol of a virtual service; zero for a service that is
// selected by a firewall mark.
type Protocol uint8

// The protocols IPVS balances, by their IP protocol number.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// Family is the address family of a service, as Linux numbers it (AF_INET,
// AF_INET6). A mark has no address, so the family is part of the key.
type Family uint16

// The address families of IPVS.
const (
	IPv4 Family = 2
	IPv6 Family = 10
)

// Forwarding is how the kernel hands a packet to a destination
// (IP_VS_CONN_F_FWD_MASK).
type Forwarding uint8

// The forwarding methods, by the kernel's number.
const (
	Masquerade  Forwarding = 0 // NAT
	Local       Forwarding = 1
	Tunnel      Forwarding = 2
	DirectRoute Forwarding = 3
	Bypass      Forwarding = 4
)

// Flags are the service flags that a user may set (IP_VS_SVC_F_*). The kernel's
// own HASHED flag is removed on reading, so that equal services compare equal.
type Flags uint32

// The service flags.
const (
	Persistent Flags = 0x0001
	OnePacket  Flags = 0x0004
	Sched1     Flags = 0x0008 // sh-fallback, mh-fallback
	Sched2     Flags = 0x0010 // sh-port, mh-port
	Sched3     Flags = 0x0020
)

// ServiceKey is what identifies a virtual service in the kernel: either
// protocol and address, or family and firewall mark. It is comparable and
// holds only what identifies: Address is zero when Mark is set and the other
// way round; Family is always set.
type ServiceKey struct {
	Family   Family
	Protocol Protocol
	Address  netip.AddrPort
	Mark     uint32
}

// Service is a virtual service as the kernel can be told of it. It is
// comparable: two equal Services need no update.
type Service struct {
	ServiceKey
	// Scheduler is the kernel's name of the scheduler, 1 to 15 bytes: "wlc".
	Scheduler string
	Flags     Flags
	// Timeout is the persistence timeout, in whole seconds; zero without
	// Persistent.
	Timeout time.Duration
	// Granularity is the prefix length that groups clients for persistence:
	// 0..32 for IPv4 (32 is per client), 1..128 for IPv6. The kernel keeps one
	// for every service; without Persistent it should be Family.Bits, which is
	// what ipvsadm writes. A mask with holes is read as its leading ones.
	Granularity uint8
	// Engine is the persistence engine ("sip"), or empty.
	Engine string
}

// TunnelInfo is the encapsulation of a destination reached by Tunnel; zero is
// IP-in-IP, and it must be zero for every other forwarding method
// (IP_VS_CONN_F_TUNNEL_TYPE_*).
type TunnelInfo struct {
	Type  TunnelType
	Port  uint16 // of GUE
	Flags uint16 // 0 no checksum, 1 checksum, 2 remote checksum offload
}

// TunnelType is how a packet is wrapped (IP_VS_CONN_F_TUNNEL_TYPE_*).
type TunnelType uint8

// The encapsulations.
const (
	IPIP TunnelType = 0
	GUE  TunnelType = 1 // in UDP, needs TunnelInfo.Port
	GRE  TunnelType = 2
)

// The checksum flags of GUE and GRE (IP_VS_TUNNEL_ENCAP_FLAG_*); 0 is none.
const (
	TunnelChecksum uint16 = 1
	// TunnelRemoteChecksum is remote checksum offload, of GUE only.
	TunnelRemoteChecksum uint16 = 2
)

// Destination is a real server of a service as the kernel can be told of it.
// It is comparable.
type Destination struct {
	Address    netip.AddrPort
	Forwarding Forwarding
	// Weight is 0..65535; 0 takes no new connections and keeps the old.
	Weight int
	// Upper and Lower are the connection thresholds, up to 2147483647 and Lower
	// not above Upper; zero is none.
	Upper, Lower uint32
	Tunnel       TunnelInfo
}

// Stats are the kernel's counters (IPVS_STATS_ATTR_*), 64 bits wide, and its
// estimated rates per second.
type Stats struct {
	Connections, InPackets, OutPackets, InBytes, OutBytes uint64
	ConnectionRate, InPacketRate, OutPacketRate           uint64
	InByteRate, OutByteRate                               uint64
}

// ServiceEntry is a service as read from the kernel.
type ServiceEntry struct {
	Service
	Stats        Stats
	Destinations []DestinationEntry
}

// DestinationEntry is a destination as read from the kernel.
type DestinationEntry struct {
	Destination
	// Active, Inactive and Persistent count connections.
	Active, Inactive, Persistent uint32
	Stats                        Stats
}

// Info is what the kernel says of its IPVS.
type Info struct {
	// Version is IPVS's own version, one byte each of major, minor and patch
	// (IP_VS_VERSION_CODE): 0x010201 is 1.2.1.
	Version uint32
	// TableSize is the number of hash buckets of the connection table. It is no
	// limit on connections.
	TableSize uint32
}

// Timeouts are how long an idle connection is kept, in whole seconds; one value
// for all services of the network namespace.
type Timeouts struct {
	TCP    time.Duration // an established connection
	TCPFin time.Duration // after a FIN
	UDP    time.Duration
}
