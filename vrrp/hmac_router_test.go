package vrrp_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// withHMAC has key 1 of two.
func withHMAC(c *vrrp.Config) {
	c.HMAC = vrrp.HMAC{
		Keys:   map[uint8][]byte{1: bytes.Repeat([]byte{1}, 32), 2: bytes.Repeat([]byte{2}, 32)},
		Active: 1,
	}
}

func withWindow(c *vrrp.Config) {
	withHMAC(c)
	c.HMAC.Window = 5 * time.Second
}

// Whatever was recorded or is made without the key changes nothing: the backup
// takes over in time, and the master keeps its role.
func TestReplayAndForgery(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*vrrp.Config)
	}{{"order", withHMAC}, {"window", withWindow}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := vrrptest.New()
				a, b := start(t, lan, config(1, tt.set, priority(200))), start(t, lan, config(2, tt.set))
				sleep(10 * time.Second)
				wantRoles(t, b, "BACKUP")
				recorded := lan.Sent()
				last := recorded[len(recorded)-1]
				a.crash()
				died := last.At
				forged := message(t, a.config, []byte("not the right key, but as long.."), a.addr, vrrp.Group, func(a *vrrp.Advert) {
					a.Priority = 255
					a.Trailer = vrrp.Trailer{KeyID: 1, Sequence: vrrp.SequenceAt(time.Now().Add(time.Hour))}
				})
				for i := range 40 {
					lan.Inject(a.addr, vrrp.Group, 255, recorded[i%len(recorded)].Message)
					lan.Inject(a.addr, vrrp.Group, 255, forged)
					sleep(100 * time.Millisecond)
				}
				wantRoles(t, b, "BACKUP MASTER")
				if took := b.last().At.Sub(died); took != b.config.MasterDownInterval() {
					t.Errorf("took over after %v", took)
				}
				s := b.Status()
				if got := s.Discarded[vrrp.Replayed] + s.Discarded[vrrp.WrongTime]; got != 40 || s.Discarded[vrrp.BadHMAC] != 40 {
					t.Errorf("discarded %v", s.Discarded)
				}

				// The forged sequence, an hour ahead, does not keep the real one out.
				start(t, lan, a.config)
				sleep(10 * time.Second)
				wantRoles(t, b, "BACKUP MASTER BACKUP")
			})
		})
	}
}

// A restart at once, or after a long time, is no replay.
func TestHMACRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		a, b := start(t, lan, config(1, withHMAC, priority(200))), start(t, lan, config(2, withHMAC))
		for _, pause := range []time.Duration{time.Millisecond, time.Second, time.Minute} {
			sleep(10 * time.Second)
			a.crash()
			sleep(pause)
			a = start(t, lan, a.config, resume)
		}
		sleep(10 * time.Second)
		wantRoles(t, a, "MASTER")
		wantRoles(t, b, "BACKUP MASTER BACKUP")
		if s := b.Status(); len(s.Discarded) != 0 {
			t.Errorf("discarded %v", s.Discarded)
		}
	})
}

// Authentication comes, its key changes, and it goes, node by node, and no
// advert is lost.
func TestHMACRollout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		var d diary
		a, b := start(t, lan, config(1, priority(200)), d.keep), start(t, lan, config(2), d.keep)
		permissive := func(c *vrrp.Config) { withHMAC(c); c.HMAC.Permissive = true }
		receiveOnly := func(c *vrrp.Config) { permissive(c); c.HMAC.Active = 0 }
		oneKey := func(id uint8) func(*vrrp.Config) {
			return func(c *vrrp.Config) {
				withHMAC(c)
				c.HMAC.Active = id
				delete(c.HMAC.Keys, 3-id)
			}
		}
		second := func(c *vrrp.Config) { withHMAC(c); c.HMAC.Active = 2 }
		off := func(c *vrrp.Config) { c.HMAC = vrrp.HMAC{} }
		for _, step := range []func(*vrrp.Config){receiveOnly, permissive, oneKey(1), withHMAC, second, oneKey(2), second, permissive, off} {
			for _, n := range []*node{b, a} {
				c := n.config
				step(&c)
				if err := n.Reconfigure(c); err != nil {
					t.Fatal(err)
				}
				sleep(10 * time.Second)
			}
		}
		wantRoles(t, a, "BACKUP MASTER")
		wantRoles(t, b, "BACKUP")
		if s := b.Status(); len(s.Discarded) != 0 || d.String() != "" {
			t.Errorf("discarded %v, noticed %v", s.Discarded, &d)
		}
	})
}

// Unicast: one advert, signed once, goes to all, with a checksum for each.
func TestHMACUnicast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		unicast := func(c *vrrp.Config) {
			withHMAC(c)
			for i := 1; i <= 3; i++ {
				if addr(i) != c.Source {
					c.Peers = append(c.Peers, addr(i))
				}
			}
		}
		start(t, lan, config(1, unicast, priority(200)))
		b, c := start(t, lan, config(2, unicast)), start(t, lan, config(3, unicast))
		sleep(10 * time.Second)
		wantRoles(t, b, "BACKUP")
		wantRoles(t, c, "BACKUP")
		sent := lan.Sent()
		x, y := sent[0].Message, sent[1].Message
		if !bytes.Equal(x[len(x)-28:], y[len(y)-28:]) || bytes.Equal(x, y) {
			t.Errorf("%x\n%x", x, y)
		}
	})
}
