package web

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/lvsd/lvsd/config"
)

func TestPlacesAreShared(t *testing.T) {
	p := places{all: 4, each: 2}
	take := func(address string, want bool) {
		t.Helper()
		if got := p.take(netip.MustParseAddr(address)); got != want {
			t.Errorf("a place for %s: %v, want %v", address, got, want)
		}
	}
	take("192.0.2.1", true)
	take("192.0.2.1", true)
	take("192.0.2.1", false) // its share
	take("2001:db8::1", true)
	take("2001:db8::2", true)
	take("2001:db8::3", false) // the same host, which has a whole /64
	take("192.0.2.2", false)   // all
	p.leave(netip.MustParseAddr("192.0.2.1"))
	take("2001:db8::3", false)
	take("192.0.2.1", true)
	for address := range map[string]int{"192.0.2.1": 0, "2001:db8::1": 0} {
		p.leave(netip.MustParseAddr(address))
		p.leave(netip.MustParseAddr(address))
	}
	if p.taken != 0 || len(p.by) != 0 {
		t.Errorf("after all have left %d are taken, %v", p.taken, p.by)
	}
	for range 4 {
		take("127.0.0.1", true) // proxies
	}
	take("127.0.0.1", false)
}

// TestOneClientLeavesOthersStreams: its share of streams taken, a client is refused
// the next of either kind, and another one is not.
func TestOneClientLeavesOthersStreams(t *testing.T) {
	s := newSite(config.Web{}, newScene(relays()), quietLog())
	for range streamsEach {
		if !s.streams.take(netip.MustParseAddr("192.0.2.1")) {
			t.Fatal("no place")
		}
	}
	for _, target := range []string{"/v1/stream", "/v1/events?follow=1"} {
		if w := ask(s, "GET", target, "", from("192.0.2.1:1")); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s beyond its share: %d %v", target, w.Code, w.Header())
		}
	}
	if !s.streams.take(netip.MustParseAddr("192.0.2.2")) {
		t.Error("another client has no place")
	}
}
