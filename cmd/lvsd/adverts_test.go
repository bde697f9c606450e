package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/segment"
)

// heard is a Table that heard some speakers with something wrong, and what it
// said of them.
func heard(t *testing.T, now time.Time) (table *segment.Table, changes []segment.Change) {
	t.Helper()
	table = segment.NewTable()
	addr := netip.MustParseAddr
	hear := func(ago time.Duration, outgoing bool, source, destination string, a vrrp.Advert) {
		p := segment.Packet{
			Interface: "eth0", Outgoing: outgoing, Received: now.Add(-ago), TTL: 255,
			Source: addr(source), Destination: addr(destination),
		}
		var err error
		if p.Payload, err = a.Append(nil, p.Source, p.Destination); err != nil {
			t.Fatal(err)
		}
		changes = append(changes, table.Observe(p)...)
	}
	v2 := vrrp.Advert{
		Version: vrrp.V2, VRID: 11, Priority: 100, Interval: time.Second, Auth: vrrp.AuthPassword,
		AuthData: [8]byte([]byte("ge\x1bheim\n")), Addresses: []netip.Addr{addr("192.168.3.100"), addr("192.168.3.101")},
	}
	better := v2
	better.Priority, better.Auth, better.AuthData = 150, vrrp.AuthNone, [8]byte{}
	for ago := 3 * time.Second; ago > 0; ago -= time.Second {
		hear(ago, true, "192.168.3.104", "224.0.0.18", v2)
		hear(ago-time.Second/2, false, "192.168.3.105", "192.168.3.104", better)
	}
	hear(0, false, "fe80::1", "ff05::12", vrrp.Advert{
		Version: vrrp.V3, VRID: 12, Priority: 0, Interval: 10 * time.Millisecond, Addresses: []netip.Addr{addr("fe80::100")},
	})
	changes = append(changes, table.Observe(segment.Packet{
		Interface: "eth0", Received: now, TTL: 255, Source: addr("192.168.3.9"), Destination: addr("224.0.0.18"), Payload: []byte{0x31, 13},
	})...)
	return table, changes
}

func TestWriteAdverts(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	table, changes := heard(t, now)
	var b strings.Builder
	for _, passwords := range []bool{false, true} {
		if err := writeReport(&b, table.Report(now, passwords), false); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
	}
	for _, asJSON := range []bool{false, true} {
		if err := writeChanges(&b, changes, asJSON); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
	}
	if err := writeReport(&b, segment.NewTable().Report(now, false), false); err != nil {
		t.Fatal(err)
	}
	if err := writeReport(&b, table.Report(now, false), true); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/adverts.want", b.String())
}

// TestAdvertsCommand watches a cable on which a Router speaks.
func TestAdvertsCommand(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	type result struct {
		code           int
		stdout, stderr string
	}
	results := make(chan result)
	go func() {
		defer close(results)
		runtime.LockOSThread() // the thread is thrown away with its namespace
		if err := newCable(); err != nil {
			t.Error(err)
			return
		}
		stop, err := speak()
		if err != nil {
			t.Error(err)
			return
		}
		defer stop()
		for _, arguments := range [][]string{
			{"adverts", "-i", "eth0", "--count", "3", "--duration", "3m", "--json"},
			{"adverts", "--count", "1", "--follow"},
			{"adverts", "--interface", "eth9"},
			{"adverts", "--duration", "1ms", "-i", "peer0", "-i", "eth0"},
		} {
			var out, errs bytes.Buffer
			code := run(t.Context(), arguments, &out, &errs)
			results <- result{code, out.String(), errs.String()}
		}
	}()
	got := <-results
	var report segment.Report
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || got.code != exitOK {
		t.Fatalf("%v: %+v", err, got)
	}
	if len(report.Speakers) != 1 || report.Schema != "lvsd.adverts/1" {
		t.Fatalf("report %+v", report)
	}
	if s := report.Speakers[0]; s.VRID != 7 || s.State != segment.Master || s.Adverts != 3 || !s.ThisNode || s.Interface != "eth0" {
		t.Errorf("speaker %+v", s)
	}
	got = <-results
	if got.code != exitOK || !strings.Contains(got.stdout, "vrid 7 192.0.2.1: new speaker: version 3, priority 255") {
		t.Errorf("follow: %+v", got)
	}
	got = <-results
	if got.code != exitFailed || !strings.Contains(got.stderr, "interface eth9: absent") {
		t.Errorf("absent interface: %+v", got)
	}
	if got = <-results; got.code != exitOK {
		t.Errorf("two interfaces: %+v", got)
	}
	for got := range results {
		t.Errorf("superfluous: %+v", got)
	}
}

// newCable gives the calling thread a namespace with a cable, eth0 to peer0.
func newCable() error {
	ns, err := netns.New()
	if err != nil {
		return err
	}
	defer ns.Close()
	link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "peer0"}
	if err := netlink.LinkAdd(link); err != nil {
		return err
	}
	a, err := netlink.ParseAddr("192.0.2.1/24")
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(link, a); err != nil {
		return err
	}
	for _, name := range []string{"eth0", "peer0"} {
		end, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetUp(end); err != nil {
			return err
		}
	}
	return nil
}

// speak runs a Router in the namespace of the calling thread.
func speak() (stop func(), err error) {
	router, err := vrrp.NewRouter(vrrp.RouterConfig{Interface: "eth0", Config: vrrp.Config{
		Version: vrrp.V3, VRID: 7, Priority: vrrp.Owner, Interval: 50 * time.Millisecond,
		VIPs: []netip.Addr{netip.MustParseAddr("192.0.2.100")},
	}})
	if err != nil {
		return nil, err
	}
	here, err := netns.Get()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer here.Close()
		runtime.LockOSThread()
		if netns.Set(here) == nil {
			_ = router.Run(ctx)
		}
	}()
	return func() { cancel(); <-done }, nil
}
