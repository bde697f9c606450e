package vrrp_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// A reload changes what is said, not who is master.
func TestReconfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		v2 := func(c *vrrp.Config) { c.Version = vrrp.V2 }
		a, b := start(t, lan, config(1, v2, priority(200))), start(t, lan, config(2, v2))
		sleep(10 * time.Second)
		change := func(c *vrrp.Config) {
			c.Interval = 2 * time.Second
			c.Password = "secret"
			c.VIPs = append(c.VIPs, addr(102))
		}
		for _, n := range []*node{a, b} {
			c := n.config
			change(&c)
			if err := n.Reconfigure(c); err != nil {
				t.Fatal(err)
			}
		}
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
		var got vrrp.Advert
		last := lan.Sent()[len(lan.Sent())-1]
		if d := got.Parse(last.Message, last.From, last.To); d != vrrp.Accepted {
			t.Fatal(d)
		}
		if got.Interval != 2*time.Second || got.Auth != vrrp.AuthPassword || string(got.AuthData[:]) != "secret\x00\x00" ||
			len(got.Addresses) != 3 {
			t.Errorf("advert: %+v", got)
		}
		if s := b.Status(); len(s.Discarded) != 0 || s.OtherAddresses != 0 || s.MasterDownInterval != 6609375*time.Microsecond {
			t.Errorf("status: %+v", s)
		}
	})
}

func TestReconfigureErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := start(t, vrrptest.New(), config(1))
		for name, change := range map[string]func(*vrrp.Config){
			"vrid 52":  func(c *vrrp.Config) { c.VRID = 52 },
			"priority": func(c *vrrp.Config) { c.Priority = 0 },
			"IPv6": func(c *vrrp.Config) {
				c.Source, c.VIPs = netip.Addr{}, []netip.Addr{netip.MustParseAddr("2001:db8::1")}
			},
		} {
			if err := a.Reconfigure(config(1, change)); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := vrrp.NewRouter(vrrp.RouterConfig{Config: config(1, priority(0))}); err == nil {
			t.Error("NewRouter takes priority 0")
		}
	})
}

// A change from multicast to unicast needs another socket, not another role.
func TestReconfigureToUnicast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, priority(200))), start(t, lan, config(2))
		sleep(10 * time.Second)
		for _, n := range []*node{a, b} {
			c := n.config
			c.Peers = []netip.Addr{addr(1), addr(2)}
			c.Peers = slices.DeleteFunc(c.Peers, func(p netip.Addr) bool { return p == n.addr })
			if err := n.Reconfigure(c); err != nil {
				t.Fatal(err)
			}
		}
		sleep(time.Minute)
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
		if last := lan.Sent()[len(lan.Sent())-1]; last.To != b.addr {
			t.Errorf("sent to %v", last.To)
		}
	})
}

// A new VIP that is the very address adverts come from makes the Router look for
// another source.
func TestReconfigureVIPIsSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		c := config(1)
		dialed := 0
		a := start(t, lan, c, func(_ *node, rc *vrrp.RouterConfig) {
			rc.Config.Source = netip.Addr{}
			rc.Dial = func(ifname string, c vrrp.Config) (vrrp.Conn, error) {
				dialed++
				return lan.Dial(addr(dialed))(ifname, c)
			}
		})
		sleep(10 * time.Second)
		c.Source, c.VIPs = netip.Addr{}, []netip.Addr{addr(1), addr(100)}
		if err := a.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		if s := a.Status(); dialed != 2 || s.Source != addr(2) || s.Master != addr(2) {
			t.Errorf("dialed %d times, status: %+v", dialed, s)
		}
	})
}
