package vrrp_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// diary is what a Router's Notice was called with: "two_masters 10.0.0.2", with
// a minus when it is over.
type diary struct {
	mu    sync.Mutex
	lines []string
	last  vrrp.Notice
}

func (d *diary) keep(_ *node, c *vrrp.RouterConfig) {
	c.Notice = func(n vrrp.Notice, over bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		s := fmt.Sprint(n.Kind, " ", n.Peer)
		if over {
			s = "-" + s
		}
		d.lines, d.last = append(d.lines, s), n
	}
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, ", ")
}

// In ordinary life there is nothing to notice.
func TestNothingToNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		var d diary
		a := start(t, lan, config(1, priority(200)), d.keep)
		b := start(t, lan, config(2, priority(150)), d.keep)
		c := start(t, lan, config(3), d.keep)
		sleep(10 * time.Second)
		a.crash()
		sleep(10 * time.Second)
		wantRoles(t, b, "BACKUP MASTER")
		a = start(t, lan, a.config, d.keep) // preempts b
		sleep(10 * time.Second)
		wantRoles(t, a, "BACKUP MASTER")
		a.SetPriority(120)
		sleep(10 * time.Second)
		wantRoles(t, b, "BACKUP MASTER BACKUP MASTER")
		b.cancel()
		sleep(10 * time.Second)
		for _, cut := range []func(from, to netip.Addr){lan.Cut, lan.Join} { // a partition, which heals
			cut(a.addr, c.addr)
			cut(c.addr, a.addr)
			sleep(20 * time.Second)
		}
		wantRoles(t, c, "BACKUP MASTER BACKUP")
		if d.String() != "" {
			t.Errorf("noticed %v: %s", &d, d.last.Detail)
		}
		if p := c.Status().Peers; len(p) != 2 || !p[0].Master || p[1].Master || p[0].Priority != 120 || p[1].Priority != 0 {
			t.Errorf("peers: %+v", p)
		}
	})
}

// One router does not hear the other: both are MASTER, and the one that hears
// says so.
func TestTwoMasters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		var da, db diary
		a := start(t, lan, config(1, priority(200)), da.keep)
		b := start(t, lan, config(2), db.keep)
		sleep(10 * time.Second)
		lan.Cut(a.addr, b.addr)
		sleep(10 * time.Second)
		wantRoles(t, b, "BACKUP MASTER")
		s := a.Status()
		if da.String() != "two_masters 10.0.0.2" || len(s.Notices) != 1 || s.Notices[0].Kind != vrrp.NoticeTwoMasters ||
			s.Notices[0].Count < 2 || s.Counters.Notices[vrrp.NoticeTwoMasters] != s.Notices[0].Count {
			t.Errorf("noticed %v; %+v", &da, s.Notices)
		}
		if want := "priority 100, ours 200: it does not yield, or does not hear us"; s.Notices[0].Detail != want {
			t.Errorf("detail %q", s.Notices[0].Detail)
		}
		sleep(time.Hour)
		lan.Join(a.addr, b.addr)
		sleep(time.Minute)
		wantRoles(t, b, "BACKUP MASTER BACKUP")
		if da.String() != "two_masters 10.0.0.2, -two_masters 10.0.0.2" || db.String() != "" || len(a.Status().Notices) != 0 {
			t.Errorf("noticed %v; %v", &da, &db)
		}
	})
}

// Who yields ends the notice at once.
func TestTwoMastersOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		var d diary
		a := start(t, lan, config(1, priority(200)), d.keep)
		b := start(t, lan, config(2))
		sleep(10 * time.Second)
		lan.Cut(a.addr, b.addr)
		sleep(10 * time.Second)
		a.SetPriority(50)
		sleep(2 * time.Second)
		wantRoles(t, a, "BACKUP MASTER BACKUP")
		if d.String() != "two_masters 10.0.0.2, -two_masters 10.0.0.2" {
			t.Errorf("noticed %v", &d)
		}
	})
}

// A packet that is odd makes its notice, which ends when nothing like it comes
// any more, and changes the role only if it is a valid advert.
func TestNotices(t *testing.T) {
	key, hmac := []byte("0123456789abcdef"), func(c *vrrp.Config) {
		c.HMAC = vrrp.HMAC{Keys: map[uint8][]byte{1: []byte("0123456789abcdef")}, Active: 1, Window: 10 * time.Second}
	}
	v2 := func(c *vrrp.Config) { c.Version = vrrp.V2 }
	trailer := func(id uint8, ahead time.Duration) func(*vrrp.Advert) {
		return func(a *vrrp.Advert) {
			a.Trailer = vrrp.Trailer{KeyID: id, Sequence: vrrp.SequenceAt(time.Now().Add(ahead))}
		}
	}
	for _, tt := range []struct {
		name   string
		mine   func(*vrrp.Config)
		theirs func(*vrrp.Advert)
		change func([]byte)
		from   netip.Addr // 10.0.0.9 unless set
		ttl    uint8
		times  int
		want   vrrp.NoticeKind
		reason vrrp.Discard
		detail string
	}{
		{
			name: "duplicate VRID", theirs: func(a *vrrp.Advert) { a.Addresses = []netip.Addr{addr(102)} },
			want: vrrp.NoticeDuplicateVRID, detail: "lists 10.0.0.102, we do not; does not list 10.0.0.100 10.0.0.101",
		},
		{
			name: "VIPs", theirs: func(a *vrrp.Advert) { a.Addresses = a.Addresses[:1] },
			want: vrrp.NoticeVIPs, detail: "does not list 10.0.0.101",
		},
		{
			name: "more VIPs", theirs: func(a *vrrp.Advert) {
				for i := range 7 {
					a.Addresses = append(a.Addresses, addr(102+i))
				}
			},
			want: vrrp.NoticeVIPs, detail: "lists 10.0.0.102 10.0.0.103 10.0.0.104 10.0.0.105 and 3 more, we do not",
		},
		{
			name: "interval", theirs: func(a *vrrp.Advert) { a.Interval = 2 * time.Second },
			want: vrrp.NoticeInterval, detail: "interval 2s, ours 1s",
		},
		{
			name: "v2 interval", mine: v2, theirs: func(a *vrrp.Advert) { a.Interval = 2 * time.Second },
			want: vrrp.NoticeInterval, reason: vrrp.BadInterval, detail: "interval 2s, ours 1s: discarded",
		},
		{
			name: "own address", from: addr(1), want: vrrp.NoticeOwnAddress, reason: vrrp.OwnSource, detail: "a loop",
		},
		{
			name: "version", theirs: func(a *vrrp.Advert) { a.Version = vrrp.V2 },
			want: vrrp.NoticeVersion, reason: vrrp.BadVersion, detail: "version 2, ours 3",
		},
		{
			name: "unknown version", change: func(b []byte) { b[0] = 0x71 },
			want: vrrp.NoticeVersion, reason: vrrp.BadVersion, detail: "version 7, ours 3",
		},
		{
			name: "auth type", mine: v2, theirs: func(a *vrrp.Advert) { a.Auth = vrrp.AuthPassword },
			want: vrrp.NoticeAuth, reason: vrrp.BadAuthType, detail: "auth type 1, ours 0",
		},
		{
			name: "password", mine: func(c *vrrp.Config) { v2(c); c.Password = "secret" },
			theirs: func(a *vrrp.Advert) { a.Auth = vrrp.AuthPassword; copy(a.AuthData[:], "Secret") },
			want:   vrrp.NoticeAuth, reason: vrrp.BadPassword, detail: "wrong password",
		},
		{name: "no HMAC", mine: hmac, want: vrrp.NoticeAuth, reason: vrrp.NoTrailer, detail: "not authenticated"},
		{
			name: "unknown key", mine: hmac, theirs: trailer(9, 0),
			want: vrrp.NoticeAuth, reason: vrrp.UnknownKey, detail: "unknown HMAC key 9",
		},
		{
			name: "wrong HMAC", mine: hmac, theirs: trailer(1, 0), change: func(b []byte) { b[len(b)-1]++ },
			want: vrrp.NoticeAuth, reason: vrrp.BadHMAC, detail: "wrong HMAC with key 1",
		},
		{
			name: "other trailer", mine: hmac, theirs: trailer(1, 0), change: func(b []byte) { b[len(b)-28] = 2 },
			want: vrrp.NoticeAuth, reason: vrrp.BadTrailer, detail: "not HMAC-SHA256",
		},
		{
			name: "clock", mine: hmac, theirs: trailer(1, -time.Hour),
			want: vrrp.NoticeClock, reason: vrrp.WrongTime, detail: "its clock is 1h0m0s behind ours, window 10s",
		},
		{
			name: "replay", mine: hmac, theirs: trailer(1, time.Second), times: 2,
			want: vrrp.NoticeReplay, reason: vrrp.Replayed, detail: "not newer than the one before, by a clock that is 1s ahead",
		},
		{
			name: "checksum", change: func(b []byte) { b[7]++ },
			want: vrrp.NoticeChecksum, reason: vrrp.BadChecksum, detail: "checksum",
		},
		{name: "TTL", ttl: 254, want: vrrp.NoticeTTL, reason: vrrp.BadTTL, detail: "ttl 254, want 255"},
		{
			name: "unicast TTL", mine: func(c *vrrp.Config) { c.Peers, c.MinTTL = []netip.Addr{addr(9)}, 64 }, ttl: 63,
			want: vrrp.NoticeTTL, reason: vrrp.BadTTL, detail: "ttl 63, want 64",
		},
		{
			name: "unknown source", mine: func(c *vrrp.Config) { c.Peers = []netip.Addr{addr(8)} },
			want: vrrp.NoticeUnknownSource, reason: vrrp.UnknownSource, detail: "not a peer",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan := vrrptest.New()
				var d diary
				c := config(1)
				if tt.mine != nil {
					tt.mine(&c)
				}
				r := start(t, lan, c, d.keep)
				sleep(10 * time.Second)
				before := r.Status()

				from, to, ttl := addr(9), vrrp.Group, uint8(255)
				if tt.from.IsValid() {
					from = tt.from
				}
				if tt.ttl != 0 {
					ttl = tt.ttl
				}
				if c.Unicast() {
					to = c.Source
				}
				// Valid adverts are from a loser, so that they change nothing either.
				m := message(t, c, key, from, to, tt.theirs)
				if tt.change != nil {
					tt.change(m)
				}
				for range max(tt.times, 1) {
					lan.Inject(from, to, ttl, m)
				}
				synctest.Wait()

				s := r.Status()
				if d.String() != fmt.Sprint(tt.want, " ", from) || !strings.Contains(d.last.Detail, tt.detail) {
					t.Errorf("noticed %v: %s", &d, d.last.Detail)
				}
				if len(s.Notices) != 1 || s.Counters.Notices[tt.want] != 1 || s.Notices[0].Count != 1 {
					t.Errorf("%+v, counted %v", s.Notices, s.Counters.Notices)
				}
				want := map[vrrp.Discard]uint64{}
				if tt.reason != vrrp.Accepted {
					want[tt.reason] = 1
				}
				if diff := cmp.Diff(want, s.Discarded); diff != "" {
					t.Errorf("discarded (-want +got):\n%s", diff)
				}
				sleep(10 * time.Second)
				if s := r.Status(); s.Role != vrrp.Master || s.Transitions != before.Transitions {
					t.Errorf("became %v", s.Role)
				}
				sleep(25 * time.Second)
				if got := fmt.Sprintf("%v %v, -%v %v", tt.want, from, tt.want, from); d.String() != got {
					t.Errorf("noticed %v", &d)
				}
			})
		})
	}
}

// message is an advert of priority 1 for c, changed, and signed if it has a
// trailer.
func message(t *testing.T, c vrrp.Config, key []byte, from, to netip.Addr, change func(*vrrp.Advert)) []byte {
	t.Helper()
	a := vrrp.Advert{Version: c.Version, VRID: c.VRID, Priority: 1, Interval: c.Interval, Addresses: c.VIPs}
	if change != nil {
		change(&a)
	}
	if a.Trailer.Present() {
		if err := a.Sign(key, from); err != nil {
			t.Fatal(err)
		}
	}
	m, err := a.Append(nil, from, to)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// A cause that is corrected ends its notice before it would be forgotten, and a
// fault keeps none.
func TestNoticeCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := vrrptest.New()
		var d diary
		a := start(t, lan, config(1, priority(200)))
		b := start(t, lan, config(2), d.keep)
		sleep(10 * time.Second)
		c := a.config
		c.VIPs = c.VIPs[:1]
		if err := a.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		if err := a.Reconfigure(a.config); err != nil {
			t.Fatal(err)
		}
		sleep(5 * time.Second)
		want := "vips 10.0.0.1, -vips 10.0.0.1"
		if d.String() != want {
			t.Errorf("noticed %v", &d)
		}
		if err := a.Reconfigure(c); err != nil {
			t.Fatal(err)
		}
		sleep(5 * time.Second)
		b.SetFault("x", "y")
		sleep(time.Minute)
		if want += ", vips 10.0.0.1, -vips 10.0.0.1"; d.String() != want {
			t.Errorf("noticed %v", &d)
		}
	})
}
