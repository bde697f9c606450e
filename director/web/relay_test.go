package web

import (
	"fmt"
	"time"

	"github.com/lvsd/lvsd/director"
)

// relays is the status of a node of a mail relay, with something of everything.
func relays() director.Status {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	up := func(address, code, reason string, took time.Duration) director.RealServerStatus {
		return director.RealServerStatus{
			Address: address, State: "up", Since: ago(75 * time.Hour), Weight: 100, KernelWeight: 100, Configured: 100, Admin: director.Enabled,
			Checks: []director.CheckStatus{{
				Kind: "smtp", Target: address, State: "up", Since: ago(75 * time.Hour), Code: code, Reason: reason, At: ago(time.Second), Duration: took,
			}},
		}
	}
	mail := []director.RealServerStatus{
		up("192.0.2.11:25", "L7OK", "250 mx1.example.org ready", 3100*time.Microsecond),
		up("192.0.2.12:25", "L7OK", "250 mx2.example.org ready", 2800*time.Microsecond),
		up("192.0.2.13:25", "L7STS", "554 5.7.1 no service here, closing transmission channel", 1900*time.Microsecond),
		up("192.0.2.14:25", "L7OK", "250 mx4.example.org ready", 4*time.Millisecond),
	}
	down(&mail[2], ago(125*time.Second))
	mail[0].Host = "mx1.example.org"
	drained := &director.Override{
		Target: director.Target{Service: "mail", Server: "192.0.2.14:25"}, State: director.Drain, Reason: "kernel update", By: "root on relay1",
		Node: "relay1", At: ago(11 * time.Minute),
	}
	mail[3].Admin, mail[3].Override, mail[3].KernelWeight = director.Drain, drained, 0
	web := []director.RealServerStatus{
		up("192.0.2.21:443", "L7OK", "200 OK", 9*time.Millisecond), up("192.0.2.22:443", "L7OK", "200 OK", 12*time.Millisecond),
	}
	web[1].Weight, web[1].KernelWeight = 60, 60
	web[1].Checks[0].Warning = "certificate expires in 9 days"
	dns := []director.RealServerStatus{up("[2001:db8::53]:53", "L7OK", "answer of 3 records", time.Millisecond)}
	dns[0].State, dns[0].Checks[0].State, dns[0].Checks[0].Code, dns[0].KernelWeight = "unknown", "unknown", "", -1
	return director.Status{
		Schema: "lvsd.status/1", Version: "1.0.0", PID: 4711, RouterID: "relay1", Config: "/etc/lvsd/lvsd.toml", Started: ago(100 * time.Hour),
		Ready: true, ConfigHash: "9f86d081884c7d65", Reload: director.ReloadStatus{At: ago(3 * time.Hour), OK: true},
		Reconcile: director.ReconcileStatus{At: now}, Overrides: []director.Override{*drained},
		CheckNotices: []director.CheckNoticeStatus{{Kind: "delayed", Reason: "probes begin up to 1.2s late: this host is busy", Since: ago(time.Minute)}},
		Drift:        []director.DriftStatus{{Found: "weight 7", Op: "ipvsadm -e -t 198.51.100.25:25 -r 192.0.2.11:25 -w 100", Since: ago(time.Minute)}},
		Conflicts:    []director.ConflictStatus{{VIP: "198.51.100.25", Interface: "eth0", MAC: "02:00:5e:10:00:07", First: ago(time.Hour), Last: ago(5 * time.Second), Count: 3}},
		Instances: []director.InstanceStatus{
			{
				Name: "mail", VRID: 51, Version: 3, Interface: "eth0", State: "master", Since: ago(26 * time.Hour), Reason: "no advert of another MASTER",
				Priority: 130, BasePriority: 150, Explanation: "150 −20 haproxy since 12:03:11 = 130", Interval: time.Second, Group: "relay",
				VIPs:  []director.VIPStatus{{Address: "198.51.100.25/24", Held: true}, {Address: "2001:db8::25/64", Held: true}},
				Peers: []director.PeerStatus{{Address: "10.0.0.2", Version: 3, Priority: 100, Interval: time.Second, Auth: "none", Last: ago(time.Second)}},
			},
			{
				Name: "web", VRID: 52, Version: 3, Interface: "eth0", State: "backup", Since: ago(90 * time.Minute), Reason: "10.0.0.2 has a higher priority",
				Priority: 100, BasePriority: 100, Explanation: "100", Interval: time.Second, Master: "10.0.0.2", MasterPriority: 150,
				VIPs:  []director.VIPStatus{{Address: "198.51.100.80/24", Redirected: true}},
				Peers: []director.PeerStatus{{Address: "10.0.0.2", Version: 3, Priority: 150, Interval: time.Second, Auth: "none", Master: true, Last: ago(time.Second)}},
			},
		},
		Nodes: []director.NodeStatus{
			{Name: "relay2", Address: "10.0.0.2:9468", Reachable: true, Last: now, NodeReport: director.NodeReport{
				Version: "1.0.0", ConfigHash: "9f86d081884c7d65", Ready: true, Roles: map[string]string{"mail": "backup", "web": "master"},
				Servers: []director.ServerReport{
					{Service: "mail", Address: "192.0.2.11:25", State: "down", Reason: "no answer within 1s", Weight: 0},
					{Service: "mail", Address: "192.0.2.12:25", State: "up", Weight: 100},
				},
			}},
			{Name: "relay3", Address: "10.0.0.3:9468", Error: "dial tcp 10.0.0.3:9468: no route to host", Last: ago(7 * time.Hour), NodeReport: director.NodeReport{
				Version: "0.9.2", ConfigHash: "1b4f0e9851971998",
			}},
		},
		Services: []director.ServiceStatus{
			service("mail", "tcp", "198.51.100.25:25", 2, 2, mail), service("web", "tcp", "198.51.100.80:443", 2, 1, web),
			service("dns", "udp", "[2001:db8::25]:53", 0, 1, dns),
		},
	}
}

// down takes a server down since then.
func down(server *director.RealServerStatus, since time.Time) {
	server.State, server.Since, server.KernelWeight = "down", since, 0
	server.Checks[0].State, server.Checks[0].Since = "down", since
}

func service(name, protocol, address string, up, needed int, servers []director.RealServerStatus) director.ServiceStatus {
	return director.ServiceStatus{
		Name: name, Service: protocol + " " + address, Protocol: protocol, Address: address, Family: "ipv4", Scheduler: "wlc", Forwarding: "direct",
		Up: up, Quorum: director.QuorumStatus{Needed: needed, Up: up, Quorate: up >= needed, Since: time.Now().Add(-time.Hour)}, RealServers: servers,
		SorryServer: map[string]string{"web": "192.0.2.99:443"}[name],
	}
}

// crowd is a status of many services with ten servers each.
func crowd(services int) director.Status {
	status := director.Status{Schema: "lvsd.status/1", RouterID: "crowd", Ready: true}
	now := time.Now()
	for i := range services {
		var servers []director.RealServerStatus
		for j := range 10 {
			address := fmt.Sprintf("10.%d.%d.%d:80", i/250, i%250, j+1)
			servers = append(servers, director.RealServerStatus{
				Address: address, State: "up", Since: now, Weight: 10, KernelWeight: 10, Configured: 10, Admin: director.Enabled,
				Checks: []director.CheckStatus{{Kind: "http", Target: address, State: "up", Code: "L7OK", Reason: "200 OK", At: now, Duration: time.Millisecond}},
			})
		}
		status.Services = append(status.Services, service(fmt.Sprintf("service-%04d", i), "tcp", fmt.Sprintf("198.51.100.1:%d", 1000+i), 10, 1, servers))
	}
	return status
}
