package probe

import (
	"bytes"
	"crypto/md5" //nolint:gosec // keepalived's digest
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// webServer serves over HTTP/1 and, known beforehand, over HTTP/2.
func webServer(t *testing.T, handler http.HandlerFunc) netip.AddrPort {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = &http.Protocols{}
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return servertest.AddrPort(server.Listener.Addr())
}

var httpVersions = []string{"1.0", "1.1", "2"}

// asking is a check that makes one request.
func asking(version string, r HTTPRequest) HTTP {
	if r.Status == "" {
		r.Status = "200-299"
	}
	return HTTP{Version: version, Requests: ListOf(r)}
}

// page is what the server of TestHTTPBody says under /page.
const page = "<html>\n<h1>All is well</h1>\n</html>\n"

func TestHTTPBody(t *testing.T) {
	long := strings.Repeat("x", maxHTTPReply) + "needle"
	huge := bytes.Repeat([]byte("0123456789abcdef"), maxHTTPDigest/16+1)
	target := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/page":
			_, _ = io.WriteString(w, page)
		case "/pieces": // chunks, in HTTP/1.1
			for _, line := range strings.SplitAfter(page, "\n") {
				_, _ = io.WriteString(w, line)
				w.(http.Flusher).Flush()
			}
		case "/nothing":
			w.WriteHeader(http.StatusNoContent)
		case "/long":
			_, _ = io.WriteString(w, long)
		case "/huge":
			_, _ = w.Write(huge)
		case "/secret":
			_, _, _ = r.BasicAuth()
			_, _ = io.WriteString(w, "you said open sesame")
		}
	})
	sum := func(body string) (string, string) {
		return fmt.Sprintf("md5:%x", md5.Sum([]byte(body))), fmt.Sprintf("sha256:%X", sha256.Sum256([]byte(body)))
	}
	pageMD5, pageSHA := sum(page)
	emptyMD5, _ := sum("")
	_, longSHA := sum(long)
	const cut = "what was read of the body, which was cut at 64 KiB"
	for name, test := range map[string]struct {
		ask    HTTPRequest
		code   Code
		reason string
	}{
		"contains":              {HTTPRequest{Path: "/page", Contains: "All is"}, L7OK, "status 200 OK"},
		"contains, in pieces":   {HTTPRequest{Path: "/pieces", Contains: "well</h1>\n</html>"}, L7OK, "status 200 OK"},
		"contains not":          {HTTPRequest{Path: "/page", Contains: "all is"}, L7STS, `status 200 OK, but "all is" is not in the body`},
		"contains no regex":     {HTTPRequest{Path: "/page", Contains: "A.l"}, L7STS, `status 200 OK, but "A.l" is not in the body`},
		"regex":                 {HTTPRequest{Path: "/page", Regex: "(?m)^<h1>A.*</h1>$"}, L7OK, "status 200 OK"},
		"regex not":             {HTTPRequest{Path: "/page", Regex: "^All"}, L7STS, `status 200 OK, but "^All" does not match the body`},
		"not regex":             {HTTPRequest{Path: "/page", NotRegex: "(?i)error"}, L7OK, "status 200 OK"},
		"not regex, but it is":  {HTTPRequest{Path: "/page", NotRegex: "(?i)WELL"}, L7STS, `status 200 OK, but "(?i)WELL" matches the body`},
		"all three":             {HTTPRequest{Path: "/page", Contains: "well", Regex: "is", NotRegex: "Error"}, L7OK, "status 200 OK"},
		"md5":                   {HTTPRequest{Path: "/page", Digest: pageMD5}, L7OK, "status 200 OK"},
		"md5, in pieces":        {HTTPRequest{Path: "/pieces", Digest: pageMD5}, L7OK, "status 200 OK"},
		"sha256":                {HTTPRequest{Path: "/page", Digest: pageSHA}, L7OK, "status 200 OK"},
		"another digest":        {HTTPRequest{Path: "/page", Digest: emptyMD5}, L7STS, "status 200 OK, but the digest of the body is " + pageMD5},
		"digest of nothing":     {HTTPRequest{Path: "/nothing", Digest: emptyMD5}, L7OK, "status 204 No Content"},
		"nothing":               {HTTPRequest{Path: "/nothing", Contains: "x"}, L7STS, `status 204 No Content, but "x" is not in the body`},
		"status first":          {HTTPRequest{Path: "/page", Status: "404", Contains: "x"}, L7STS, "status 200 OK"},
		"beyond the cut":        {HTTPRequest{Path: "/long", Contains: "needle"}, L7STS, `status 200 OK, but "needle" is not in ` + cut},
		"no match, cut":         {HTTPRequest{Path: "/long", Regex: "needle"}, L7STS, `status 200 OK, but "needle" does not match ` + cut},
		"before the cut":        {HTTPRequest{Path: "/long", Contains: "xxx"}, L7OK, "status 200 OK, of a body cut at 64 KiB"},
		"not before the cut":    {HTTPRequest{Path: "/long", NotRegex: "needle"}, L7OK, "status 200 OK, of a body cut at 64 KiB"},
		"digest beyond":         {HTTPRequest{Path: "/long", Digest: longSHA}, L7OK, "status 200 OK"},
		"digest, but needle":    {HTTPRequest{Path: "/long", Digest: longSHA, Contains: "needle"}, L7STS, `status 200 OK, but "needle" is not in ` + cut},
		"too long for a digest": {HTTPRequest{Path: "/huge", Digest: pageMD5}, L7STS, "status 200 OK, but the body is too long for a digest: reply of more than 16777216 bytes"},
	} {
		for _, version := range httpVersions {
			t.Run(name+"/"+version, func(t *testing.T) {
				r := of(asking(version, test.ask), target)
				if err := r.Validate(); err != nil {
					t.Fatal(err)
				}
				got := r.Ask(t.Context())
				expectResult(t, got, test.code, test.reason)
				if want := "..."; len(test.reason) < maxReason && strings.HasSuffix(got.Reason, want) {
					t.Errorf("reason cut short: %q", got.Reason)
				}
			})
		}
	}
}

// A status that says no is an answer at once, whatever body would follow.
func TestHTTPStatusWaitsForNoBody(t *testing.T) {
	late := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			<-time.After(time.Second)
			go servertest.Silent(conn) // what is said meanwhile
			drip(text, 0)(conn)
		}
	}
	for name, test := range map[string]struct {
		kind   HTTP
		handle func(net.Conn)
	}{
		"HTTP/1":            {web, afterRequest(late("HTTP/1.1 500 no\r\nContent-Length: 9\r\n\r\n"))},
		"HTTP/1 in chunks":  {web, afterRequest(late("HTTP/1.1 500 no\r\nTransfer-Encoding: chunked\r\n\r\n"))},
		"HTTP/1, elsewhere": {HTTP{Requests: web.Requests, Follow: 1}, afterRequest(late("HTTP/1.1 301 no\r\nContent-Length: 9\r\nLocation: https://a/\r\n\r\n"))},
		"HTTP/2":            {web2, afterHTTP2Request(late(settings() + head(false, ":status", "500")))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := piped(t, test.handle).ask(t.Context(), of(test.kind, anywhere))
				expectResult(t, r, L7STS, "status ")
				if r.Duration != time.Second {
					t.Errorf("took %v", r.Duration)
				}
			})
		})
	}
}

// A body that is not as it should be can be read in the transcript, but for what
// it repeats of the request's secrets.
func TestHTTPTranscript(t *testing.T) {
	target := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		fmt.Fprintf(w, "\n  user %s\n\n\x1b[31mpassword %s\ntoken %s\nthree %s\nfive\nsix\n",
			user, password, r.Header.Get("X-Token"), r.Header.Get("Authorization"))
	})
	for _, version := range httpVersions {
		k := asking(version, HTTPRequest{Path: "/", Contains: "welcome", Headers: ListOf("X-Token: open sesame", "X-Probe: lvsd")})
		k.Host, k.Username, k.Password, k.Follow = "www.example", "director", "hunter2", 1
		r := of(k, target).Ask(t.Context())
		expectResult(t, r, L7STS, `status 200 OK, but "welcome" is not in the body`)
		sent := "Host: www.example\n> Authorization: Basic ...\n> X-Token: ...\n> X-Probe: lvsd\n"
		said := k.protocol()
		heard := "HTTP/1.1"
		switch version {
		case "1.0":
			heard = "HTTP/1.0"
		case "2":
			heard = "HTTP/2.0"
		}
		want := "> GET / " + said + "\n> " + sent + "< " + heard + " 302 Found\n< Location: /login\n" +
			"> GET /login " + said + "\n> " + sent + "< " + heard + " 200 OK\n" +
			"< user director\n< ?[31mpassword ...\n< token ...\n< three Basic ...\n"
		if r.Transcript != want {
			t.Errorf("HTTP/%s: got\n%s\nwant\n%s", version, r.Transcript, want)
		}
	}
}
