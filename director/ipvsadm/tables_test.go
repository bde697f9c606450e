package ipvsadm

import (
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// everyColumn is the table of all golden files but table-rare and table-sorted,
// in an order that the kernel gave.
var everyColumn = []ipvs.ServiceEntry{
	entry(ipvs.Service{
		ServiceKey: key(ipvs.UDP, "10.9.0.100:5060"), Scheduler: "wlc",
		Flags: ipvs.Persistent, Timeout: 2 * time.Minute, Granularity: 24,
	}, destination("10.9.0.13:5060", ipvs.DirectRoute, 0)),
	entry(ipvs.Service{ServiceKey: key(ipvs.SCTP, "10.9.0.100:3868"), Scheduler: "lc"},
		destination("10.9.0.16:3868", ipvs.Masquerade, 1)),
	entry(ipvs.Service{
		ServiceKey: key(ipvs.TCP, "10.9.0.100:443"), Scheduler: "sh",
		Flags: ipvs.Persistent | ipvs.Sched1 | ipvs.Sched2, Timeout: 5 * time.Minute, Granularity: 32,
	}, destination("10.9.0.11:8443", ipvs.Masquerade, 65535)),
	tcp("10.9.0.100:80", "rr",
		limited(destination("10.9.0.12:80", ipvs.DirectRoute, 1), 1000, 800),
		destination("10.9.0.11:80", ipvs.DirectRoute, 5)),
	tcp("10.9.0.101:80", "wlc",
		tunnelled("10.9.0.15:80", ipvs.TunnelInfo{Type: ipvs.GRE, Flags: ipvs.TunnelChecksum}),
		tunnelled("10.9.0.14:80", ipvs.TunnelInfo{Type: ipvs.GUE, Port: 6080})),
	entry(ipvs.Service{ServiceKey: key(ipvs.UDP, "10.9.0.100:53"), Scheduler: "rr", Flags: ipvs.OnePacket},
		destination("10.9.0.12:53", ipvs.Tunnel, 1)),
	entry(ipvs.Service{
		ServiceKey: key(ipvs.TCP, "[fd00:9::100]:80"), Scheduler: "wrr",
		Flags: ipvs.Persistent, Timeout: 10 * time.Second, Granularity: 64,
	}, destination("[fd00:9::11]:80", ipvs.DirectRoute, 2)),
	entry(ipvs.Service{
		ServiceKey: mark(ipvs.IPv4, 77), Scheduler: "mh",
		Flags: ipvs.Persistent | ipvs.Sched2, Timeout: time.Minute, Granularity: 32,
	}, destination("10.9.0.11:0", ipvs.DirectRoute, 1)),
	entry(ipvs.Service{ServiceKey: mark(ipvs.IPv6, 78), Scheduler: "rr"},
		destination("[fd00:9::11]:0", ipvs.DirectRoute, 1)),
}

// rareColumns is the table of table-rare, in the order that the kernel gave. It
// matters: the marks 1 and 2147483648 lie on different sides of 4294967295.
var rareColumns = []ipvs.ServiceEntry{
	tcp("[2001:db8:1111:2222:3333:4444:5555:6666]:65535", "rr",
		destination("[fd00:9:1111:2222:3333:4444:5555:6666]:65535", ipvs.DirectRoute, 2)),
	tcp("255.255.255.255:65535", "lblcr"),
	tcp("10.9.0.101:80", "wlc",
		destination("[fd00:9::11]:80", ipvs.Tunnel, 1), destination("10.9.0.14:80", ipvs.Tunnel, 1)),
	entry(ipvs.Service{ServiceKey: key(ipvs.TCP, "10.9.0.102:25"), Scheduler: "sh", Flags: ipvs.Sched3}),
	entry(ipvs.Service{
		ServiceKey: key(ipvs.TCP, "10.9.0.102:26"), Scheduler: "rr", Flags: ipvs.Sched1 | ipvs.Sched3,
	}),
	entry(ipvs.Service{
		ServiceKey: key(ipvs.TCP, "10.9.0.102:27"), Scheduler: "wlc", Flags: ipvs.Persistent, Timeout: time.Minute,
	}),
	tcp("[fd00:0:1:1:1:1:1:1]:80", "rr"),
	tcp("[fd00::1:0:0:1]:80", "rr"),
	tcp("[::10.9.0.1]:80", "rr"),
	tcp("[::1]:80", "rr"),
	entry(ipvs.Service{ServiceKey: mark(ipvs.IPv4, 0xffffffff), Scheduler: "rr"}),
	entry(ipvs.Service{ServiceKey: mark(ipvs.IPv4, 0x80000000), Scheduler: "rr"}),
	entry(ipvs.Service{ServiceKey: mark(ipvs.IPv4, 1), Scheduler: "rr"}),
}
