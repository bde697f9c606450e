package vrrp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newNotices() *notices { return &notices{standing: make(map[noticeKey]*standing)} }

// raised is "kind peer" of each change, with a minus for what is over.
func raised(changes []change) (all []string) {
	for _, c := range changes {
		s := c.Kind.String() + " " + c.Peer.String()
		if c.over {
			s = "-" + s
		}
		all = append(all, s)
	}
	return all
}

func TestNoticeLife(t *testing.T) {
	n := newNotices()
	start := time.Unix(1000, 0)
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	want := func(got []change, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, raised(got)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	a, b := hostAddr(1), hostAddr(2)
	want(n.raise(NoticeVIPs, a, "x", time.Second, at(0)), "vips 10.0.0.1")
	want(n.raise(NoticeVIPs, b, "x", 5*time.Second, at(0)), "vips 10.0.0.2")
	want(n.raise(NoticeTTL, a, "x", time.Second, at(0)), "ttl 10.0.0.1")
	want(n.raise(NoticeVIPs, a, "y", time.Second, at(10)))
	want(n.expire(true, at(29.9)))
	want(n.expire(true, at(30)), "-ttl 10.0.0.1")
	want(n.gone(a, [noticeKinds]bool{NoticeVIPs: true}, at(31)))
	want(n.gone(b, [noticeKinds]bool{}, at(14.9)))
	want(n.expire(true, at(40)), "-vips 10.0.0.1")
	want(n.raise(NoticeVIPs, b, "x", 5*time.Second, at(41)))
	want(n.gone(b, [noticeKinds]bool{}, at(55)))
	want(n.expire(true, at(90.9)))
	if left, ok := n.next(at(90)); !ok || left != time.Second {
		t.Errorf("%v left", left)
	}
	if all := n.list(); len(all) != 1 || all[0].Count != 2 || !all[0].First.Equal(at(0)) || !all[0].Last.Equal(at(41)) {
		t.Errorf("%+v", all)
	}
	want(n.gone(b, [noticeKinds]bool{}, at(56)), "-vips 10.0.0.2")
	want(n.raise(NoticeTwoMasters, b, "x", time.Second, at(60)), "two_masters 10.0.0.2")
	want(n.expire(false, at(60)), "-two_masters 10.0.0.2")
	if _, ok := n.next(at(60)); ok || len(n.list()) != 0 {
		t.Errorf("%+v", n.list())
	}
	if diff := cmp.Diff(map[NoticeKind]uint64{NoticeVIPs: 4, NoticeTTL: 1, NoticeTwoMasters: 1}, n.counted()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

// A flood fills the table once; what is graver still finds a place.
func TestNoticeFlood(t *testing.T) {
	n := newNotices()
	now := time.Unix(1000, 0)
	began := 0
	for i := range 1000 {
		began += len(n.raise(NoticeTTL, hostAddr(i), "x", time.Second, now.Add(time.Duration(i))))
		began += len(n.raise(NoticeTTL, hostAddr(i), "x", time.Second, now.Add(time.Duration(i))))
	}
	if began != maxNotices || len(n.list()) != maxNotices || n.counted()[NoticeTTL] != 2000 {
		t.Errorf("%d began, %d stand, %d counted", began, len(n.list()), n.counted()[NoticeTTL])
	}
	got := raised(n.raise(NoticeTwoMasters, hostAddr(200), "x", time.Second, now))
	if diff := cmp.Diff([]string{"-ttl 10.0.0.0", "two_masters 10.0.0.200"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if all := n.list(); len(all) != maxNotices || all[0].Kind != NoticeTwoMasters {
		t.Errorf("%d stand, first %v", len(all), all[0].Kind)
	}
}

func TestPeers(t *testing.T) {
	s := &peers{all: make(map[netip.Addr]*peer)}
	start := time.Unix(1000, 0)
	a := Advert{Version: V3, Priority: 100, Interval: time.Second, Addresses: parseAddrs("192.0.2.100"), PlainChecksum: true}
	a.Trailer.KeyID = 7
	s.heard(hostAddr(1), &a, Accepted, start)
	s.heard(hostAddr(1), &a, Accepted, start.Add(time.Second))
	forged := Advert{Version: V2, Priority: 255, Interval: time.Second}
	s.heard(hostAddr(1), &forged, BadVersion, start.Add(time.Second))
	want := Peer{
		Address: hostAddr(1), Version: V3, Priority: 100, Interval: time.Second, VIPs: parseAddrs("192.0.2.100"), KeyID: 7,
		PlainChecksum: true, Last: start.Add(time.Second), Adverts: 2, Master: true,
	}
	if diff := cmp.Diff([]Peer{want}, s.list(start.Add(5*time.Second)), compareAddr); diff != "" {
		t.Errorf("a forged advert shows (-want +got):\n%s", diff)
	}
	want.Master = false
	if diff := cmp.Diff([]Peer{want}, s.list(start.Add(6*time.Second)), compareAddr); diff != "" {
		t.Errorf("silent (-want +got):\n%s", diff)
	}
	s.heard(hostAddr(1), &forged, BadVersion, start.Add(time.Minute))
	if all := s.list(start); all[0].Discard != BadVersion || all[0].Version != V2 {
		t.Errorf("changed its version: %+v", all[0])
	}
}

// Discarded adverts never push out accepted ones.
func TestPeersFlood(t *testing.T) {
	s := &peers{all: make(map[netip.Addr]*peer)}
	now := time.Unix(1000, 0)
	a := Advert{Version: V3, Priority: 100, Interval: time.Second}
	for i := range 250 {
		d := BadHMAC
		if i%100 < 10 {
			d = Accepted
		}
		now = now.Add(time.Millisecond)
		s.heard(hostAddr(i), &a, d, now)
	}
	good := 0
	for _, p := range s.list(now) {
		if p.Discard == Accepted {
			good++
		}
	}
	if len(s.all) != maxPeers || good != 30 {
		t.Errorf("%d peers, %d accepted", len(s.all), good)
	}
	for i := range 40 {
		s.heard(hostAddr(100+i), &a, Accepted, now.Add(time.Second))
	}
	if s.heard(hostAddr(99), &a, BadHMAC, now) != nil || len(s.all) != maxPeers {
		t.Errorf("%d peers", len(s.all))
	}
}

// Only who is heard for an interval of each, since this router is MASTER and
// without a pause, contests it.
func TestContested(t *testing.T) {
	start := time.Unix(1000, 0)
	type heard struct {
		at       float64 // seconds
		priority uint8
		role     Role
		since    float64 // of the role
		want     bool
	}
	for name, adverts := range map[string][]heard{
		"goes on":           {{0, 100, Master, 0, false}, {1, 100, Master, 0, false}, {2, 100, Master, 0, false}, {3, 100, Master, 0, true}},
		"leaves":            {{0, 100, Master, 0, false}, {1, 0, Master, 0, false}, {3, 100, Master, 0, false}},
		"pauses":            {{0, 100, Master, 0, false}, {10, 100, Master, 0, false}, {13, 100, Master, 0, true}},
		"backup":            {{0, 100, Backup, 0, false}, {3, 100, Backup, 0, false}},
		"master, backup":    {{0, 100, Master, 0, false}, {1, 100, Backup, 1, false}, {2, 100, Master, 2, false}, {4, 100, Master, 2, false}},
		"master again":      {{0, 100, Master, 0, false}, {3, 100, Master, 2, false}, {6, 100, Master, 2, true}},
		"before and after":  {{0, 100, Backup, 0, false}, {3, 100, Master, 2, false}, {5, 100, Master, 2, false}},
		"one crossing only": {{5, 100, Master, 0, false}},
	} {
		r := &Router{config: testConfig(V3)}
		s := &peers{all: make(map[netip.Addr]*peer)}
		for i, h := range adverts {
			at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
			r.state.Role, r.last.At = h.role, at(h.since)
			a := Advert{Version: V3, Priority: h.priority, Interval: time.Second}
			if got := r.contested(s.heard(hostAddr(2), &a, Accepted, at(h.at)), at(h.at)); got != h.want {
				t.Errorf("%s, advert %d: %v", name, i, got)
			}
		}
	}
}
