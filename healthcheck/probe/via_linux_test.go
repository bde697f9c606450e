package probe

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
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
	target := servertest.Serve(t, servertest.Silent)
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
	elsewhere := towards
	elsewhere.Route.Source = netip.MustParseAddrPort("127.0.0.2:0")
	elsewhere.Route.Toward = netip.MustParseAddr("127.0.0.3")
	for name, test := range map[string]struct {
		request Request
		err     error
	}{
		"no path check":      {Request{}, &failure{L4TOUT, "x"}},
		"a dialogue's error": {towards, &failure{L7TOUT, "x"}},
		"this host's server": {towards, &failure{L4TOUT, "x"}},
		"a success":          {towards, nil},
		"a refusal":          {elsewhere, &failure{L4CON, "x"}},
	} {
		if got := test.request.notHeard(test.err); !errors.Is(got, test.err) {
			t.Errorf("%s: %v became %v", name, test.err, got)
		}
	}
	if got := elsewhere.notHeard(&failure{L4TOUT, "x"}); !strings.Contains(got.Error(), "accept_local") {
		t.Errorf("an answer from an address of this host: %v", got)
	}
}

// TestDeafOnTheWayBack: what counts is the interface that leads to the server, not
// the one that has the source.
func TestDeafOnTheWayBack(t *testing.T) {
	twoPaths(t, func() {})
	address(t, "lo", "10.9.9.9/32", "192.0.2.100/32")
	r := of(TCP{}, netip.MustParseAddrPort("192.0.2.100:80"))
	r.Route = Route{Source: netip.MustParseAddrPort("10.9.9.9:0"), Toward: netip.MustParseAddr("198.51.100.1")}
	bound := r
	bound.Route.Interface = "right"
	for _, test := range []struct {
		request    Request
		set, value string // of conf
		want       string // part of the reason; empty is that it hears
	}{
		{r, "left/accept_local", "0", "arrive on left: net.ipv4.conf.left.accept_local is 0"},
		{r, "lo/accept_local", "1", "arrive on left: "},
		{bound, "left/accept_local", "1", "arrive on right: "},
		{r, "left/rp_filter", "1", "rp_filter is 1"},
		{r, "all/rp_filter", "2", ""},
		{bound, "lo/accept_local", "1", "arrive on right: "},
		{bound, "all/accept_local", "1", ""},
	} {
		must(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+test.set, []byte(test.value), 0))
		got := test.request.notHeard(&failure{L4TOUT, "timed out"}).Error()
		if test.want == "" && got != "L4TOUT timed out" || !strings.Contains(got, test.want) {
			t.Errorf("after %s = %s: %s, want %q", test.set, test.value, got, test.want)
		}
	}
}
