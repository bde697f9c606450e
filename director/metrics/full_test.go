package metrics

import (
	"context"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/director"
)

// source is a Source that stands still.
type source struct {
	status  director.Status
	traffic director.Traffic
	err     error
}

func (s source) Status() director.Status { return s.status }

func (s source) Traffic(context.Context) (director.Traffic, error) { return s.traffic, s.err }

// at is some minutes after a time of no meaning.
func at(minutes int) time.Time {
	return time.Date(2026, 11, 20, 12, minutes, 0, 0, time.UTC)
}

// full is a source of which every metric tells something.
func full() source {
	return source{status: fullStatus(), traffic: fullTraffic()}
}

func fullStatus() director.Status {
	weight := 3
	drained := director.Override{
		Target: director.Target{Service: "mail", Server: "192.168.3.102:25"}, State: director.Drain, Node: "relay1", At: at(30), Until: at(59),
	}
	return director.Status{
		Schema: "lvsd.status/1", Version: "1.2.3", RouterID: "relay1", Started: at(0), Ready: true,
		CheckNotices: []director.CheckNoticeStatus{{Kind: "delayed", Since: at(5)}},
		Reload:       director.ReloadStatus{At: at(1), OK: true},
		Reconcile:    director.ReconcileStatus{At: at(40), Changes: 17, Error: "no such device"},
		ConfigHash:   "00112233445566aa",
		Maintenance:  &director.Override{Target: director.Target{Node: "relay1"}, State: director.Drain},
		Confirm:      at(45),
		Instances: []director.InstanceStatus{
			{
				Name: "relay", VRID: 11, Interface: "eth0", State: "master", Since: at(2), BasePriority: 100, Priority: 80, Master: "192.168.3.101",
				VIPs: []director.VIPStatus{{Address: "192.168.3.100", Held: true}, {Address: "2001:db8::100", Redirected: true}},
				Sent: 100, Received: 7, Discarded: map[string]uint64{"checksum": 2, "ttl": 3, "hmac": 5, "auth_type": 1, "length": 4, "interval": 6},
				Held: true, Peers: []director.PeerStatus{{Address: "192.168.3.102"}},
				Notices:      []director.NoticeStatus{{Kind: "vips"}, {Kind: twoMasters}},
				NoticeCounts: map[string]uint64{twoMasters: 1}, FaultCounts: map[string]uint64{"interface": 2},
				Transitions: 5, MasterTransitions: 2,
			},
			{Name: "relay6", VRID: 11, Interface: "eth1", State: "backup", VIPs: []director.VIPStatus{{Address: "192.168.3.200"}}, MasterTransitions: 1},
		},
		Groups:   []director.GroupStatus{{Name: "all", State: "mixed", Since: at(2), Instances: []string{"relay", "relay6"}}},
		Trackers: []director.TrackerStatus{{Name: "queue", Kind: "script", State: "up", Since: at(3)}, {Name: "load", Kind: "file", State: "down", Value: -20}},
		Services: []director.ServiceStatus{
			{
				Name: "mail", Service: "tcp 192.168.3.100:25", Protocol: "tcp", Address: "192.168.3.100:25", Family: "ipv4", Scheduler: "wlc", Forwarding: "Route",
				Quorum: director.QuorumStatus{Needed: 2, Up: 4, Quorate: true, Since: at(4)}, SorryServer: "192.168.3.9:25", Sorry: true,
				RealServers: []director.RealServerStatus{
					{
						Address: "192.168.3.101:25", State: "up", Since: at(6), Weight: 4, KernelWeight: 2, Configured: 5, Told: &weight, Admin: director.Enabled,
						Checks: []director.CheckStatus{
							{Kind: "smtp", Target: "192.168.3.101:25", State: "up", Code: "L7OK", At: at(39), Duration: 12 * time.Millisecond},
							{Kind: "tcp", Target: "192.168.3.101:25", State: "unknown"},
							{Kind: "tcp", Target: "192.168.3.101:25", State: "down", Code: "L4TOUT", At: at(38), Duration: time.Second, FlapSuppressed: true},
						},
					},
					{Address: "192.168.3.102:25", State: "down", KernelWeight: -1, Configured: 1, Admin: director.Drain, Override: &drained, Host: "relay2.example"},
					{Address: "invalid AddrPort", State: "unknown", KernelWeight: -1, Host: "relay3.example"},
					{Address: "invalid AddrPort", State: "unknown", KernelWeight: -1, Host: "relay3.example"},
				},
			},
			{Name: "mail", Service: "tcp [2001:db8::100]:25", Protocol: "tcp", Address: "[2001:db8::100]:25", Family: "ipv6"},
			{Name: "marked", Service: "fwmark 7", Mark: 7, Family: "ipv4", RealServers: []director.RealServerStatus{{Address: "[2001:db8::1]:0", State: "draining"}}},
			{Name: "marked", Service: "fwmark 7 IPv6", Mark: 7, Family: "ipv6"},
		},
		Conflicts: []director.ConflictStatus{
			{VIP: "192.168.3.100", Interface: "eth0", MAC: "02:00:00:00:00:01"},
			{VIP: "192.168.3.100", Interface: "eth0", MAC: "02:00:00:00:00:02"},
			{VIP: "192.168.3.200", Interface: "eth1", MAC: "02:00:00:00:00:01", Ended: true},
		},
		Drift:   []director.DriftStatus{{Found: "weight 7"}},
		Daemons: []director.DaemonStatus{{State: "master", Interface: "eth0", ID: 11}},
		Hosts: []director.HostStatus{
			{Host: "relay2.example", Addresses: []string{"192.168.3.102"}},
			{Host: "relay3.example", Error: "no such host"},
		},
		Foreign:   []string{"tcp 192.0.2.1:80"},
		Sysctls:   []director.SysctlStatus{{Name: "net.ipv4.ip_forward"}},
		Overrides: []director.Override{drained, {Target: director.Target{Service: "mail", Server: "192.168.3.101:25"}, Weight: &weight, At: at(31)}},
		Nodes: []director.NodeStatus{
			{
				Name: "relay2", Address: "192.168.3.102:9468", Reachable: true, Last: at(40),
				NodeReport: director.NodeReport{Version: "1.2.3", ConfigHash: "00112233445566aa", Ready: true},
			},
			{
				Name: "relay3", Address: "192.168.3.103:9468", Last: at(20),
				NodeReport: director.NodeReport{Version: "1.2.2", ConfigHash: "ffeeddccbbaa9988", Maintenance: true},
			},
			{Name: "relay4", Address: "192.168.3.104:9468", Error: "connection refused"},
		},
	}
}

func fullTraffic() director.Traffic {
	counters := func(n uint64) director.TrafficCounters {
		return director.TrafficCounters{
			Connections: n, InPackets: 10 * n, OutPackets: 20 * n, InBytes: 1000 * n, OutBytes: 1<<40 + n,
			ConnectionRate: 1, InPacketRate: 2, OutPacketRate: 3, InByteRate: 4, OutByteRate: 5,
		}
	}
	return director.Traffic{Schema: "lvsd.traffic/1", At: at(40), Services: []director.ServiceTraffic{
		{
			Name: "mail", Protocol: "tcp", Address: "192.168.3.100:25", Family: "ipv4", TrafficCounters: counters(3),
			Servers: []director.ServerTraffic{
				{Address: "192.168.3.101:25", Weight: 2, Active: 1, Inactive: 2, Persistent: 3, TrafficCounters: counters(2)},
				{Address: "192.168.3.9:25", TrafficCounters: counters(1)},
			},
		},
		{Name: "marked", Mark: 7, Family: "ipv4"},
		{Name: "marked", Mark: 7, Family: "ipv6", TrafficCounters: counters(4)},
	}}
}

// loopback is where tests listen.
var loopback = netip.MustParseAddrPort("127.0.0.1:0")
