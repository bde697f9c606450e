package probe

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// connector returns one that runs, and where it tells of the probes that are
// over.
func connector(t *testing.T) (*Connector, chan Result) {
	t.Helper()
	results := make(chan Result, 1000)
	c, err := NewConnector(func(_ any, r Result) { results <- r })
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		c.Run()
	}()
	t.Cleanup(func() {
		c.Close()
		<-ran
	})
	return c, results
}

// connect carries out r as a pool does: it ends at its timeout.
func connect(t *testing.T, c *Connector, results chan Result, r Request) Result {
	t.Helper()
	if !r.OnlyConnects() {
		t.Fatalf("takes no %+v", r)
	}
	begun, result, over := c.Begin(r, nil)
	if over {
		return result
	}
	c.Settle()
	select {
	case result = <-results:
	case <-time.After(r.Timeout):
		var expired bool
		if result, expired = c.Expire(begun); !expired {
			result = <-results
		}
	}
	return result
}

// A Connector finds what TCP's own Ask does.
func TestConnectorIsTCP(t *testing.T) {
	open := servertest.Serve(t, servertest.Silent)
	local6, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Logf("without IPv6: %v", err)
	} else {
		defer local6.Close()
	}
	c, results := connector(t)
	for name, test := range map[string]struct {
		target  netip.AddrPort
		route   Route
		timeout time.Duration
		code    Code // "" is that of Ask
		reason  string
	}{
		"open":                 {target: open, code: L4OK, reason: "connected"},
		"refused":              {target: servertest.Refusing(t), code: L4CON, reason: "connect: connection refused"},
		"silent":               {target: servertest.Full(t), timeout: 100 * time.Millisecond, code: L4TOUT, reason: "connect: timed out"},
		"mapped":               {target: netip.AddrPortFrom(netip.AddrFrom16(open.Addr().As16()), open.Port()), code: L4OK, reason: "connected"},
		"from an address":      {target: open, route: Route{Source: netip.MustParseAddrPort("127.0.0.77:0")}, code: L4OK, reason: "connected"},
		"through the loopback": {target: open, route: Route{Interface: "lo"}},
		"with a mark":          {target: open, route: Route{Mark: 7}},
		"no such interface":    {target: open, route: Route{Interface: "nosuch0"}, code: SOCKERR},
		"not this host's":      {target: open, route: Route{Source: netip.MustParseAddrPort("192.0.2.77:0")}, code: SOCKERR},
		"broadcast":            {target: netip.MustParseAddrPort("255.255.255.255:25")},
		"from loopback out":    {target: netip.MustParseAddrPort("192.0.2.1:25"), route: Route{Interface: "lo"}, timeout: 50 * time.Millisecond},
		"no port":              {target: netip.AddrPortFrom(open.Addr(), 0)},
		"IPv6":                 {target: netip.MustParseAddrPort("[::1]:9")},
		"IPv6 without a route": {target: netip.MustParseAddrPort("[2001:db8::1]:25"), timeout: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			r := Request{Kind: TCP{}, Target: test.target, Route: test.route, Timeout: test.timeout}
			if r.Timeout == 0 {
				r.Timeout = time.Minute
			}
			got, want := connect(t, c, results, r), r.Ask(t.Context())
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Result{}, "At", "Duration")); diff != "" {
				t.Errorf("-Ask +Connector:\n%s", diff)
			}
			if test.code != "" {
				expectResult(t, got, test.code, test.reason)
			}
			if got.At.IsZero() || got.Duration <= 0 || got.Code == L4TOUT && got.Duration < r.Timeout {
				t.Errorf("at %v for %v", got.At, got.Duration)
			}
		})
	}
}

// A server that accepts and then resets has let the probe connect, whenever the
// reset is seen.
func TestConnectorReset(t *testing.T) {
	target := servertest.Serve(t, reset)
	c, results := connector(t)
	for range 50 {
		expectResult(t, connect(t, c, results, of(TCP{}, target)), L4OK, "connected")
	}
	for _, closesFirst := range []bool{false, true} {
		reset := make(chan struct{})
		target = servertest.Serve(t, func(conn net.Conn) {
			if closesFirst { // then the error is another
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
			close(reset)
		})
		begun, _, _ := c.Begin(of(TCP{}, target), nil)
		<-reset
		c.Settle()
		expectResult(t, <-results, L4OK, "connected")
		if _, ok := c.Expire(begun); ok {
			t.Error("a probe that is over expires")
		}
	}
}

// What came in time counts, even if nobody looked in time.
func TestConnectorExpiresWhatIsOpen(t *testing.T) {
	for _, test := range []struct {
		target netip.AddrPort
		code   Code
	}{
		{servertest.Serve(t, servertest.Silent), L4OK},
		{servertest.Refusing(t), L4CON},
		{servertest.Full(t), L4TOUT},
	} {
		c, results := connector(t)
		begun, _, over := c.Begin(of(TCP{}, test.target), nil)
		if over {
			t.Fatal("over at once")
		}
		if test.code != L4TOUT { // the handshake is over when the socket says so
			poll := []unix.PollFd{{Fd: begun.socket, Events: unix.POLLOUT}}
			if n, err := unix.Poll(poll, 60_000); n != 1 {
				t.Fatal(n, err)
			}
		}
		r, ok := c.Expire(begun)
		if !ok || r.Code != test.code {
			t.Errorf("%v: %v, %s %q, want %s", test.target, ok, r.Code, r.Reason, test.code)
		}
		c.Settle() // what is over is not settled
		if len(results) != 0 {
			t.Errorf("told twice: %+v", <-results)
		}
	}
}

func TestConnectorAbandons(t *testing.T) {
	c, results := connector(t)
	target := servertest.Full(t)
	var begun []Connection
	for range 3 {
		b, _, _ := c.Begin(of(TCP{}, target), nil)
		begun = append(begun, b)
	}
	c.Settle()
	for _, b := range begun {
		if !c.Abandon(b) || c.Abandon(b) {
			t.Error("not abandoned once")
		}
		if _, err := unix.FcntlInt(uintptr(b.socket), unix.F_GETFD, 0); err != unix.EBADF {
			t.Errorf("the socket is open: %v", err)
		}
	}
	expectResult(t, connect(t, c, results, of(TCP{}, servertest.Serve(t, servertest.Silent))), L4OK, "connected")
}

// The kernel may choose the port of a server that is not there for this end.
// Then a connection is made, with oneself.
func TestConnectorDoesNotConnectToItself(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	target := servertest.Refusing(t)
	address := &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()}
	if err := unix.Bind(fd, address); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, address); err != nil {
		t.Fatal(err)
	}
	f := flight{target: target}
	if err := f.outcome(fd, unix.EPOLLOUT); err != unix.ECONNREFUSED {
		t.Errorf("error %v, want that it is refused", err)
	}
}

func TestOnlyConnects(t *testing.T) {
	if !of(TCP{}, anywhere).OnlyConnects() {
		t.Error("not what does")
	}
	for name, r := range map[string]Request{
		"another kind":  of(mail, anywhere),
		"a source port": {Kind: TCP{}, Target: anywhere, Route: Route{Source: netip.MustParseAddrPort("127.0.0.1:99")}},
		"a zone":        of(TCP{}, netip.MustParseAddrPort("[fe80::1%lo]:25")),
	} {
		if r.OnlyConnects() {
			t.Errorf("%s too", name)
		}
	}
}

func TestConnectorWithoutDescriptors(t *testing.T) {
	target := servertest.Serve(t, servertest.Silent)
	c, results := connector(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	_, r, over := c.Begin(of(TCP{}, target), nil)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	expectResult(t, r, SOCKERR, "connect: too many open files")
	if !over || !r.NoDescriptors() {
		t.Errorf("over: %v, for want of descriptors: %v", over, r.NoDescriptors())
	}
	expectResult(t, connect(t, c, results, of(TCP{}, target)), L4OK, "connected")
}

func TestNoDescriptors(t *testing.T) {
	for reason, want := range map[string]bool{
		connectFailed(unix.EMFILE).(*failure).reason:                true,
		connectFailed(unix.ENFILE).(*failure).reason:                true,
		"lookup a.example: dial udp 192.0.2.1: too many open files": true,
		connectFailed(unix.ENOBUFS).(*failure).reason:               false,
	} {
		if got := (Result{Code: SOCKERR, Reason: reason}).NoDescriptors(); got != want {
			t.Errorf("%q: %v", reason, got)
		}
	}
	if (Result{Code: L7STS, Reason: "421 too many open files"}).NoDescriptors() {
		t.Error("a server's want of descriptors is taken for this host's")
	}
}
