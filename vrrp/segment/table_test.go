package segment

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/vrrp"
)

// scene is a Table and what it said.
type scene struct {
	t     *testing.T
	table *Table
	now   time.Time
	said  []string
}

func newScene(t *testing.T) *scene { return &scene{t: t, table: NewTable(), now: start} }

// advert is a good one, with changes.
func advert(change ...func(*vrrp.Advert)) vrrp.Advert {
	a := vrrp.Advert{Version: vrrp.V3, VRID: 51, Priority: 100, Interval: time.Second, Addresses: []netip.Addr{addr("10.99.0.100")}}
	for _, c := range change {
		c(&a)
	}
	return a
}

func priority(p uint8) func(*vrrp.Advert) { return func(a *vrrp.Advert) { a.Priority = p } }

// until lets time pass, as the command does, up to a moment after the start.
func (s *scene) until(at time.Duration) {
	for to := start.Add(at); s.now.Before(to); {
		s.now = s.now.Add(100 * time.Millisecond)
		if s.now.After(to) {
			s.now = to
		}
		s.note(s.table.Advance(s.now))
	}
}

// hear lets a packet arrive at a moment after the start.
func (s *scene) hear(at time.Duration, from string, a vrrp.Advert) {
	s.t.Helper()
	s.until(at)
	s.note(s.table.Observe(s.packet(from, a)))
}

func (s *scene) packet(from string, a vrrp.Advert) Packet {
	s.t.Helper()
	p := Packet{Interface: "eth0", Source: addr(from), Destination: vrrp.Group, TTL: 255, Received: s.now}
	if p.Source.Is6() {
		p.Destination = addr("ff02::12")
	}
	b, err := a.Append(nil, p.Source, p.Destination)
	if err != nil {
		s.t.Fatal(err)
	}
	p.Payload = b
	return p
}

func (s *scene) note(changes []Change) {
	for _, c := range changes {
		at := c.At.Sub(start).Round(100 * time.Millisecond)
		s.said = append(s.said, fmt.Sprintf("%v %s", at, strings.Replace(c.String(), "eth0 ipv4 vrid 51", "", 1)))
	}
}

// want compares what was said since the last call.
func (s *scene) want(lines ...string) {
	s.t.Helper()
	if diff := cmp.Diff(lines, s.said); diff != "" {
		s.t.Errorf("said (-want +got):\n%s", diff)
	}
	s.said = nil
}

// states are the speakers' states by address.
func (s *scene) states() string {
	var all []string
	for _, speaker := range s.table.Report(s.now, false).Speakers {
		all = append(all, fmt.Sprintf("%s %s", speaker.Source, speaker.State))
	}
	return strings.Join(all, ", ")
}

func (s *scene) wantStates(want string) {
	s.t.Helper()
	if got := s.states(); got != want {
		s.t.Errorf("states %q, want %q", got, want)
	}
}

const (
	second = time.Second
	tenth  = time.Second / 10
)

// The sources that the tests speak from.
const (
	one = "10.99.0.1"
	two = "10.99.0.2"
)

const newOne = "0s  10.99.0.1: new speaker: version 3, priority 100, interval 1s, auth none, VIPs 10.99.0.100"

func TestCrashAndTakeover(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert())
	s.hear(second, one, advert())
	s.until(4600 * time.Millisecond)
	s.want(newOne)
	s.wantStates("10.99.0.1 master")
	s.until(5 * second) // its own down interval is 3.6 s
	s.want("4.7s  10.99.0.1: gone: silent for 3.7s")
	s.hear(6*second, two, advert(priority(90)))
	s.hear(7*second, two, advert(priority(90)))
	s.want(
		"6s  10.99.0.2: new speaker: version 3, priority 90, interval 1s, auth none, VIPs 10.99.0.100",
		"6s  10.99.0.2: is MASTER, was 10.99.0.1",
	)
	s.wantStates("10.99.0.1 gone, 10.99.0.2 master")

	// The first is back and preempts: that it spoke before is no quarrel.
	s.hear(75*tenth, one, advert())
	s.hear(85*tenth, one, advert())
	s.want("7.5s  10.99.0.1: is MASTER, was 10.99.0.2")
}

func TestPreemption(t *testing.T) {
	s := newScene(t)
	for i := range 3 {
		s.hear(time.Duration(i)*second, one, advert())
	}
	for i := range 6 {
		s.hear(2500*time.Millisecond+time.Duration(i)*second, two, advert(priority(150)))
		if i == 0 {
			s.wantStates("10.99.0.1 yielded, 10.99.0.2 master")
		}
	}
	s.want(
		newOne,
		"2.5s  10.99.0.2: new speaker: version 3, priority 150, interval 1s, auth none, VIPs 10.99.0.100",
		"2.5s  10.99.0.2: is MASTER, was 10.99.0.1",
		"5.7s  10.99.0.1: gone: silent for 3.7s",
	)
}

func TestLeaving(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert())
	s.hear(second, one, advert(priority(0)))
	s.wantStates("10.99.0.1 leaving")
	s.hear(1600*time.Millisecond, two, advert(priority(90)))
	s.until(6 * second)
	// Back, with another priority, it is told as such.
	s.hear(7*second, one, advert(priority(120)))
	s.want(
		newOne,
		"1s  10.99.0.1: leaves: priority 0",
		"1.6s  10.99.0.2: new speaker: version 3, priority 90, interval 1s, auth none, VIPs 10.99.0.100",
		"1.6s  10.99.0.2: is MASTER, was 10.99.0.1",
		"5.1s  10.99.0.1: gone: silent for 4.1s",
		"5.3s  10.99.0.2: gone: silent for 3.7s",
		"7s  10.99.0.1: is MASTER, was 10.99.0.2",
	)
	s.hear(11*second, one, advert(priority(120)))
	s.want("10.6s  10.99.0.1: gone: silent for 3.6s", "11s  10.99.0.1: is MASTER again")
}

// TestTwoMasters: neither yields, until the cable between them is mended.
func TestTwoMasters(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert())
	s.said = nil
	s.hear(3*tenth, two, advert(priority(150)))
	s.hear(second, one, advert()) // it may have been on its way
	s.want(
		"300ms  10.99.0.2: new speaker: version 3, priority 150, interval 1s, auth none, VIPs 10.99.0.100",
		"300ms  10.99.0.2: is MASTER, was 10.99.0.1",
	)
	s.hear(13*tenth, two, advert(priority(150)))
	s.want("1.3s : two_masters: 10.99.0.1 (priority 100) and 10.99.0.2 (priority 150) advertise at the same time")
	s.wantStates("10.99.0.1 master, 10.99.0.2 master")
	for i := 2; i < 5; i++ {
		s.hear(time.Duration(i)*second, one, advert())
		s.hear(time.Duration(i)*second+3*tenth, two, advert(priority(150)))
	}
	s.want()
	if flags := s.table.Report(s.now, false).Flags; len(flags) != 1 || flags[0].Since != start.Add(13*tenth) {
		t.Errorf("flags %+v", flags)
	}
	s.hear(53*tenth, two, advert(priority(150)))
	s.hear(63*tenth, two, advert(priority(150)))
	s.hear(73*tenth, two, advert(priority(150)))
	s.until(8 * second)
	s.want("7.7s  10.99.0.1: gone: silent for 3.7s", "7.7s : no longer two_masters")
}

// TestForcedElection: one false start after lost adverts, which the MASTER
// answers at once (RFC 9568 section 6.4.3), is no split.
func TestForcedElection(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert(priority(150)))
	s.hear(second, one, advert(priority(150)))
	s.said = nil
	s.hear(11*tenth, two, advert())
	for i := range 8 {
		s.hear(12*tenth+time.Duration(i)*second, one, advert(priority(150)))
	}
	s.want(
		"1.1s  10.99.0.2: new speaker: version 3, priority 100, interval 1s, auth none, VIPs 10.99.0.100",
		"4.8s  10.99.0.2: gone: silent for 3.7s",
	)
	s.hear(84*tenth, two, advert())
	s.hear(85*tenth, one, advert(priority(150)))
	s.want("8.4s  10.99.0.2: is MASTER again")
}

// TestParameters: a change is told, a password is not.
func TestParameters(t *testing.T) {
	s := newScene(t)
	v2 := func(password string) vrrp.Advert {
		a := advert()
		a.Version, a.Auth = vrrp.V2, vrrp.AuthPassword
		copy(a.AuthData[:], password)
		return a
	}
	s.hear(0, one, v2("geheim"))
	s.hear(second, one, v2("secret"))
	s.want(
		"0s  10.99.0.1: new speaker: version 2, priority 100, interval 1s, auth pass, VIPs 10.99.0.100",
		"0s  10.99.0.1: clear_password: the password crosses the wire in the clear",
		"1s  10.99.0.1: another password",
	)
	for _, shown := range []bool{false, true} {
		text, err := json.Marshal(s.table.Report(s.now, shown))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "secret") != shown {
			t.Errorf("passwords shown: %v: %s", shown, text)
		}
	}
	plain := advert(priority(80))
	plain.Version, plain.Interval = vrrp.V2, 2*second
	plain.Addresses = append(plain.Addresses, addr("10.99.0.101"))
	s.hear(2*second, one, plain)
	s.want(
		"2s  10.99.0.1: priority 80, was 100; interval 2s, was 1s; auth none, was pass; VIPs 10.99.0.100,10.99.0.101, was 10.99.0.100",
		"2s  10.99.0.1: no longer clear_password",
	)
}

// TestDifferences: the same flag however long ago one of the two spoke, as they
// take turns.
func TestDifferences(t *testing.T) {
	v2 := func(a *vrrp.Advert) { a.Version = vrrp.V2 }
	password := func(p string) func(a *vrrp.Advert) {
		return func(a *vrrp.Advert) {
			a.Version, a.Auth = vrrp.V2, vrrp.AuthPassword
			copy(a.AuthData[:], p)
		}
	}
	vips := func(texts ...string) func(a *vrrp.Advert) {
		return func(a *vrrp.Advert) {
			a.Addresses = nil
			for _, text := range texts {
				a.Addresses = append(a.Addresses, addr(text))
			}
		}
	}
	for _, tt := range []struct {
		name string
		a, b vrrp.Advert
		want []Code
		say  string
	}{
		{name: "nothing", a: advert(), b: advert(priority(90))},
		{
			name: "interval", a: advert(), b: advert(func(a *vrrp.Advert) { a.Interval = 3 * second }),
			want: []Code{CodeIntervalDiffers}, say: "10.99.0.1 has 1s, 10.99.0.2 has 3s",
		},
		{name: "version", a: advert(), b: advert(v2), want: []Code{CodeVersionDiffers}, say: "10.99.0.1 has 3, 10.99.0.2 has 2"},
		{
			name: "auth", a: advert(v2), b: advert(password("secret")),
			want: []Code{CodeAuthDiffers, CodeClearPassword}, say: "10.99.0.1 has none, 10.99.0.2 has pass",
		},
		{
			name: "password", a: advert(password("secret")), b: advert(password("geheim")),
			want: []Code{CodeClearPassword, CodeClearPassword, CodePasswordDiffers}, say: "10.99.0.1 has its own, 10.99.0.2 has its own",
		},
		{
			name: "VIPs", a: advert(), b: advert(vips("10.99.0.101")),
			want: []Code{CodeVIPsDiffer}, say: "10.99.0.1 has 10.99.0.100, 10.99.0.2 has 10.99.0.101",
		},
		{name: "order of VIPs", a: advert(vips("10.99.0.100", "10.99.0.101")), b: advert(vips("10.99.0.101", "10.99.0.100"))},
		{
			name: "number of VIPs", a: advert(), b: advert(vips("10.99.0.100", "10.99.0.101")),
			want: []Code{CodeVIPsDiffer}, say: "10.99.0.2 has 10.99.0.100,10.99.0.101",
		},
		{
			name: "checksum", a: advert(), b: advert(func(a *vrrp.Advert) { a.PlainChecksum = true }),
			want: []Code{CodeChecksumDiffers}, say: "10.99.0.1 has pseudo-header, 10.99.0.2 has message",
		},
		{
			name: "two owners", a: advert(priority(255), vips(one)), b: advert(priority(255), vips(one)),
			want: []Code{CodeOwner, CodeTwoOwners}, say: "10.99.0.1 and 10.99.0.2 have priority 255",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScene(t)
			s.hear(0, one, tt.a)
			s.hear(3*second, two, tt.b)
			var codes []Code
			var details []string
			for _, f := range s.table.Report(s.now, false).Flags {
				codes = append(codes, f.Code)
				details = append(details, f.Detail)
			}
			slices.Sort(codes)
			if !slices.Equal(codes, tt.want) || !strings.Contains(strings.Join(details, "\n"), tt.say) {
				t.Errorf("flags %v, want %v and %q:\n%s", codes, tt.want, tt.say, strings.Join(details, "\n"))
			}
			if all := strings.Join(append(details, s.said...), ""); strings.Contains(all, "secret") || strings.Contains(all, "geheim") {
				t.Errorf("a password is told: %s", all)
			}
		})
	}
}

// TestReconfigured: a node that speaks differently now is not compared with
// what it said before.
func TestReconfigured(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert(func(a *vrrp.Advert) { a.Version = vrrp.V2 }))
	s.hear(second, one, advert())
	if flags := s.table.Report(s.now, false).Flags; len(flags) != 1 || flags[0].Code != CodeVersionDiffers {
		t.Errorf("both versions at once: %v", flags)
	}
	for i := 2; i < 6; i++ {
		s.hear(time.Duration(i)*second, one, advert())
	}
	if flags := s.table.Report(s.now, false).Flags; len(flags) > 0 {
		t.Errorf("only one version by now: %v", flags)
	}
}

// TestMishaps: bad packets of a good speaker are flagged for a minute, and do
// not change what it is.
func TestMishaps(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert())
	bad := s.packet(one, advert(priority(0)))
	bad.Payload[6]++
	s.note(s.table.Observe(bad))
	s.note(s.table.Observe(bad))
	far := s.packet(one, advert())
	far.TTL = 254
	s.note(s.table.Observe(far))
	s.want(
		newOne,
		"0s  10.99.0.1: bad_checksum: the checksum is wrong in every form",
		"0s  10.99.0.1: bad_ttl: TTL 254 instead of 255: it came through a router, or its sender is wrong",
	)
	speaker := s.table.Report(s.now, false).Speakers[0]
	if speaker.Adverts != 2 || speaker.Refused != 2 || speaker.State != Master || speaker.Priority != 100 {
		t.Errorf("speaker %+v", speaker)
	}
	for i := 1; i < 65; i++ {
		s.hear(time.Duration(i)*second, one, advert())
	}
	s.want("1m0.1s  10.99.0.1: no longer bad_checksum", "1m0.1s  10.99.0.1: no longer bad_ttl")
}

// TestFamiliesAndInterfaces: what the VRID says is another virtual router on
// each interface and in each family.
func TestFamiliesAndInterfaces(t *testing.T) {
	s := newScene(t)
	v6 := advert()
	v6.Addresses = []netip.Addr{addr("fe80::100")}
	for i := range 3 {
		s.hear(time.Duration(i)*second, one, advert())
		s.hear(time.Duration(i)*second, "fe80::1", v6)
		other := s.packet(two, advert(priority(7)))
		other.Interface = "eth1"
		s.note(s.table.Observe(other))
	}
	if report := s.table.Report(s.now, false); len(report.Flags) > 0 || len(report.Speakers) != 3 {
		t.Errorf("%+v", report)
	}
	v6.Addresses = []netip.Addr{addr("fd99::100"), addr("fe80::100")}
	s.hear(3*second, "fe80::1", v6)
	if flags := s.table.Report(s.now, false).Flags; len(flags) != 1 || flags[0].Code != CodeLinkLocal || flags[0].Family != "ipv6" {
		t.Errorf("flags %+v", flags)
	}
}

// TestHMAC: the trailer is seen, with the key's id, over both families.
func TestHMAC(t *testing.T) {
	for from, vip := range map[string]string{one: "10.99.0.100", "fe80::1": "fe80::100"} {
		s := newScene(t)
		a := advert()
		a.Addresses = []netip.Addr{addr(vip)}
		a.Trailer = vrrp.Trailer{KeyID: 3, Sequence: 7}
		if err := a.Sign([]byte("key"), addr(from)); err != nil {
			t.Fatal(err)
		}
		s.hear(0, from, a)
		report := s.table.Report(s.now, false)
		if got := report.Speakers[0]; got.Auth != AuthHMAC || got.KeyID != 3 || got.State != Master || len(report.Flags) > 0 {
			t.Errorf("from %s: %+v", from, report)
		}
	}
}

// TestForgedSpeakers: however many there are, they take only so much room, and
// no proper speaker loses its.
func TestForgedSpeakers(t *testing.T) {
	s := newScene(t)
	s.hear(0, one, advert())
	const more = 100
	forged := func(n int) Packet {
		a := advert()
		a.VRID = uint8(n)
		return s.packet(netip.AddrFrom4([4]byte{10, 100, byte(n >> 8), byte(n)}).String(), a)
	}
	for i := range MaxSpeakers + more {
		p := forged(i)
		p.Payload = p.Payload[:7] // no advert
		s.table.Observe(p)
	}
	report := s.table.Report(s.now, false)
	if len(report.Speakers) != MaxSpeakers || report.LeftOut > 0 || !strings.Contains(s.states(), "10.99.0.1 master") {
		t.Errorf("%d speakers, %d packets left out", len(report.Speakers), report.LeftOut)
	}
	for i := range 2*MaxSpeakers + more {
		s.table.Observe(forged(i))
	}
	report = s.table.Report(s.now, false)
	if len(report.Speakers) != MaxSpeakers || report.LeftOut != MaxSpeakers+more+1 {
		t.Errorf("%d speakers, %d packets left out", len(report.Speakers), report.LeftOut)
	}
	s.now = start.Add(forgetAfter + second)
	s.table.Advance(s.now)
	if report := s.table.Report(s.now, false); len(report.Speakers)+len(report.Flags)+len(s.table.routers) > 0 {
		t.Errorf("after an hour: %+v", report)
	}
}
