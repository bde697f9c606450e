package probe

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"github.com/google/go-cmp/cmp"
)

// readHeadText reads a request up to its empty line.
func readHeadText(conn net.Conn) string {
	var text string
	for r := bufio.NewReader(conn); !strings.HasSuffix(text, "\r\n\r\n"); {
		line, err := r.ReadString('\n')
		if err != nil {
			break
		}
		text += line
	}
	return text
}

// What is written in HTTP/1, to the byte.
func TestHTTPRequestText(t *testing.T) {
	requests := make(chan string, 1)
	target := servertest.Serve(t, func(conn net.Conn) {
		requests <- readHeadText(conn)
		_, _ = io.WriteString(conn, "HTTP/1.0 200 fine\r\n\r\n")
	})
	const usual = "User-Agent: lvsd\r\nAccept: */*\r\n"
	const end = "Connection: close\r\n\r\n"
	for name, test := range map[string]struct {
		kind HTTP
		want string
	}{
		"1.0":     {HTTP{Version: "1.0", Host: "a"}, "GET / HTTP/1.0\r\nHost: a\r\n" + usual + end},
		"head":    {HTTP{Host: "a", Requests: ListOf(HTTPRequest{Path: "/x", Method: "HEAD"})}, "HEAD /x HTTP/1.1\r\nHost: a\r\n" + usual + end},
		"post":    {HTTP{Host: "a", Requests: ListOf(HTTPRequest{Path: "/x", Method: "POST"})}, "POST /x HTTP/1.1\r\nHost: a\r\n" + usual + "Content-Length: 0\r\n" + end},
		"options": {HTTP{Host: "a", Requests: ListOf(HTTPRequest{Path: "*", Method: "OPTIONS"})}, "OPTIONS * HTTP/1.1\r\nHost: a\r\n" + usual + end},
		"headers": {
			HTTP{Host: "a", Requests: ListOf(HTTPRequest{Path: "/", Headers: ListOf("X:  1", "accept: text/html", "x: 2", "Empty:")})},
			"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: lvsd\r\nX: 1\r\naccept: text/html\r\nx: 2\r\nEmpty: \r\n" + end,
		},
		"basic authentication": { // the example of RFC 7617
			HTTP{Host: "a", Username: "Aladdin", Password: "open sesame"},
			"GET / HTTP/1.1\r\nHost: a\r\n" + usual + "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n" + end,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.kind.Requests.Len() == 0 {
				test.kind.Requests = ListOf(HTTPRequest{Path: "/"})
			}
			r := test.kind.Requests.Values()[0]
			r.Status = "200"
			test.kind.Requests = ListOf(r)
			request := of(test.kind, target)
			if err := request.Validate(); err != nil {
				t.Fatal(err)
			}
			expectResult(t, request.Ask(t.Context()), L7OK, "status 200 fine")
			if diff := cmp.Diff(test.want, <-requests); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// What a server understands of a request is the same in each version.
func TestHTTPRequestUnderstood(t *testing.T) {
	type request struct {
		Proto, Method, Host, URI, User, Password string
		Header                                   http.Header
		Length                                   int64
	}
	requests := make(chan request, 1)
	target := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		got := request{Proto: r.Proto, Method: r.Method, Host: r.Host, URI: r.RequestURI, Header: r.Header, Length: r.ContentLength}
		got.User, got.Password, _ = r.BasicAuth()
		for _, name := range []string{"Authorization", "Connection", "Content-Length"} {
			r.Header.Del(name)
		}
		requests <- got
	})
	for version, proto := range map[string]string{"": "HTTP/1.1", "1.0": "HTTP/1.0", "1.1": "HTTP/1.1", "2": "HTTP/2.0"} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "PROPFIND"} {
			k := asking(version, HTTPRequest{Path: "/a%20b?c=d&e", Method: method, Headers: ListOf("X-One: 1", "X-One: 2", "User-Agent: me")})
			k.Host, k.Username, k.Password = "www.example:81", "j\u00fcrgen", "a:b"
			expectResult(t, of(k, target).Ask(t.Context()), L7OK, "status 200 OK")
			want := request{proto, method, "www.example:81", "/a%20b?c=d&e", "j\u00fcrgen", "a:b", http.Header{
				"Accept": {"*/*"}, "User-Agent": {"me"}, "X-One": {"1", "2"},
			}, 0}
			if diff := cmp.Diff(want, <-requests); diff != "" {
				t.Errorf("HTTP/%s %s (-want +got):\n%s", version, method, diff)
			}
		}
	}
}

// The requests of a check go out in order, each on a connection of its own,
// until one does not pass.
func TestHTTPSeveralRequests(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	ends := map[string]bool{}
	target := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.URL.Path)
		ends[r.RemoteAddr] = true
		if r.URL.Path == "/bad" {
			w.WriteHeader(http.StatusTeapot)
		}
	})
	request := func(path string) HTTPRequest { return HTTPRequest{Path: path, Status: "200"} }
	for _, version := range httpVersions {
		for name, test := range map[string]struct {
			paths  []string
			code   Code
			reason string
			asked  string
		}{
			"all pass":  {[]string{"/1", "/2", "/3"}, L7OK, "status 200 OK", "/1 /2 /3"},
			"one fails": {[]string{"/1", "/bad", "/3"}, L7STS, "status 418 I'm a teapot", "/1 /bad"},
		} {
			asked, ends = nil, map[string]bool{}
			k := HTTP{Version: version}
			var list []HTTPRequest
			for _, path := range test.paths {
				list = append(list, request(path))
			}
			k.Requests = ListOf(list...)
			expectResult(t, of(k, target).Ask(t.Context()), test.code, test.reason)
			mu.Lock()
			if got := strings.Join(asked, " "); got != test.asked || len(ends) != len(asked) {
				t.Errorf("HTTP/%s %s: asked %s on %d connections, want %s", version, name, got, len(ends), test.asked)
			}
			mu.Unlock()
		}
	}
}

// The reply to HEAD ends with its head, whatever length it announces.
func TestHTTPHead(t *testing.T) {
	target := webServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000")
	})
	for _, version := range httpVersions {
		k := asking(version, HTTPRequest{Path: "/", Method: http.MethodHead})
		expectResult(t, of(k, target).Ask(t.Context()), L7OK, "status 200 OK")
	}
}
