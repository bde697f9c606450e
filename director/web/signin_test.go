package web

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
)

// signInAs posts the form, and returns the answer's code and cookie.
func signInAs(s *site, user, password string, change ...func(*http.Request)) (int, string) {
	form := url.Values{"user": {user}, "password": {password}}.Encode()
	w := ask(s, "POST", "/sign-in", form, append(change, header("Content-Type", "application/x-www-form-urlencoded"))...)
	for _, cookie := range w.Result().Cookies() {
		return w.Code, cookie.Name + "=" + cookie.Value
	}
	return w.Code, ""
}

// admin is a site with a user who is signed in and may change things.
func admin(t testing.TB) (s *site, cookie, token string) {
	t.Helper()
	s = newSite(config.Web{Admin: true, Users: map[string]config.Secret{"alice": hashOf(t, "right")}}, newScene(relays()), quietLog())
	code, cookie := signInAs(s, "alice", "right")
	if code != http.StatusSeeOther || cookie == "" {
		t.Fatalf("signing in: %d, cookie %q", code, cookie)
	}
	var told struct {
		User, Token string
		Admin       bool
	}
	w := ask(s, "GET", "/v1/session", "", header("Cookie", cookie))
	if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || told.User != "alice" || !told.Admin || told.Token == "" {
		t.Fatalf("session %s: %v", w.Body, err)
	}
	return s, cookie, told.Token
}

func TestNoAccessWithoutCredentials(t *testing.T) {
	s, cookie, _ := admin(t)
	for _, target := range []string{
		"/v1/status", "/v1/traffic", "/v1/events", "/v1/explain?server=192.0.2.11", "/v1/session", "/v1/stream",
	} {
		w := ask(s, "GET", target, "")
		if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "relay1") {
			t.Errorf("%s without credentials: %d %s", target, w.Code, w.Body)
		}
	}
	if w := ask(s, "GET", "/", ""); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/sign-in" {
		t.Errorf("the page without credentials: %d %v", w.Code, w.Header())
	}
	if w := ask(s, "GET", "/v1/status", "", header("Cookie", cookie)); w.Code != http.StatusOK {
		t.Errorf("with credentials: %d", w.Code)
	}
	w := ask(s, "POST", "/sign-out", "", header("Cookie", cookie))
	if w.Code != http.StatusSeeOther || w.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("signing out: %d %v", w.Code, w.Header())
	}
	if w := ask(s, "GET", "/v1/status", "", header("Cookie", cookie)); w.Code != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", w.Code)
	}
}

func TestSigningIn(t *testing.T) {
	const password = "a word with ümlauts & spaces"
	users := map[string]config.Secret{"alice": hashOf(t, password), "bob": "no hash at all"}
	for _, c := range []struct {
		user, password string
		want           int
	}{
		{"alice", password, http.StatusSeeOther},
		{"alice", "wrong", http.StatusUnauthorized},
		{"alice", "", http.StatusUnauthorized},
		{"alice", password + strings.Repeat("x", 100), http.StatusUnauthorized},
		{"Alice", password, http.StatusUnauthorized},
		{"nobody", password, http.StatusUnauthorized}, // whose hash stands in for nobody's
		{"", "", http.StatusUnauthorized},
		{"bob", "", http.StatusUnauthorized},
	} {
		s := newSite(config.Web{Users: users}, newScene(relays()), quietLog())
		code, cookie := signInAs(s, c.user, c.password)
		if code != c.want || (cookie != "") != (c.want == http.StatusSeeOther) {
			t.Errorf("%q with %q: %d, cookie %q", c.user, c.password, code, cookie)
		}
	}
}

func TestCookieIsForThePageOnly(t *testing.T) {
	s := newSite(config.Web{}, nil, quietLog())
	c := s.cookie("x")
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Domain != "" || c.Name != cookieName {
		t.Errorf("cookie %+v", c)
	}
	s.keys = &keyPair{}
	if c := s.cookie("x"); !c.Secure || c.Name != "__Host-lvsd_session" || c.Path != "/" {
		t.Errorf("with TLS: %+v", c)
	}
}

func TestTriesAreLimitedByAddress(t *testing.T) {
	s := newSite(config.Web{Users: map[string]config.Secret{"alice": hashOf(t, "right")}}, newScene(relays()), quietLog())
	for i := range triesAtOnce {
		if code, _ := signInAs(s, "alice", "wrong"); code != http.StatusUnauthorized {
			t.Errorf("try %d: %d", i, code)
		}
	}
	if code, cookie := signInAs(s, "alice", "right"); code != http.StatusTooManyRequests || cookie != "" {
		t.Errorf("one too many: %d, %q", code, cookie)
	}
	if code, _ := signInAs(s, "alice", "right", from("127.0.0.2:1")); code != http.StatusSeeOther {
		t.Errorf("from another address: %d", code)
	}
}

func TestTriesComeBack(t *testing.T) {
	now := time.Unix(1000, 0)
	var tries tries
	address := netip.MustParseAddr("2001:db8::1")
	neighbour := netip.MustParseAddr("2001:db8::ffff:1") // of the same /64
	for range triesAtOnce {
		if wait := tries.take(address, now); wait != 0 {
			t.Fatalf("wait %v", wait)
		}
	}
	if wait := tries.take(neighbour, now); wait != triesEvery {
		t.Errorf("wait %v, want %v", wait, triesEvery)
	}
	if wait := tries.take(address, now.Add(triesEvery)); wait != 0 {
		t.Errorf("later: wait %v", wait)
	}
	tries.forget(address)
	for range triesAtOnce {
		if wait := tries.take(address, now); wait != 0 {
			t.Errorf("after the right one: wait %v", wait)
		}
	}
	for i := range 3 * triersLimit {
		tries.take(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	if len(tries.free) > triersLimit {
		t.Errorf("%d addresses remembered", len(tries.free))
	}
}

func TestSessionsEnd(t *testing.T) {
	var all sessions
	now := time.Unix(1000, 0)
	first := all.begin("alice", now)
	one := all.find(first, now.Add(sessionTime-1))
	if one == nil || all.find(first, now.Add(sessionTime)) != nil || all.find("x", now) != nil || all.find("", now) != nil {
		t.Error("a session does not last as long as it should")
	}
	for i := range sessionLimit {
		all.begin("bob", now.Add(time.Duration(i+1)))
	}
	if all.find(first, now) != nil || len(all.all) != sessionLimit {
		t.Errorf("%d sessions, the oldest among them: %v", len(all.all), all.find(first, now) != nil)
	}
	select {
	case <-one.over:
	default:
		t.Error("the oldest session was not told")
	}
	all.begin("carol", now.Add(2*sessionTime))
	if len(all.all) != 1 {
		t.Errorf("%d sessions, want the one whose time is not over", len(all.all))
	}
}

func TestNobodyOrdersWithoutAdmin(t *testing.T) {
	order := `{"target":{"service":"mail"},"state":"drain"}`
	open := newSite(config.Web{Admin: true}, newScene(relays()), quietLog()) // admin without users
	if w := ask(open, "POST", "/v1/orders", order); w.Code != http.StatusForbidden {
		t.Errorf("without users: %d", w.Code)
	}
	s, cookie, token := admin(t)
	s.Admin = false
	for _, path := range []string{"/v1/orders", "/v1/orders/clear"} {
		if w := ask(s, "POST", path, order, header("Cookie", cookie), header(tokenHeader, token)); w.Code != http.StatusForbidden {
			t.Errorf("%s without admin: %d", path, w.Code)
		}
	}
	if w := ask(s, "GET", "/v1/session", "", header("Cookie", cookie)); strings.Contains(w.Body.String(), `"admin":true`) {
		t.Errorf("session %s", w.Body)
	}
}
