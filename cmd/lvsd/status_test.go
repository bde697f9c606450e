package main

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director"
)

var update = flag.Bool("update", false, "rewrite the golden files; commit them only if you understand every change")

func TestWriteStatus(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	status := director.Status{
		RouterID: "relay1", Version: "v1.2.3", PID: 42, Started: before(time.Hour),
		Reload:    director.ReloadStatus{At: before(time.Minute), Error: "lvsd.toml:3:1: vrrp.vird: unknown key"},
		Reconcile: director.ReconcileStatus{Error: "iptables is in use by somebody else"},
		Instances: []director.InstanceStatus{{
			Name: "mail_relay", VRID: 11, Interface: "eth0", State: "backup", Since: before(90 * time.Second),
			Reason: "started", Priority: 100, Master: "192.168.3.104",
			VIPs:   []director.VIPStatus{{Address: "192.168.3.100", Redirected: true}},
			Faults: []string{"link: eth0 is down"},
		}},
		Services: []director.ServiceStatus{{
			Name: "smtp", Service: "tcp 192.168.3.100:25", Scheduler: "wlc", Forwarding: "Route", Up: 1, Sorry: true, SorryServer: "192.168.3.109:25",
			RealServers: []director.RealServerStatus{
				{
					Address: "192.168.3.101:25", State: "up", Since: before(time.Hour), Weight: 1, KernelWeight: 1,
					Active: 3, Inactive: 14,
					Checks: []director.CheckStatus{{Kind: "smtp", State: "up", Code: "L7OK", Reason: "220 relay1 ESMTP"}},
				},
				{
					Address: "192.168.3.102:25", State: "down", Since: before(2 * time.Second), Weight: 1, KernelWeight: 0,
					Checks: []director.CheckStatus{{Kind: "smtp", State: "down", Code: "L4CON", Reason: "connection refused"}},
				},
				{Address: "192.168.3.103:25", State: "unknown", Weight: 1, KernelWeight: -1, Checks: []director.CheckStatus{{Kind: "smtp"}}},
				{Address: "192.168.3.109:25", State: "draining", Active: 2},
			},
		}},
		Foreign: []string{"virtual service tcp 198.51.100.1:80"},
		Sysctls: []director.SysctlStatus{{Name: "net.ipv4.ip_forward", Have: "0", Want: "1", Why: "nat"}},
	}
	var b strings.Builder
	if err := writeStatus(&b, status, now); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/status.want", b.String())
}

// TestWriteStatusOfInstances: what VRRP has to say beyond the table.
func TestWriteStatusOfInstances(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	status := director.Status{
		RouterID: "relay1", Version: "v1.2.3", PID: 42, Started: before(time.Hour), Ready: true,
		Instances: []director.InstanceStatus{
			{
				Name: "mail", VRID: 11, Interface: "eth0", State: "backup", Since: before(time.Minute), Group: "all",
				Reason: "a MASTER with a higher priority", Priority: 80, BasePriority: 100, Master: "192.168.3.104",
				Explanation:   "100 −20 haproxy since 11:59:00 = 80",
				Contributions: []director.ContributionStatus{{Tracker: "haproxy", Weight: -20, Applied: -20, State: "down"}},
				Held:          true, Yielded: true,
				VIPs: []director.VIPStatus{{Address: "192.168.3.100"}},
				Notices: []director.NoticeStatus{{
					Kind: "two_masters", Peer: "192.168.3.105", Detail: "priority 100", First: before(time.Minute), Last: now, Count: 60,
				}},
			},
			{
				Name: "web", VRID: 12, Interface: "eth0", State: "init", Since: before(time.Minute), Group: "all",
				Reason: "started", Priority: 100, BasePriority: 100, Explanation: "100", Settling: true, Waiting: "tracker haproxy",
			},
		},
		Groups: []director.GroupStatus{{Name: "all", State: "mixed", Since: before(time.Minute), Instances: []string{"mail", "web"}}},
		Trackers: []director.TrackerStatus{
			{
				Name: "haproxy", Kind: "process", State: "down", Since: before(time.Minute), Reason: "0 of 1 running",
				Instances: []string{"mail", "web"},
			},
			{Name: "gateway", Kind: "script", State: "unknown"},
		},
		Conflicts: []director.ConflictStatus{
			{VIP: "192.168.3.100", Interface: "eth0", MAC: "02:00:00:00:00:0a", First: before(time.Minute)},
			{VIP: "192.168.3.100", Interface: "eth0", MAC: "02:00:00:00:00:0b", First: before(time.Hour), Ended: true},
		},
	}
	var b strings.Builder
	if err := writeStatus(&b, status, now); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/status-instances.want", b.String())
}

// TestWriteStatusOfServices: quorum, groups, host names, weights, drift.
func TestWriteStatusOfServices(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	before := func(d time.Duration) time.Time { return now.Add(-d) }
	up := []director.CheckStatus{{Kind: "tcp", State: "up", Code: "L4OK"}}
	web := func(address string) director.ServiceStatus {
		return director.ServiceStatus{
			Name: "web", Service: "tcp " + address, Scheduler: "mh", Forwarding: "Tunnel", Up: 3,
			Quorum: director.QuorumStatus{Needed: 8, Up: 12, Quorate: true, Since: before(time.Hour)},
			RealServers: []director.RealServerStatus{
				{
					Address: "192.0.2.11:80", Host: "web.example", State: "up", Since: before(time.Hour), Weight: 5,
					KernelWeight: 5, Configured: 5, Active: 10, Inactive: 1, Checks: up,
				},
				{
					Address: "192.0.2.12:80", State: "up", Since: before(3 * time.Second), Weight: 5, KernelWeight: 2,
					Configured: 5, SlowStart: now.Add(7 * time.Second), Active: 1, Checks: up,
				},
				{
					Address: "192.0.2.13:80", State: "up", Since: before(time.Hour), Weight: 2, KernelWeight: 2,
					Configured: 5, Checks: up,
					WeightChecks: []director.WeightCheckStatus{{CheckStatus: up[0], Change: -3}},
				},
			},
		}
	}
	thirty, none := 30, 0
	tls := director.CheckStatus{Kind: "https", State: "up", Code: "L7OK", Warning: "certificate expires in 6 days"}
	status := director.Status{
		RouterID: "lb1", Version: "v1.2.3", PID: 42, Started: before(time.Hour), Ready: true,
		CheckNotices: []director.CheckNoticeStatus{
			{Kind: "delayed", Reason: "4096 probes are in flight", Since: before(time.Minute)},
			{Kind: "held", Reason: "60 of 100 checks began to fail at once", Since: before(3 * time.Second)},
		},
		Daemons: []director.DaemonStatus{{State: "master", Interface: "eth1", ID: 11}, {State: "backup", Interface: "eth1", ID: 11}},
		Services: []director.ServiceStatus{
			web("192.0.2.1:80"), web("192.0.2.2:80"), web("192.0.2.3:80"), web("192.0.2.4:80"), web("192.0.2.5:80"),
			{
				Name: "dns", Service: "udp 192.0.2.1:53", Scheduler: "rr", Forwarding: "Masq",
				Quorum: director.QuorumStatus{Needed: 1, Since: before(10 * time.Second)},
				Sorry:  true, SorryServer: "192.0.2.99:53",
			},
			{
				Name: "api", Service: "tcp 192.0.2.1:443", Scheduler: "wlc", Forwarding: "Route", Up: 4,
				RealServers: []director.RealServerStatus{
					{
						Address: "192.0.2.21:443", State: "up", Weight: 30, KernelWeight: 30, Configured: 100, Told: &thirty,
						Checks: []director.CheckStatus{tls},
					},
					{
						Address: "192.0.2.22:443", State: "up", Weight: 25, KernelWeight: 25, Configured: 100, Told: &thirty,
						Checks: up, WeightChecks: []director.WeightCheckStatus{{CheckStatus: tls, Change: -5}},
					},
					{Address: "192.0.2.23:443", State: "up", Configured: 100, Told: &none, Checks: up},
					{Address: "192.0.2.24:443", State: "unknown", Weight: 40, KernelWeight: 40, Configured: 100, Kept: true, Checks: up},
					{
						Address: "192.0.2.25:443", State: "down", Weight: 1, Configured: 1,
						Checks: []director.CheckStatus{{
							Kind: "tcp", State: "down", Code: "L4OK", FlapScore: 5.25, FlapSuppressed: true,
						}},
					},
					{
						Address: "192.0.2.26:443", State: "up", Weight: 1, KernelWeight: 1, Configured: 1, AnyCheck: true,
						Checks: []director.CheckStatus{
							{Kind: "tcp", State: "down", Code: "L4CON", FlapScore: 1.5},
							{Kind: "https", State: "up", Code: "L7TOUT", Held: "this host was too busy"},
						},
					},
				},
			},
		},
		Hosts: []director.HostStatus{
			{Host: "web.example", Addresses: []string{"192.0.2.11"}, At: before(5 * time.Minute), Error: "server misbehaving"},
			{Host: "fine.example", Addresses: []string{"192.0.2.14"}, At: before(time.Second)},
			{Host: "absent.example", Error: "no such host"},
		},
		Drift: []director.DriftStatus{{
			Found: "weight 7", Op: "ipvsadm -e -t 192.0.2.1:80 -r 192.0.2.11:80 -i -w 5", Since: before(time.Minute),
		}},
	}
	var b strings.Builder
	if err := writeStatus(&b, status, now); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/status-services.want", b.String())
}

// wantGolden compares text with a golden file.
func wantGolden(t *testing.T, golden, text string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", golden, diff)
	}
}

func TestStatusCommand(t *testing.T) {
	directory := answer(t, answering{status: director.Status{Schema: "lvsd.status/1", RouterID: "relay1", PID: 42}})
	code, text, stderr := lvsd(t, "status", "--run-dir", directory)
	if code != exitOK || !strings.HasPrefix(text, "relay1: lvsd ") {
		t.Errorf("exit code %d, standard output %q, standard error %q", code, text, stderr)
	}
	code, text, stderr = lvsd(t, "status", "--json", "--run-dir", directory)
	var status director.Status
	if err := json.Unmarshal([]byte(text), &status); code != exitOK || err != nil || status.PID != 42 {
		t.Errorf("exit code %d, JSON %q (%v), standard error %q", code, text, err, stderr)
	}
}
