package web

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
)

// ask has the site's handler answer, as for a client on loopback.
func ask(s *site, method, target, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost:9467"+target, strings.NewReader(body))
	r.RemoteAddr = "127.0.0.1:50000"
	for _, f := range change {
		f(r)
	}
	w := recorder{httptest.NewRecorder()}
	s.handler().ServeHTTP(w, r)
	return w.ResponseRecorder
}

// recorder has deadlines, which it does not keep.
type recorder struct{ *httptest.ResponseRecorder }

func (recorder) SetReadDeadline(time.Time) error  { return nil }
func (recorder) SetWriteDeadline(time.Time) error { return nil }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address }
}

func TestWhoMayNotLookIsRefusedFirst(t *testing.T) {
	prefixes := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("fe80::/10")}
	s := newSite(config.Web{Allow: prefixes, Users: map[string]config.Secret{"alice": hashOf(t, "x")}}, newScene(relays()), quietLog())
	for address, want := range map[string]int{
		"192.0.2.9:1":          http.StatusOK,
		"[::ffff:192.0.2.9]:1": http.StatusOK,
		"[2001:db8::7]:1":      http.StatusOK,
		"[fe80::1%eth0]:1":     http.StatusOK,
		"192.0.3.9:1":          http.StatusForbidden,
		"127.0.0.1:1":          http.StatusForbidden,
		"[2001:db8:1::7]:1":    http.StatusForbidden,
		"@":                    http.StatusForbidden,
	} {
		if w := ask(s, "GET", "/sign-in", "", from(address)); w.Code != want {
			t.Errorf("from %s: %d, want %d", address, w.Code, want)
		}
		// Nobody else learns even what there is.
		if w := ask(s, "BREW", "/nowhere", "", from(address)); want == http.StatusForbidden && w.Code != want {
			t.Errorf("from %s, nowhere: %d, want %d", address, w.Code, want)
		}
	}
}

// TestPageIsKnownByItsNames: a name that an attacker has point to this host is none
// of the page's.
func TestPageIsKnownByItsNames(t *testing.T) {
	s := newSite(config.Web{Names: []string{"lb.example.org"}}, newScene(relays()), quietLog())
	s.names = append(s.names, "relay1", "relay1.example.org")
	for name, want := range map[string]int{
		"localhost:9467": http.StatusOK, "LOCALHOST": http.StatusOK, "127.0.0.1:9467": http.StatusOK, "[::1]:9467": http.StatusOK,
		"[2001:db8::1]": http.StatusOK, "192.0.2.1": http.StatusOK, "relay1.example.org:9467": http.StatusOK, "relay1.example.org.": http.StatusOK,
		"lb.example.org": http.StatusOK, "LB.example.org:443": http.StatusOK,
		"attacker.example": http.StatusMisdirectedRequest, "attacker.example:9467": http.StatusMisdirectedRequest, "": http.StatusMisdirectedRequest,
		"127.0.0.1.attacker.example": http.StatusMisdirectedRequest, "localhost.attacker.example": http.StatusMisdirectedRequest,
	} {
		if w := ask(s, "GET", "/v1/status", "", host(name)); w.Code != want {
			t.Errorf("host %q: %d, want %d", name, w.Code, want)
		}
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	s := newSite(config.Web{}, newScene(relays()), quietLog())
	for target, want := range map[string]int{
		"/": http.StatusOK, "/assets/main.js": http.StatusOK, "/v1/status": http.StatusOK, "/v1/traffic": http.StatusOK, "/v1/events?after=0": http.StatusOK,
		"/v1/explain?server=192.0.2.11:25&service=mail": http.StatusOK, "/v1/session": http.StatusOK, "/v1/explain": http.StatusBadRequest,
		"/v1/explain?server=none": http.StatusNotFound, "/v1/events?after=x": http.StatusBadRequest, "/nowhere": http.StatusNotFound,
		"/assets/index.html": http.StatusNotFound, "/assets/..%2fweb.go": http.StatusNotFound, "/v1/orders": http.StatusMethodNotAllowed,
	} {
		w := ask(s, "GET", target, "")
		if w.Code != want {
			t.Errorf("%s: %d, want %d", target, w.Code, want)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", target, policy)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: headers %v", target, w.Header())
		}
		if cache := w.Header().Get("Cache-Control"); strings.HasPrefix(target, "/v1/") && cache != "no-store" {
			t.Errorf("%s may be kept: %q", target, cache)
		}
	}
	if w := ask(s, "DELETE", "/v1/status", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a wrong method: %d", w.Code)
	}
}

// TestPageUsesNothingFromElsewhere also holds it to its own policy.
func TestPageUsesNothingFromElsewhere(t *testing.T) {
	entries, err := assets.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := assets.ReadFile("assets/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")
		for _, bad := range []string{"http:", "https:", "innerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick=", "javascript:", "@import"} {
			if strings.Contains(plain, bad) {
				t.Errorf("%s has %q", entry.Name(), bad)
			}
		}
	}
}

func TestForeignPagesCannotOrder(t *testing.T) {
	s, cookie, token := admin(t)
	order := `{"target":{"service":"mail","server":"192.0.2.11:25"},"state":"drain"}`
	signed, right := header("Cookie", cookie), header(tokenHeader, token)
	for name, c := range map[string]struct {
		change []func(*http.Request)
		want   int
	}{
		"the page's own":                {[]func(*http.Request){signed, right}, http.StatusOK},
		"of the same origin":            {[]func(*http.Request){signed, right, header("Origin", "http://localhost:9467")}, http.StatusOK},
		"without a session":             {[]func(*http.Request){right}, http.StatusUnauthorized},
		"with a made up session":        {[]func(*http.Request){header("Cookie", cookieName+"=x"), right}, http.StatusUnauthorized},
		"without a token":               {[]func(*http.Request){signed}, http.StatusForbidden},
		"with a wrong token":            {[]func(*http.Request){signed, header(tokenHeader, token+"x")}, http.StatusForbidden},
		"from another site":             {[]func(*http.Request){signed, right, header("Sec-Fetch-Site", "cross-site")}, http.StatusForbidden},
		"from another host of a site":   {[]func(*http.Request){signed, right, header("Sec-Fetch-Site", "same-site")}, http.StatusForbidden},
		"from another origin":           {[]func(*http.Request){signed, right, header("Origin", "http://attacker.example")}, http.StatusForbidden},
		"from another port's page":      {[]func(*http.Request){signed, right, header("Origin", "http://localhost:80")}, http.StatusForbidden},
		"by a name that is not its own": {[]func(*http.Request){signed, right, host("attacker.example")}, http.StatusMisdirectedRequest},
	} {
		if w := ask(s, "POST", "/v1/orders", order, c.change...); w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, c.want)
		}
	}
	if got := len(s.source.(*scene).ordered()); got != 2 {
		t.Errorf("%d orders arrived, want 2", got)
	}
	// Nor can they have a browser sign in, as somebody else.
	form := url.Values{"user": {"alice"}, "password": {"right"}}.Encode()
	if w := ask(s, "POST", "/sign-in", form, header("Content-Type", "application/x-www-form-urlencoded"), header("Sec-Fetch-Site", "cross-site")); w.Code != http.StatusForbidden {
		t.Errorf("signing in from another site: %d", w.Code)
	}
}

func TestBoundsOfRequests(t *testing.T) {
	s, cookie, token := admin(t)
	long := `{"target":{"service":"mail"},"state":"drain","reason":"` + strings.Repeat("x", 2*bodyLimit) + `"}`
	if w := ask(s, "POST", "/v1/orders", long, header("Cookie", cookie), header(tokenHeader, token)); w.Code != http.StatusBadRequest {
		t.Errorf("a long body: %d", w.Code)
	}
	live := serve(t, config.Web{}, newScene(relays()))
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+live.address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Long", strings.Repeat("x", 2*headerLimit))
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a long header: %s", response.Status)
	}
}

// TestConnectionsAreBounded: one too many is closed at once, and a place that is left
// is given to the next.
func TestConnectionsAreBounded(t *testing.T) {
	plain, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &bounded{plain, &places{all: 1, each: 1}}
	defer func() { _ = l.Close() }()
	accepted := make(chan net.Conn, 3)
	go func() {
		for {
			connection, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- connection
		}
	}()
	dial := func() net.Conn {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = connection.SetReadDeadline(time.Now().Add(patience))
		t.Cleanup(func() { _ = connection.Close() })
		return connection
	}
	dial()
	first := <-accepted
	if n, err := dial().Read(make([]byte, 1)); err == nil || n > 0 {
		t.Errorf("one too many was read from: %d, %v", n, err)
	}
	_ = first.Close()
	_ = first.Close() // twice gives one place
	third := dial()
	second := <-accepted
	if _, err := io.WriteString(second, "x"); err != nil {
		t.Error(err)
	}
	if _, err := third.Read(make([]byte, 1)); err != nil {
		t.Errorf("after one has left: %v", err)
	}
	if l.places.taken != 1 {
		t.Errorf("%d places taken, want 1", l.places.taken)
	}
}
