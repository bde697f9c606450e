package director

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// gauge is a Meter that takes its time.
type gauge struct {
	mu       sync.Mutex
	services []ipvs.ServiceEntry
	err      error
	takes    time.Duration
	asked    int
}

func (g *gauge) Count(context.Context) ([]ipvs.ServiceEntry, error) {
	<-time.After(g.takes)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked++
	return g.services, g.err
}

func trafficDirector(c *config.Config, meter Meter) *Director {
	return New(Options{Config: c, Kernel: newModel(), Network: newModel(), Meter: meter, Log: slog.New(slog.DiscardHandler)})
}

// TestTrafficIsReadOnceASecond: many who ask share one reading.
func TestTrafficIsReadOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{takes: 100 * time.Millisecond}
		d := trafficDirector(relayConfig(), g)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if _, err := d.Traffic(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if g.asked != 1 {
			t.Errorf("20 questions at once were read %d times, want once", g.asked)
		}
		<-time.After(trafficEvery - time.Millisecond)
		first, _ := d.Traffic(t.Context())
		if g.asked != 1 {
			t.Errorf("read again within a second")
		}
		<-time.After(time.Millisecond)
		second, _ := d.Traffic(t.Context())
		if g.asked != 2 || !second.At.After(first.At) {
			t.Errorf("read %d times after a second, at %v and %v", g.asked, first.At, second.At)
		}
	})
}

// TestTrafficWaitsNoLongerThanAsked: who waits behind a slow reading gives up with
// its context.
func TestTrafficWaitsNoLongerThanAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := trafficDirector(relayConfig(), &gauge{takes: time.Hour})
		var first sync.WaitGroup
		first.Go(func() { _, _ = d.Traffic(t.Context()) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Traffic(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that the context ended", err)
		}
		if status := d.Status(); len(status.Services) == 0 {
			t.Error("the status waits, or is empty")
		}
		first.Wait()
	})
}

func TestTrafficTellsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gauge{err: ipvs.ErrPermission}
		d := trafficDirector(relayConfig(), g)
		for range 2 {
			if _, err := d.Traffic(t.Context()); !errors.Is(err, ipvs.ErrPermission) {
				t.Errorf("got %v", err)
			}
		}
		if g.asked != 1 {
			t.Errorf("asked %d times within a second", g.asked)
		}
		g.err = nil
		<-time.After(trafficEvery)
		if _, err := d.Traffic(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestTrafficWithoutServices: no IPVS is opened where nothing needs it.
func TestTrafficWithoutServices(t *testing.T) {
	c := relayConfig()
	c.Services = nil
	g := &gauge{err: ipvs.ErrUnavailable}
	got, err := trafficDirector(c, g).Traffic(t.Context())
	if err != nil || g.asked != 0 || got.Services == nil || len(got.Services) != 0 || got.Schema != "lvsd.traffic/1" {
		t.Errorf("asked %d times: %+v, %v", g.asked, got, err)
	}
}

// TestTrafficOf: several places of one name, marks of both families, servers that
// the file does not name, and services that are somebody else's.
func TestTrafficOf(t *testing.T) {
	address := netip.MustParseAddrPort
	counters := func(n uint64) TrafficCounters {
		return TrafficCounters{n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9}
	}
	stats := func(n uint64) ipvs.Stats { return ipvs.Stats(counters(n)) }
	one := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: address("192.0.2.1:25")}
	two := ipvs.ServiceKey{Family: ipvs.IPv6, Protocol: ipvs.UDP, Address: address("[2001:db8::1]:53")}
	mark4, mark6 := ipvs.ServiceKey{Family: ipvs.IPv4, Mark: 7}, ipvs.ServiceKey{Family: ipvs.IPv6, Mark: 7}
	foreign := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: address("192.0.2.9:25")}
	absent := ipvs.ServiceKey{Family: ipvs.IPv4, Protocol: ipvs.TCP, Address: address("192.0.2.8:25")}
	c := &config.Config{}
	for _, key := range []ipvs.ServiceKey{one, absent, two, mark4, mark6} {
		c.Services = append(c.Services, config.VirtualService{
			Name: "mail", IPVS: ipvs.Service{ServiceKey: key},
			RealServers: []config.RealServer{{Address: address("10.0.0.2:25")}, {Address: address("10.0.0.1:25")}},
		})
	}
	destination := func(a string, n uint64) ipvs.DestinationEntry {
		return ipvs.DestinationEntry{
			Destination: ipvs.Destination{Address: address(a), Weight: int(n)},
			Active:      1, Inactive: 2, Persistent: 3, Stats: stats(n),
		}
	}
	at := time.Unix(1000, 0)
	got := trafficOf(c, metered{at: at, services: []ipvs.ServiceEntry{
		{Service: ipvs.Service{ServiceKey: mark6}},
		{Service: ipvs.Service{ServiceKey: foreign}, Stats: stats(1)},
		{
			Service: ipvs.Service{ServiceKey: one}, Stats: stats(100),
			Destinations: []ipvs.DestinationEntry{
				destination("10.0.0.9:25", 90), destination("10.0.0.8:25", 80), destination("10.0.0.1:25", 10), destination("10.0.0.2:25", 20),
			},
		},
		{Service: ipvs.Service{ServiceKey: mark4}},
		{Service: ipvs.Service{ServiceKey: two}},
	}})
	server := func(a string, n uint64) ServerTraffic {
		return ServerTraffic{
			Address: a, Weight: int(n), Active: 1, Inactive: 2, Persistent: 3, TrafficCounters: counters(n),
		}
	}
	want := Traffic{Schema: "lvsd.traffic/1", At: at, Services: []ServiceTraffic{
		{
			Name: "mail", Protocol: "tcp", Address: "192.0.2.1:25", Family: "ipv4", TrafficCounters: counters(100),
			Servers: []ServerTraffic{server("10.0.0.2:25", 20), server("10.0.0.1:25", 10), server("10.0.0.8:25", 80), server("10.0.0.9:25", 90)},
		},
		{Name: "mail", Protocol: "udp", Address: "[2001:db8::1]:53", Family: "ipv6", Servers: []ServerTraffic{}},
		{Name: "mail", Mark: 7, Family: "ipv4", Servers: []ServerTraffic{}},
		{Name: "mail", Mark: 7, Family: "ipv6", Servers: []ServerTraffic{}},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
