package director

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// TestTrackersOfEveryKind runs them, in real time.
func TestTrackersOfEveryKind(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	drain, flag := filepath.Join(directory, "drain"), filepath.Join(directory, "flag")
	n := newNode(t, vrrptest.New(), 1)
	server := config.RealServer{Address: netip.MustParseAddrPort(listener.Addr().String()), Weight: 1}
	check := every(20*time.Millisecond, server.Address)
	server.Checks = []healthcheck.Spec{check}
	n.config.Services[0].RealServers = []config.RealServer{server}
	own := every(30*time.Millisecond, server.Address)
	script := track.Script{
		Command:  []string{"/usr/bin/test", "!", "-e", flag},
		Interval: 100 * time.Millisecond, Timeout: time.Minute, Rise: 1, Fall: 1,
	}
	process := track.Process{Name: filepath.Base(os.Args[0]), Quorum: 1}
	n.config.Trackers = []config.Tracker{
		{Name: "file", Kind: config.TrackFile, Spec: track.Spec{Name: "file", File: &track.File{Path: drain}}},
		{Name: "script", Kind: config.TrackScript, Spec: track.Spec{Name: "script", Script: &script}},
		{Name: "process", Kind: config.TrackProcess, Spec: track.Spec{Name: "process", Process: &process}},
		{Name: "service", Kind: config.TrackService, Service: n.config.Services[0].Name, Quorum: 1},
		{Name: "check", Kind: config.TrackCheck, Check: own},
		{Name: "link", Kind: config.TrackInterface, Interface: "eth9"},
	}
	n.config.VRRP[0].Track = []config.Tracked{
		{Tracker: "file", Weight: 1},
		{Tracker: "script", Weight: -2},
		{Tracker: "process", Weight: 4},
		{Tracker: "service", Weight: 8},
		{Tracker: "check", Weight: 16},
		{Tracker: "link", Weight: 32},
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	n.director = n.new()
	ended := make(chan error, 1)
	go func() { ended <- n.director.Run(ctx) }()
	wait := func(priority int) {
		t.Helper()
		timeout := time.After(2 * time.Minute)
		for {
			i := n.director.Status().Instances
			if len(i) == 1 && i[0].Priority == priority {
				return
			}
			select {
			case <-time.After(5 * time.Millisecond):
			case <-timeout:
				t.Fatalf("the priority is not %d: %+v\n%s", priority, i, n.log)
			}
		}
	}
	wait(100 + 4 + 8 + 16 + 32)
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(drain, "-20")
	wait(100 - 20 + 4 + 8 + 16 + 32)
	write(flag, "")
	wait(100 - 20 - 2 + 4 + 8 + 16 + 32)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	wait(100 - 20 - 2 + 4 + 32)
	n.kernel.setLink("eth9", false)
	wait(100 - 20 - 2 + 4)
	for _, tracker := range n.director.Status().Trackers {
		want := "down"
		if tracker.Name == "file" || tracker.Name == "process" {
			want = "up"
		}
		if tracker.State != want || tracker.Reason == "" {
			t.Errorf("%+v, want %s", tracker, want)
		}
	}
	cancel(nil)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
