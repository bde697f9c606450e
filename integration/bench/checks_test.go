package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/config"
)

// TestEveryServerIsChecked takes the checks from lvsd's file, as lvsd reads it,
// and from keepalived's.
func TestEveryServerIsChecked(t *testing.T) {
	for checks, want := range map[siteChecks][2]string{everyTCP: {"tcp", "TCP_CHECK"}, everyHTTP: {"http", "HTTP_GET"}} {
		s := newSite(20).withChecks(checks, 3*time.Second)
		c, err := config.Parse("site.toml", []byte(s.lvsd("")), "director")
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, service := range c.Services {
			for _, server := range service.RealServers {
				for _, check := range server.Checks {
					n++
					if check.Target != server.Address || check.Type() != want[0] || check.Check().Interval != 3*time.Second || check.Check().Fall != 1 {
						t.Errorf("%v: %+v", check, check.Check())
					}
					if !serverNetwork.Contains(check.Target.Addr()) {
						t.Errorf("%v is not in %v", check, serverNetwork)
					}
				}
			}
		}
		if n != 200 || len(s.servers()) != 200 {
			t.Errorf("%d checks by lvsd of %d real servers, want 200", n, len(s.servers()))
		}
		text := s.keepalived("")
		for word, want := range map[string]int{want[1]: 200, "   retry 0\n": 200, "delay_loop 3\n": 20} {
			if n := strings.Count(text, word); n != want {
				t.Errorf("keepalived has %d %q, want %d", n, word, want)
			}
		}
	}
}

func TestChecksSizes(t *testing.T) {
	if sizes, err := parseChecks("100,1000"); err != nil || len(sizes) != 2 || sizes[1] != 100 {
		t.Errorf("%v %v", sizes, err)
	}
	for _, bad := range []string{"", "5", "1001"} {
		if _, err := parseChecks(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// loopback are addresses of servers for a test. Their port is one that was free.
func loopback(t *testing.T, n byte) []netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var all []netip.AddrPort
	for i := range n {
		all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 77, 0, 1 + i}), port))
	}
	return all
}

func TestServersCountDieAndRevive(t *testing.T) {
	addresses := loopback(t, 3)
	s, err := serve(addresses, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	slots, err := s.slots(func(d time.Duration) {
		for range 5 {
			for _, address := range addresses {
				if err := connect(address); err != nil {
					t.Error(err)
				}
			}
		}
		<-time.After(d)
	}, time.Second)
	// The first connections may have come before the first slot that counts.
	if n := sum(slots); err != nil || n > 15 || len(slots) != 10 {
		t.Errorf("%v %v", slots, err)
	}
	if n := sum(s.count); n != 15 {
		t.Errorf("%d connections were counted, want 15", n)
	}
	if _, err := s.die(addresses[1]); err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, unix.ECONNREFUSED, nil} {
		if err := connect(addresses[i]); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", addresses[i], err, want)
		}
	}
	if _, err := s.die(addresses[1]); err == nil {
		t.Error("a server died twice")
	}
	if err := s.revive(addresses[1]); err != nil {
		t.Fatal(err)
	}
	if err := connect(addresses[1]); err != nil {
		t.Error(err)
	}
}

func connect(address netip.AddrPort) error {
	c, err := net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(address))
	if err != nil {
		return err
	}
	return c.Close()
}

func TestServersAnswerHTTP(t *testing.T) {
	addresses := loopback(t, 1)
	s, err := serve(addresses, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for range 3 {
		response, err := http.Get("http://" + addresses[0].String() + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(body, []byte("ok\n")) {
			t.Errorf("%v %q %v", response.Status, body, err)
		}
	}
}

func TestPeaks(t *testing.T) {
	even := []int{10, 10, 10, 10, 10, 10, 10, 10, 10, 10}
	third := []int{30, 0, 0, 10, 10, 10, 10, 10, 10, 10}
	var slots []int
	for _, second := range [][]int{even, third, even} {
		slots = append(slots, second...)
	}
	if peak, typical := peaks(slots); peak != 3 || typical != 1 {
		t.Errorf("%v %v, want 3 and 1", peak, typical)
	}
}

func TestQuantile(t *testing.T) {
	var values []float64
	for i := range 100 {
		values = append(values, float64(100-i))
	}
	for share, want := range map[float64]float64{0.5: 50, 0.99: 99, 1: 100, 0: 1} {
		if have := quantile(values, share); have != want {
			t.Errorf("%v of 1..100 is %v, want %v", share, have, want)
		}
	}
}

// TestExplain leaves out what came before a death, changes before a refusal, and
// what is the next one's.
func TestExplain(t *testing.T) {
	all := []death{{at: 10}, {at: 20}}
	events := []traced{
		{refuseEvent, 5, ""},
		{changeEvent, 6, ""},
		{changeEvent, 11, ""},
		{refuseEvent, 12, ""},
		{refuseEvent, 13, ""},
		{changeEvent, 14, ""},
		{changeEvent, 15, ""},
		{refuseEvent, 22, ""},
		{changeEvent, 29, ""},
	}
	if err := explain(all, events); err != nil {
		t.Fatal(err)
	}
	if want := (death{at: 10, told: 12, weight: 14}); all[0] != want {
		t.Errorf("%+v, want %+v", all[0], want)
	}
	if want := (death{at: 20, told: 22, weight: 29}); all[1] != want {
		t.Errorf("%+v, want %+v", all[1], want)
	}
	if err := explain([]death{{at: 10}, {at: 13}}, events[:4]); err == nil {
		t.Error("a death without a change is explained")
	}
}

// TestChecksTable leaves what is timed unjudged on a busy machine.
func TestChecksTable(t *testing.T) {
	for waited, want := range map[float64]string{5: "≤ 1.50 met", 50: "too busy to judge"} {
		d := newRecord()
		for what, values := range map[string][2]float64{
			checkCPU: {50, 100}, checkMemory: {40, 20}, checkPeak: {1.2, 3}, checkStalled: {waited, 1},
		} {
			for i, name := range []string{nameLVSD, nameKeepalived} {
				d.all = append(d.all, measurement{work: checkWork(everyTCP, what), contestant: name, size: 100, value: values[i]})
			}
		}
		var b strings.Builder
		d.printChecks(&b, []int{100}, options{repeat: 1, busy: 10, interval: time.Second})
		for _, want := range []string{
			"| 1000 | TCP: CPU per check | 50 µs | 100 µs | 0.50 × | ≤ 1.0 × met |", "| 2.00 × | ≤ 1.5 × missed |", want,
		} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("no %q in\n%s", want, b.String())
			}
		}
	}
}
