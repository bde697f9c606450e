package vrrp_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

func addr6(i int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(i)})
}

// overIPv6 makes the configuration of host i one of IPv6, its link-local VIP
// last.
func overIPv6(i int) func(*vrrp.Config) {
	return func(c *vrrp.Config) {
		c.Source = addr6(i)
		c.VIPs = []netip.Addr{netip.MustParseAddr("2001:db8::100"), addr6(100)}
	}
}

func TestIPv6(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*vrrp.Config)
		to   netip.Addr
	}{
		{"multicast", func(*vrrp.Config) {}, vrrp.Group6},
		{"group", func(c *vrrp.Config) { c.Group = netip.MustParseAddr("ff02::1234") }, netip.MustParseAddr("ff02::1234")},
		{"unicast", func(c *vrrp.Config) { c.Peers = []netip.Addr{addr6(3 - int(c.Source.As16()[15]))} }, addr6(2)},
		{"hmac", withHMAC, vrrp.Group6},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := vrrptest.New()
				var d diary
				a := start(t, lan, config(1, overIPv6(1), tt.set, priority(200)), d.keep)
				b := start(t, lan, config(2, overIPv6(2), tt.set), d.keep)
				sleep(10 * time.Second)
				wantRoles(t, a, "BACKUP MASTER")
				wantRoles(t, b, "BACKUP")
				f := lan.Sent()[0]
				var got vrrp.Advert
				if r := got.Parse(f.Message, f.From, f.To); r != vrrp.Accepted || f.To != tt.to {
					t.Fatalf("%v, to %v", r, f.To)
				}
				want := []netip.Addr{addr6(100), netip.MustParseAddr("2001:db8::100")}
				if diff := cmp.Diff(want, got.Addresses, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
					t.Errorf("link-local is not first (-want +got):\n%s", diff)
				}
				a.cancel()
				sleep(10 * time.Second)
				wantRoles(t, b, "BACKUP MASTER")
				if s := b.Status(); len(s.Discarded) != 0 || d.String() != "" || s.ZeroReceived != 1 {
					t.Errorf("discarded %v, noticed %v", s.Discarded, &d)
				}
			})
		})
	}
}

// Another group is another segment, and a change of it another socket.
func TestGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		group := func(c *vrrp.Config) { c.Group = netip.MustParseAddr("239.1.2.3") }
		a, b := start(t, lan, config(1)), start(t, lan, config(2, priority(200), group))
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		if err := a.Reconfigure(config(1, group)); err != nil {
			t.Fatal(err)
		}
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER BACKUP")
		wantRoles(t, b, "BACKUP MASTER")
	})
}

// Both forms of the checksum are understood, and counted.
func TestPlainChecksumSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		plain := func(c *vrrp.Config) { c.PlainChecksum = true }
		a, b := start(t, lan, config(1, priority(200), plain)), start(t, lan, config(2))
		sleep(10 * time.Second)
		if s := b.Status(); s.Received == 0 || s.PlainChecksums != s.Received || !s.Peers[0].PlainChecksum {
			t.Errorf("%d of %d", s.PlainChecksums, s.Received)
		}
		if err := a.Reconfigure(config(1, priority(200))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		before := b.Status().PlainChecksums
		sleep(10 * time.Second)
		if s := b.Status(); s.PlainChecksums != before || s.Received <= before+5 {
			t.Errorf("%d of %d", s.PlainChecksums, s.Received)
		}
	})
}

// With any source a peer that is not listed takes part; without it does not.
func TestAnySource(t *testing.T) {
	for _, open := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			lan := vrrptest.New()
			a := start(t, lan, config(1, func(c *vrrp.Config) { c.Peers, c.AnySource = []netip.Addr{addr(3)}, open }))
			sleep(10 * time.Second)
			m := message(t, config(2), nil, addr(2), addr(1), func(a *vrrp.Advert) { a.Priority = 200 })
			lan.Inject(addr(2), addr(1), 255, m)
			synctest.Wait()
			if s := a.Status(); (s.Role == vrrp.Backup) != open || (s.Discarded[vrrp.UnknownSource] == 0) != open {
				t.Errorf("%v: %v, discarded %v", open, s.Role, s.Discarded)
			}
		})
	}
}
