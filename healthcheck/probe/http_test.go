package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/google/go-cmp/cmp"
)

func TestHTTPStatus(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits.Add(1)
		var code int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.Header().Set("Location", "/200")
		w.WriteHeader(code)
	}))
	defer server.Close()
	for _, test := range []struct {
		path, accepted string
		code           Code
		reason         string
	}{
		{"/200", "200-299", L7OK, "status 200 OK"},
		{"/204", "200-299", L7OK, "status 204 No Content"},
		{"/301", "200-299", L7STS, "status 301 Moved Permanently"},
		{"/301", "200-299,301", L7OK, "status 301 Moved Permanently"},
		{"/404", "200-299", L7STS, "status 404 Not Found"},
		{"/503", "200-299", L7STS, "status 503 Service Unavailable"},
		{"/503", "503", L7OK, "status 503 Service Unavailable"},
	} {
		t.Run(test.path+" of "+test.accepted, func(t *testing.T) {
			hits.Store(0)
			k := HTTP{Requests: ListOf(HTTPRequest{Path: test.path, Status: test.accepted})}
			expectResult(t, of(k, servertest.AddrPort(server.Listener.Addr())).Ask(t.Context()), test.code, test.reason)
			if n := hits.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	requests := make(chan string, 1)
	target := servertest.Serve(t, func(conn net.Conn) {
		requests <- readHeadText(conn)
		_, _ = io.WriteString(conn, "HTTP/1.0 200 fine\r\n\r\n")
	})
	for host, want := range map[string]string{"": target.String(), "www.example:8080": "www.example:8080"} {
		k := HTTP{Host: host, Requests: ListOf(HTTPRequest{Path: "//ews/check.htm?a=b%20c", Status: "200"})}
		expectResult(t, of(k, target).Ask(t.Context()), L7OK, "status 200 fine")
		request := "GET //ews/check.htm?a=b%20c HTTP/1.1\r\nHost: " + want +
			"\r\nUser-Agent: lvsd\r\nAccept: */*\r\nConnection: close\r\n\r\n"
		if diff := cmp.Diff(request, <-requests); diff != "" {
			t.Errorf("request (-want +got):\n%s", diff)
		}
	}
}

func TestHTTPHost(t *testing.T) {
	for _, test := range []struct {
		secure bool
		target string
		host   string
		want   string
	}{
		{false, "192.0.2.1:80", "", "192.0.2.1"},
		{false, "192.0.2.1:443", "", "192.0.2.1:443"},
		{true, "192.0.2.1:443", "", "192.0.2.1"},
		{true, "192.0.2.1:80", "", "192.0.2.1:80"},
		{false, "[2001:db8::1]:80", "", "[2001:db8::1]"},
		{false, "[2001:db8::1]:81", "", "[2001:db8::1]:81"},
		{false, "[fe80::1%eth0]:80", "", "[fe80::1]"},
		{false, "[fe80::1%eth0]:81", "", "[fe80::1]:81"},
		{false, "192.0.2.1:81", "www.example", "www.example"},
	} {
		k := HTTP{Secure: test.secure, Host: test.host}
		if got := k.hostOf(netip.MustParseAddrPort(test.target)); got != test.want {
			t.Errorf("%s %s: Host %q, want %q", k.Type(), test.target, got, test.want)
		}
	}
	for host, want := range map[string]string{
		"www.example": "www.example", "www.example:81": "www.example", "192.0.2.1": "192.0.2.1",
		"[2001:db8::1]": "2001:db8::1", "[2001:db8::1]:81": "2001:db8::1",
	} {
		if got := hostName(host); got != want {
			t.Errorf("%s: name %q, want %q", host, got, want)
		}
	}
}

// Each server here says what it has to say as soon as it is asked.
func TestHTTPReplies(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, test := range map[string]struct {
		reply  string
		code   Code
		reason string
	}{
		"body by length":         {ok + "Content-Length: 4\r\n\r\nbody", L7OK, "status 200 OK"},
		"body by closing":        {ok + "\r\nbody", L7OK, "status 200 OK"},
		"body in chunks":         {ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", L7OK, "status 200 OK"},
		"interim replies":        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok + "\r\n", L7OK, "status 200 OK"},
		"no reason phrase":       {"HTTP/1.1 200\r\n\r\n", L7OK, "status 200"},
		"bad status, no body":    {"HTTP/1.1 500 no\r\nContent-Length: 9\r\n\r\n", L7STS, "status 500 no"},
		"switching protocols":    {"HTTP/1.1 101 Switching Protocols\r\n\r\n", L7STS, "status 101"},
		"status out of range":    {"HTTP/1.1 999 hm\r\n\r\n", L7STS, "status 999 hm"},
		"escape in the phrase":   {"HTTP/1.1 500 \x1b[31mred\r\n\r\n", L7STS, "status 500 ?[31mred"},
		"nothing":                {"", L7RSP, "reply: closed by the server"},
		"half a head":            {ok + "Content-Length: 4\r\n", L7RSP, "reply: closed by the server"},
		"half a header":          {ok + "Content-Le", L7RSP, "reply: closed by the server"},
		"half a body":            {ok + "Content-Length: 9\r\n\r\nbody", L7RSP, "body after status 200 OK: closed by the server"},
		"half a chunk":           {ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nbody", L7RSP, "body after status 200 OK: closed by the server"},
		"garbage for a chunk":    {ok + "Transfer-Encoding: chunked\r\n\r\n\x07\r\n", L7RSP, "body after status 200 OK: "},
		"not HTTP":               {"220 mx ESMTP\r\n\r\n", L7RSP, "reply: malformed HTTP"},
		"binary":                 {"\x15\x03\x01\x00\x02\x02\x50\r\n", L7RSP, "reply: malformed HTTP"},
		"header that is none":    {ok + "no colon\r\n\r\n", L7RSP, "reply: malformed MIME header"},
		"lengths that differ":    {ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", L7RSP, "reply: "},
		"head up to the limit":   {ok + "X: " + strings.Repeat("x", maxHTTPReply-len(ok)-7) + "\r\n\r\n", L7OK, "status 200 OK"},
		"head beyond the limit":  {ok + "X: " + strings.Repeat("x", maxHTTPReply-len(ok)-6) + "\r\n\r\n", L7RSP, "reply: more than 65536 bytes"},
		"interim replies no end": {strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 5000), L7RSP, "reply: more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			target := servertest.Serve(t, func(conn net.Conn) {
				readRequest(conn)
				_, _ = io.WriteString(conn, test.reply)
			})
			expectResult(t, of(web, target).Ask(t.Context()), test.code, test.reason)
		})
	}
}

func readRequest(conn net.Conn) { _, _ = readRequestOf(conn) }

func readRequestOf(conn net.Conn) (*http.Request, error) {
	return http.ReadRequest(bufio.NewReader(conn))
}

func TestHTTPHostile(t *testing.T) {
	after := func(head string, then func(net.Conn)) func(net.Conn) {
		return func(conn net.Conn) {
			readRequest(conn)
			_, _ = io.WriteString(conn, head)
			then(conn)
		}
	}
	for name, test := range map[string]struct {
		handle func(net.Conn)
		code   Code
		reason string
	}{
		"reset":                  {after("", reset), L7RSP, "reply: connection reset by peer"},
		"endless body":           {after("HTTP/1.1 200 OK\r\n\r\n", servertest.Flood("x")), L7OK, "status 200 OK"},
		"endless body by length": {after("HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n", servertest.Flood("x")), L7OK, "status 200 OK"},
		"endless chunk":          {after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffff\r\n", servertest.Flood("x")), L7OK, "status 200 OK"},
		"endless head":           {after("HTTP/1.1 200 OK\r\n", servertest.Flood("X: x\r\n")), L7RSP, "reply: more than 65536 bytes"},
		"endless status line":    {after("HTTP/1.1 200 ", servertest.Flood("x")), L7RSP, "reply: more than 65536 bytes"},
		"endless body of a no":   {after("HTTP/1.1 500 no\r\n\r\n", servertest.Flood("x")), L7STS, "status 500 no"},
	} {
		t.Run(name, func(t *testing.T) {
			var read atomic.Int64
			counting := dialer{connect: func(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
				conn, err := Route{}.connectTCP(ctx, target)
				return countingConn{conn, &read}, err
			}}
			expectResult(t, counting.ask(t.Context(), of(web, servertest.Serve(t, test.handle))), test.code, test.reason)
			if n := read.Load(); n > maxHTTPReply {
				t.Errorf("read %d bytes", n)
			}
		})
	}
	expectResult(t, of(web, servertest.Refusing(t)).Ask(t.Context()), L4CON, "connect: connection refused")
}

type countingConn struct {
	net.Conn
	read *atomic.Int64
}

func (c countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read.Add(int64(n))
	return n, err
}

// tlsServer serves HTTPS with httptest's certificate, which is for
// example.com and 127.0.0.1, and counts the names asked for.
func tlsServer(t *testing.T) (target netip.AddrPort, roots *x509.CertPool, names chan string) {
	names = make(chan string, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "hello "+r.Host)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		names <- hello.ServerName
		return nil, nil
	}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return servertest.AddrPort(server.Listener.Addr()), roots, names
}

func TestHTTPS(t *testing.T) {
	target, roots, names := tlsServer(t)
	for name, test := range map[string]struct {
		roots    *x509.CertPool
		host     string
		insecure bool
		code     Code
		reason   string
		wantName string
	}{
		"trusted, by name":          {roots, "example.com", false, L7OK, "status 200 OK", "example.com"},
		"trusted, by name and port": {roots, "example.com:8443", false, L7OK, "status 200 OK", "example.com"},
		"trusted, by address":       {roots, "", false, L7OK, "status 200 OK", ""},
		"another name":              {roots, "www.example", false, L6RSP, "tls: certificate of example.com by Acme Co until 2084-01-29, for www.example: x509: certificate is valid for", "www.example"},
		"unknown authority":         {nil, "example.com", false, L6RSP, "tls: certificate of example.com by Acme Co until 2084-01-29, for example.com: x509: certificate signed by unknown authority", "example.com"},
		"not verified":              {nil, "www.example", true, L7OK, "status 200 OK", "www.example"},
	} {
		t.Run(name, func(t *testing.T) {
			k := HTTP{Secure: true, Host: test.host, TLS: TLS{Insecure: test.insecure}, Requests: web.Requests}
			expectResult(t, dialer{roots: test.roots}.ask(t.Context(), of(k, target)), test.code, test.reason)
			if got := <-names; got != test.wantName {
				t.Errorf("asked for %q, want %q", got, test.wantName)
			}
		})
	}
}

// Many servers close the connection without TLS's farewell.
func TestHTTPSClosedWithoutFarewell(t *testing.T) {
	certificate := httptestCertificate(t)
	for reply, code := range map[string]Code{
		"HTTP/1.1 200 OK\r\n\r\nbody":                       L7OK,
		"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbody":  L7RSP,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n": L7RSP,
	} {
		target := servertest.Serve(t, func(conn net.Conn) {
			secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
			readRequest(secure)
			_, _ = io.WriteString(secure, reply)
		})
		if r := of(anyWeb, target).Ask(t.Context()); r.Code != code {
			t.Errorf("%q: got %s %q, want %s", reply, r.Code, r.Reason, code)
		}
	}
}

func httptestCertificate(t *testing.T) tls.Certificate {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return server.TLS.Certificates[0]
}

func TestHTTPSHostile(t *testing.T) {
	for name, test := range map[string]struct {
		handle func(net.Conn)
		reason string
	}{
		"plain HTTP": {func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n"); servertest.Silent(c) }, "tls: first record does not look like a TLS handshake"},
		"closed":     {func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }, "tls: closed by the server"},
		"reset":      {func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)); reset(c) }, "tls: connection reset by peer"},
		"endless":    {servertest.Flood(strings.Repeat("\x16\x03\x03\x40\x00", 1000)), "tls: "},
		"alert":      {func(c net.Conn) { _, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, 40}); servertest.Silent(c) }, "tls: remote error: handshake failure"},
		"no more than TLS 1.1": {func(c net.Conn) {
			_ = tls.Server(c, &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}).Handshake()
			servertest.Silent(c)
		}, "tls: remote error: protocol version not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			expectResult(t, of(tlsWeb, servertest.Serve(t, test.handle)).Ask(t.Context()), L6RSP, test.reason)
		})
	}
}
