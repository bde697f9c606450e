package probe

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestServerOnThisHost: it is asked at the VIP if that is here, and at its own
// address if not.
func TestServerOnThisHost(t *testing.T) {
	for name, test := range map[string]struct {
		vip, asked string
		mark       uint32
	}{
		"the VIP is not here": {"192.0.2.100:80", "127.0.0.1:80", 0},
		"the VIP is here":     {"127.0.0.1:80", "127.0.0.1:80", 7},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(TCP{}, netip.MustParseAddrPort(test.vip))
			r.Route = Route{Mark: 7, Hops: 2, Interface: "lo", Toward: netip.MustParseAddr("127.0.0.1")}
			got, err := r.towards()
			if err != nil {
				t.Fatal(err)
			}
			want := Route{Mark: test.mark, Source: netip.MustParseAddrPort("127.0.0.1:0")}
			if got.Target.String() != test.asked || got.Route != want {
				t.Errorf("asks %v by %+v, want %v by %+v", got.Target, got.Route, test.asked, want)
			}
		})
	}
}

// TestNoWayTowards: what keeps this host from asking is not the server's fault.
func TestNoWayTowards(t *testing.T) {
	for name, test := range map[string]struct {
		route Route
		want  string
	}{
		"another family": {Route{Toward: netip.MustParseAddr("2001:db8::1")}, "is IPv6"},
		"no interface":   {Route{Toward: netip.MustParseAddr("127.0.0.3"), Interface: "nowhere0"}, "nowhere0"},
		"only the VIP":   {Route{Toward: netip.MustParseAddr("127.0.0.3")}, "no other address"},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(TCP{}, netip.MustParseAddrPort("127.0.0.1:80"))
			r.Route = test.route
			got := r.Ask(t.Context())
			if got.Conclusive() || got.Code != SOCKERR || !strings.Contains(got.Reason, test.want) {
				t.Errorf("got %s %q, want SOCKERR with %q", got.Code, got.Reason, test.want)
			}
		})
	}
}

// TestAskTowards goes the whole way to a server on this host.
func TestAskTowards(t *testing.T) {
	target := serve(t, silent)
	r := of(TCP{}, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.100"), target.Port()))
	r.Timeout, r.Route.Toward = time.Minute, target.Addr()
	if got := r.Ask(t.Context()); got.Code != L4OK {
		t.Errorf("got %s %q, want L4OK", got.Code, got.Reason)
	}
}

// TestNotHeard: only the connection of a path check can have been answered and
// not heard.
func TestNotHeard(t *testing.T) {
	target := netip.MustParseAddr("127.0.0.1")
	towards := Request{Target: netip.AddrPortFrom(target, 80), Route: Route{Toward: target, Source: netip.AddrPortFrom(target, 0)}}
	for name, test := range map[string]struct {
		request Request
		err     error
	}{
		"no path check":      {Request{}, &failure{L4TOUT, "x"}},
		"a dialogue's error": {towards, &failure{L7TOUT, "x"}},
		"this host's server": {towards, &failure{L4TOUT, "x"}},
		"a success":          {towards, nil},
	} {
		if got := test.request.notHeard(test.err); !errors.Is(got, test.err) {
			t.Errorf("%s: %v became %v", name, test.err, got)
		}
	}
	elsewhere := towards
	elsewhere.Route.Source = netip.MustParseAddrPort("127.0.0.2:0")
	elsewhere.Route.Toward = netip.MustParseAddr("192.0.2.1")
	if got := elsewhere.notHeard(&failure{L4TOUT, "x"}); !strings.Contains(got.Error(), "accept_local") {
		t.Errorf("an answer from an address of this host: %v", got)
	}
}
