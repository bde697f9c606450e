package probe

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const pingGroups = "/proc/sys/net/ipv4/ping_group_range"

func ping(to string, size int) Request {
	return of(Ping{Size: size}, netip.AddrPortFrom(netip.MustParseAddr(to), 0))
}

// inBothWays runs f with ping sockets and with raw ones, between namespaces of
// the test's own. The other one refuses to forward to some networks.
func inBothWays(t *testing.T, f func(t *testing.T)) {
	for name, groups := range map[string]string{"ping socket": "0 0", "raw": "1 0"} {
		t.Run(name, func(t *testing.T) {
			twoPaths(t, func() { refuse(t) })
			link, err := netlink.LinkByName("left")
			must(t, err)
			for to, via := range map[string]string{"203.0.113.0/24": "10.0.0.2", "2001:db8:e::/48": "2001:db8::2"} {
				_, prefix, err := net.ParseCIDR(to)
				must(t, err)
				must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: prefix, Gw: net.ParseIP(via)}))
			}
			forward(t)
			must(t, os.WriteFile(pingGroups, []byte(groups), 0))
			conn, raw, err := Route{}.connectPing(netip.MustParseAddr("127.0.0.1"))
			must(t, err)
			must(t, conn.Close())
			if raw != (name == "raw") {
				t.Fatalf("raw is %v", raw)
			}
			f(t)
		})
	}
}

func forward(t *testing.T) {
	for _, sysctl := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding"} {
		must(t, os.WriteFile("/proc/sys/net/"+sysctl, []byte("1"), 0))
	}
}

// refuse forwards to nowhere: to the first part of each network no host is
// there, the second is prohibited, and the third is far away.
func refuse(t *testing.T) {
	forward(t)
	must(t, os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0))
	must(t, os.WriteFile("/proc/sys/net/ipv6/icmp/ratelimit", []byte("0"), 0))
	link, err := netlink.LinkByName("right")
	must(t, err)
	for to, route := range map[string]netlink.Route{
		"203.0.113.0/26":    {Type: unix.RTN_UNREACHABLE},
		"203.0.113.64/26":   {Type: unix.RTN_PROHIBIT},
		"203.0.113.128/26":  {LinkIndex: link.Attrs().Index, Gw: net.ParseIP("10.0.1.1")},
		"2001:db8:e:1::/64": {Type: unix.RTN_UNREACHABLE},
		"2001:db8:e:2::/64": {Type: unix.RTN_PROHIBIT},
		"2001:db8:e:3::/64": {LinkIndex: link.Attrs().Index, Gw: net.ParseIP("2001:db8:1::1")},
	} {
		_, route.Dst, err = net.ParseCIDR(to)
		must(t, err)
		must(t, netlink.RouteAdd(&route))
	}
}

func TestPing(t *testing.T) {
	inBothWays(t, func(t *testing.T) {
		for _, to := range []string{"127.0.0.1", "::1", "198.51.100.1", "2001:db8:f::1", "::ffff:127.0.0.1"} {
			for _, size := range []int{0, 1, 56, 1400, 9000} {
				r := ping(to, size).Ask(t.Context())
				expectResult(t, r, L4OK, "echo reply")
				if !strings.Contains(r.Transcript, fmt.Sprintf(", %d bytes\n< echo reply after ", size)) {
					t.Errorf("transcript %q", r.Transcript)
				}
			}
		}
	})
}

// What a router says about a packet ends the probe at once, in every kind that
// sends datagrams.
func TestUnreachable(t *testing.T) {
	inBothWays(t, func(t *testing.T) {
		for to, words := range map[string]string{
			"203.0.113.1":     "ICMP host unreachable from 10.0.0.2",
			"203.0.113.65":    "ICMP communication prohibited from 10.0.0.2",
			"203.0.113.129":   "ICMP time exceeded from 10.0.0.",
			"2001:db8:e:1::1": "ICMP no route from 2001:db8::2",
			"2001:db8:e:2::1": "ICMP communication prohibited from 2001:db8::2",
			"2001:db8:e:3::1": "ICMP time exceeded from 2001:db8::",
		} {
			for _, kind := range []Kind{Ping{Size: 56}, UDP{Payload: "x", Required: true}, DNS{Query: "SOA"}} {
				request := of(kind, netip.AddrPortFrom(netip.MustParseAddr(to), 53))
				if strings.Contains(words, "exceeded") {
					request.Route.Hops = 1
				}
				r := untilHeard(t, request)
				if r.Code != L4CON || !strings.HasPrefix(r.Reason, "reply: "+words) {
					t.Errorf("%s %s: %s %q, want %q", kind.Type(), to, r.Code, r.Reason, words)
				}
			}
		}
	})
}

// untilHeard asks until a router says something: Linux tells one host five times
// at once, and from then on once a second.
func untilHeard(t *testing.T, r Request) Result {
	t.Helper()
	r.Timeout = 3 * time.Second
	for deadline := time.Now().Add(2 * time.Minute); ; {
		result := r.Ask(t.Context())
		silent := result.Code == L4TOUT || result.Code == L7TOUT
		if !silent || time.Now().After(deadline) {
			return result
		}
	}
}

// Errors about other pings to the same address are not this one's.
func TestPingQuotedInErrorsOfAnother(t *testing.T) {
	e := newEcho(netip.MustParseAddr("192.0.2.1"), 8)
	other := e
	other.seq++
	for _, test := range []struct {
		quoted []byte
		want   bool
	}{
		{e.marshal(), true},
		{e.marshal()[:8], true},
		{e.marshal()[:7], false},
		{other.marshal(), false},
		{nil, false},
	} {
		if got := e.quotedIn(test.quoted); got != test.want {
			t.Errorf("%x quoted in %x: %v", e.marshal(), test.quoted, got)
		}
	}
}

// A host that does not answer ends the probe at its timeout.
func TestPingWithoutAnswer(t *testing.T) {
	inBothWays(t, func(t *testing.T) {
		must(t, os.WriteFile("/proc/sys/net/ipv4/icmp_echo_ignore_all", []byte("1"), 0))
		request := ping("127.0.0.1", 56)
		request.Timeout = 50 * time.Millisecond
		expectResult(t, request.Ask(t.Context()), L4TOUT, "reply: timed out")
	})
}

func TestPingWithoutPrivilege(t *testing.T) {
	twoPaths(t, func() {})
	must(t, os.WriteFile(pingGroups, []byte("1 0"), 0))
	must(t, giveUp())
	r := ping("127.0.0.1", 56).Ask(t.Context())
	expectResult(t, r, SOCKERR, "ping: lvsd lacks CAP_NET_RAW, and its group is not in net.ipv4.ping_group_range")
}

// A redirect tells of another way, on which the request already is.
func TestPingRedirected(t *testing.T) {
	route := func(to, via string) {
		link, err := netlink.LinkByName("left")
		must(t, err)
		_, prefix, err := net.ParseCIDR(to)
		must(t, err)
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: prefix, Gw: net.ParseIP(via)}))
	}
	twoPaths(t, func() {
		forward(t)
		route("203.0.113.0/24", "10.0.0.3") // back where it came from; nobody is there
	})
	route("203.0.113.0/24", "10.0.0.2")
	must(t, os.WriteFile(pingGroups, []byte("0 0"), 0))
	request := ping("203.0.113.1", 56)
	request.Timeout = 500 * time.Millisecond
	expectResult(t, request.Ask(t.Context()), L4TOUT, "reply: timed out")
}
