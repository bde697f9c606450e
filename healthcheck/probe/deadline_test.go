package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// piped returns a dialer whose server is handle, at the other end of a pipe:
// time is then the test's own. When the bubble of t ends, it waits for the
// server, which ends when the client has closed.
func piped(t *testing.T, handle func(net.Conn)) dialer {
	var servers sync.WaitGroup
	t.Cleanup(servers.Wait)
	return dialer{connect: func(context.Context, netip.AddrPort) (net.Conn, error) {
		client, server := net.Pipe()
		servers.Go(func() {
			defer server.Close()
			handle(server)
		})
		return client, nil
	}}
}

// pause lets some time pass.
func pause() { <-time.After(time.Millisecond) }

// drip writes text a byte at a time, pause apart, and then goes silent.
func drip(text string, pause time.Duration) func(net.Conn) {
	return func(conn net.Conn) {
		for i := range len(text) {
			<-time.After(pause)
			if _, err := conn.Write([]byte{text[i]}); err != nil {
				return
			}
		}
		servertest.Silent(conn)
	}
}

// afterRequest reads the head of a request and goes on with then.
func afterRequest(then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		readRequest(conn)
		then(conn)
	}
}

func overTLS(t *testing.T, then func(net.Conn)) func(net.Conn) {
	return overTLSWith(t, nil, then)
}

func overTLSWith(t *testing.T, protocols []string, then func(net.Conn)) func(net.Conn) {
	certificate := httptestCertificate(t)
	return func(conn net.Conn) {
		then(tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: protocols}))
	}
}

// Whatever the server does, the probe is over at its timeout, to the
// nanosecond of the test's clock, and nothing of it is left.
func TestProbeEndsAtItsTimeout(t *testing.T) {
	const second = time.Second
	answersEHLO := func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220 mx\r\n")
		_, _ = bufio.NewReader(conn).ReadString('\n')
	}
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
		code   Code
		reason string
	}{
		"smtp silent":            {mail, servertest.Silent, L7TOUT, "greeting: timed out"},
		"smtp drip":              {mail, drip(strings.Repeat("2", 1000), second), L7TOUT, "greeting: timed out"},
		"smtp drip of lines":     {mail, drip(strings.Repeat("220-\n", 100), second), L7TOUT, "greeting: timed out"},
		"smtp late":              {mail, drip("220 mx\r\n", 9*second), L7TOUT, "greeting: timed out"},
		"smtp half a line":       {mail, func(c net.Conn) { _, _ = io.WriteString(c, "220 m"); servertest.Silent(c) }, L7TOUT, "greeting: timed out"},
		"smtp EHLO not read":     {mail, func(c net.Conn) { _, _ = io.WriteString(c, "220 mx\r\n"); <-time.After(time.Hour) }, L7TOUT, "EHLO director.example: timed out"},
		"smtp EHLO not answered": {mail, func(c net.Conn) { answersEHLO(c); servertest.Silent(c) }, L7TOUT, "EHLO: timed out"},
		"smtp QUIT not read":     {mail, func(c net.Conn) { answersEHLO(c); _, _ = io.WriteString(c, "250 mx\r\n"); <-time.After(time.Hour) }, L7OK, "220 mx"},
		"smtp QUIT not answered": {mail, func(c net.Conn) { answersEHLO(c); _, _ = io.WriteString(c, "250 mx\r\n"); servertest.Silent(c) }, L7OK, "220 mx"},
		"http silent":            {web, servertest.Silent, L7TOUT, "reply: timed out"},
		"http request not read":  {web, func(net.Conn) { <-time.After(time.Hour) }, L7TOUT, "request: timed out"},
		"http drip of the head":  {web, afterRequest(drip("HTTP/1.1 200 OK\r\n"+strings.Repeat("X: x\r\n", 1000), second)), L7TOUT, "reply: timed out"},
		"http drip of interim":   {web, afterRequest(drip(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), second/10)), L7TOUT, "reply: timed out"},
		"http drip of the body":  {web, afterRequest(drip("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 1000), second/2)), L7TOUT, "body after status 200 OK: timed out"},
		"https silent":           {anyWeb, servertest.Silent, L6TOUT, "tls: timed out"},
		"https hello not read":   {anyWeb, func(net.Conn) { <-time.After(time.Hour) }, L6TOUT, "tls: timed out"},
		"https drip":             {anyWeb, drip("\x16\x03\x03\x40\x00"+strings.Repeat("\x02", 1000), second), L6TOUT, "tls: timed out"},
		"https reply never":      {anyWeb, overTLS(t, servertest.Silent), L7TOUT, "reply: timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := of(test.kind, anywhere)
				s.Timeout = 30 * second
				r := piped(t, test.handle).ask(t.Context(), s)
				expectResult(t, r, test.code, test.reason)
				if r.Duration != s.Timeout {
					t.Errorf("took %v, want %v", r.Duration, s.Timeout)
				}
			})
		})
	}
}

func TestConnectEndsAtItsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dialer{connect: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		s := of(TCP{}, anywhere)
		r := d.ask(t.Context(), s)
		expectResult(t, r, L4TOUT, "connect: timed out")
		if r.Duration != s.Timeout {
			t.Errorf("took %v, want %v", r.Duration, s.Timeout)
		}
	})
}

// Slow is not wrong: an answer that is complete within the timeout counts.
func TestSlowAnswerCounts(t *testing.T) {
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
		took   time.Duration
	}{
		"smtp teaser": {mail, func(conn net.Conn) {
			_, _ = io.WriteString(conn, "220-mx\r\n")
			<-time.After(6 * time.Second)
			script(t, "S: 220 mx\nC: EHLO director.example\nS: 250 mx\nC: QUIT\nS: 221 bye")(conn)
		}, 6 * time.Second},
		"http drip": {web, afterRequest(func(conn net.Conn) {
			drip("HTTP/1.1 204 OK\r\n\r\n", time.Second)(conn)
		}), 19 * time.Second},
		"https": {anyWeb, overTLS(t, afterRequest(func(conn net.Conn) {
			<-time.After(5 * time.Second)
			_, _ = io.WriteString(conn, "HTTP/1.1 204 OK\r\n\r\n")
		})), 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := of(test.kind, anywhere)
				s.Timeout = 20 * time.Second
				r := piped(t, test.handle).ask(t.Context(), s)
				if !r.OK || r.Duration != test.took {
					t.Errorf("got %s %q after %v, want success after %v", r.Code, r.Reason, r.Duration, test.took)
				}
			})
		})
	}
}

// A probe that is abandoned is over at once, in whichever step it is.
func TestAbandonedAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
	}{
		"greeting": {mail, servertest.Silent},
		"drip":     {mail, drip(strings.Repeat("2", 1000), 300*time.Millisecond)},
		"tls":      {anyWeb, servertest.Silent},
		"body":     {web, afterRequest(drip("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 1000), time.Millisecond))},
		"write":    {web, func(net.Conn) { <-time.After(time.Hour) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(700*time.Millisecond, cancel)
				r := piped(t, test.handle).ask(ctx, of(test.kind, anywhere))
				expectResult(t, r, SOCKERR, "abandoned: context canceled")
				if r.Duration != 700*time.Millisecond {
					t.Errorf("took %v, want 700ms", r.Duration)
				}
			})
		})
	}
}
