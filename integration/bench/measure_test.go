package main

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	oldMAC = "02:00:00:00:00:01"
	newMAC = "02:00:00:00:00:02"
)

var (
	first  = netip.MustParseAddr("10.0.1.1")
	second = netip.MustParseAddr("10.0.1.2")
)

func at(ms int) time.Time { return time.Unix(100, int64(ms)*int64(time.Millisecond)) }

func advert(ms int, mac string) sighting {
	return sighting{at: at(ms), mac: mac, advert: true, priority: priority}
}

// reply answers the probe that was sent in the same millisecond.
func reply(ms int, mac string, vip netip.Addr) sighting {
	return sighting{at: at(ms), mac: mac, vip: vip, probe: uint16(ms + 65530)}
}

// TestMeasure works out, by hand, a takeover at 10 ms: the old MASTER's last
// advert at 10, its last answers at 12, the first ones of the new one at 50 and
// 52.
func TestMeasure(t *testing.T) {
	seen := []sighting{
		advert(0, oldMAC), reply(1, oldMAC, first), reply(1, oldMAC, second), advert(10, oldMAC),
		reply(12, oldMAC, first), reply(12, oldMAC, second),
		advert(46, newMAC), reply(50, newMAC, first), reply(52, newMAC, second),
		advert(56, newMAC), advert(71, newMAC), advert(81, newMAC), reply(53, newMAC, first),
	}
	p := &pair{
		trial:  trial{protocol{3, 10 * time.Millisecond}, linkDown, 2},
		probed: []netip.Addr{first, second},
	}
	s := p.measure(seen, &node{mac: oldMAC}, &node{mac: newMAC})
	if want := 39 * probeInterval; s.outage != want {
		t.Errorf("outage %v, want %v", s.outage, want)
	}
	if want := 42*time.Millisecond - p.trial.protocol.masterDown(); s.beyond != want {
		t.Errorf("beyond %v, want %v", s.beyond, want)
	}
	if s.gap != 1.5 {
		t.Errorf("gap %v, want 1.5 intervals", s.gap)
	}
	p.trial.fault = stop
	if got, want := p.measure(seen, &node{mac: oldMAC}, &node{mac: newMAC}).beyond, 42*time.Millisecond-p.trial.protocol.skew(); got != want {
		t.Errorf("beyond after a stop %v, want %v", got, want)
	}
}

func TestTimers(t *testing.T) {
	for _, c := range []struct {
		protocol   protocol
		skew, down time.Duration
	}{
		{protocol{2, time.Second}, 609375 * time.Microsecond, 3609375 * time.Microsecond},
		{protocol{3, 100 * time.Millisecond}, 60937500, 360937500},
		{protocol{3, 10 * time.Millisecond}, 6093750, 36093750},
	} {
		if c.protocol.skew() != c.skew || c.protocol.masterDown() != c.down {
			t.Errorf("%v: %v and %v, want %v and %v", c.protocol, c.protocol.skew(), c.protocol.masterDown(), c.skew, c.down)
		}
	}
}

func TestTrialsByName(t *testing.T) {
	if n := len(trials(regexp.MustCompile(""))); n != 18 {
		t.Errorf("%d cases, want 3 protocols × 3 faults × 2", n)
	}
	if n := len(trials(regexp.MustCompile("v3 10ms, SIGKILL, 200"))); n != 1 {
		t.Errorf("%d cases, want 1", n)
	}
}

// TestTable shows the ratio's parts side by side, and no figure from a busy
// machine.
func TestTable(t *testing.T) {
	samples := map[string][]sample{
		"lvsd":       {{outage: time.Millisecond}, {outage: 3 * time.Millisecond, gap: 1.05}, {outage: 2 * time.Millisecond}},
		"keepalived": {{outage: 9 * time.Millisecond}, {outage: 9 * time.Millisecond}, {outage: 9 * time.Millisecond, gap: 2}},
	}
	quiet := result{trial: trial{protocol{2, time.Second}, stop, 1}, samples: samples}
	busy := result{trial: trial{protocol{3, time.Second}, stop, 1}, samples: samples, busy: 2}
	var b strings.Builder
	printFailover(&b, options{repeat: 3}, []result{quiet, busy})
	for _, want := range []string{"2.0 ms", "9.0 ms", "1.05", "too busy"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Count(b.String(), "9.0 ms") != 1 {
		t.Errorf("a busy case has figures:\n%s", b.String())
	}
}

func TestDecode(t *testing.T) {
	frame := make([]byte, 14+20+8)
	copy(frame[6:], []byte{2, 0, 0, 0, 0, 1})
	frame[14], frame[14+9] = 0x45, 112
	frame[14+20+2] = 77
	if s, ok := decode(frame, at(0)); !ok || !s.advert || s.priority != 77 || s.mac != oldMAC {
		t.Errorf("advert: %+v %v", s, ok)
	}
	frame[14+9] = 1
	copy(frame[14+12:], first.AsSlice())
	frame[14+20] = 0
	if s, ok := decode(frame, at(0)); !ok || s.advert || s.vip != first {
		t.Errorf("reply: %+v %v", s, ok)
	}
	frame[14+20] = 8
	if _, ok := decode(frame, at(0)); ok {
		t.Error("a request is no answer")
	}
	if _, ok := decode(frame[:20], at(0)); ok {
		t.Error("a short frame is nothing")
	}
}
