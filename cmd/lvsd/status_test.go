package main

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
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
			Name: "smtp", Service: "tcp 192.168.3.100:25", Scheduler: "wlc", Forwarding: "Route", Up: 1, Sorry: true,
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
	const golden = "testdata/status.want"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

// answering answers on a control socket as a running lvsd does.
type answering struct{ status director.Status }

func (a answering) Status() director.Status { return a.status }

func TestStatusCommand(t *testing.T) {
	directory := t.TempDir()
	socket, err := control.Listen(filepath.Join(directory, socketName))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- control.Serve(ctx, socket, answering{director.Status{Schema: "lvsd.status/1", RouterID: "relay1", PID: 42}})
	}()

	code, text, stderr := lvsd(t, "status", "--run-dir", directory)
	if code != exitOK || !strings.HasPrefix(text, "relay1: lvsd ") {
		t.Errorf("exit code %d, standard output %q, standard error %q", code, text, stderr)
	}
	code, text, stderr = lvsd(t, "status", "--json", "--run-dir", directory)
	var status director.Status
	if err := json.Unmarshal([]byte(text), &status); code != exitOK || err != nil || status.PID != 42 {
		t.Errorf("exit code %d, JSON %q (%v), standard error %q", code, text, err, stderr)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
