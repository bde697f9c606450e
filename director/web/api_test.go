package web

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// errorOf is the code in an answer; empty if it has none.
func errorOf(body []byte) string {
	var answer struct{ Error control.Error }
	_ = json.Unmarshal(body, &answer)
	return answer.Error.Code
}

func TestOrderArrives(t *testing.T) {
	s, cookie, token := admin(t)
	post := func(path, body string) (int, director.Spread) {
		w := ask(s, "POST", path, body, header("Cookie", cookie), header(tokenHeader, token))
		var spread director.Spread
		_ = json.Unmarshal(w.Body.Bytes(), &spread)
		return w.Code, spread
	}
	code, spread := post("/v1/orders", `{"target":{"service":"mail","server":"192.0.2.11:25"},"state":"drain","reason":"<b>new disk</b>","for_ns":3600000000000,"by":"root"}`)
	if code != http.StatusOK || len(spread.Told) != 1 || spread.Untold["relay3"] == "" {
		t.Errorf("answer %d %+v", code, spread)
	}
	scene := s.source.(*scene)
	got := scene.ordered()[0]
	if got.State != director.Drain || got.Reason != "<b>new disk</b>" || got.For != time.Hour || got.By != "web:alice@127.0.0.1" {
		t.Errorf("order %+v", got)
	}
	code, spread = post("/v1/orders/clear", `{"target":{"service":"mail","server":"192.0.2.11:25"},"by":"root"}`)
	if code != http.StatusOK || !spread.Override.Cleared || spread.Override.By != "web:alice@127.0.0.1" || len(scene.cleared) != 1 {
		t.Errorf("clearing: %d %+v", code, spread)
	}
	if code, _ := post("/v1/maintenance", `{"on":true,"reason":"new kernel","by":"root"}`); code != http.StatusOK || scene.maintained[0].By != "web:alice@127.0.0.1" {
		t.Errorf("maintenance: %d %+v", code, scene.maintained)
	}
	if code, _ := post("/v1/check", `{"server":"192.0.2.11:25","service":"mail"}`); code != http.StatusOK || !slices.Equal(scene.checked, []string{"192.0.2.11:25 in mail"}) {
		t.Errorf("check now: %d %v", code, scene.checked)
	}
	for body, want := range map[string]int{
		`[]`: http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain","secret":1}`:         http.StatusBadRequest,
		`{"target":{"service":"mail"},"state":"drain"} {}`:                 http.StatusBadRequest,
		`{"target":{"service":"mail","server":"unknown"},"state":"drain"}`: http.StatusNotFound,
	} {
		if code, _ := post("/v1/orders", body); code != want {
			t.Errorf("%.80s: %d, want %d", body, code, want)
		}
	}
}

// TestEveryChangeIsGuarded: none of the routes that change something is for somebody
// who is not signed in, who may not, or whose request is not from the page.
func TestEveryChangeIsGuarded(t *testing.T) {
	s, cookie, token := admin(t)
	readOnly := newSite(config.Web{Users: s.Users}, newScene(relays()), quietLog())
	_, readers := signInAs(readOnly, "alice", "right")
	open := newSite(config.Web{}, newScene(relays()), quietLog())
	for _, one := range control.Changing(nil) {
		path := strings.ReplaceAll(one.Path, "{instance}", "mail")
		for name, c := range map[string]struct {
			site   *site
			change []func(*http.Request)
			want   string
		}{
			"nobody":             {s, []func(*http.Request){header(tokenHeader, token)}, control.CodeSignIn},
			"without a token":    {s, []func(*http.Request){header("Cookie", cookie)}, control.CodeNotPermitted},
			"from another site":  {s, []func(*http.Request){header("Cookie", cookie), header(tokenHeader, token), header("Origin", "http://attacker.example")}, control.CodeNotPermitted},
			"without admin":      {readOnly, []func(*http.Request){header("Cookie", readers)}, control.CodeNotPermitted},
			"where are no users": {open, nil, control.CodeNotPermitted},
		} {
			if w := ask(c.site, one.Method, path, "{}", c.change...); errorOf(w.Body.Bytes()) != c.want {
				t.Errorf("%s, %s: %d %s, want %s", path, name, w.Code, w.Body, c.want)
			}
		}
	}
}

// TestThePageAnswersAsTheSocket: every route that reads is there, and what is badly
// asked for is refused alike.
func TestThePageAnswersAsTheSocket(t *testing.T) {
	s := newSite(config.Web{}, newScene(relays()), quietLog())
	for target, want := range map[string]string{
		"/v1/status": "", "/v1/traffic": "", "/v1/events": "", "/v1/explain?server=192.0.2.11:25": "",
		"/v1/explain/instance/mail": "", "/v1/explain/service/mail": "", "/v1/openapi.json": "",
		"/v1/explain/instance/absent": control.CodeUnknownInstance, "/v1/explain/service/absent": control.CodeUnknownService,
		"/v1/events?kind=x": control.CodeBadRequest, "/v1/explain?server=a&x=1": control.CodeBadRequest,
		"/v1/nowhere": control.CodeUnknownPath, "/nowhere": control.CodeUnknownPath, "/assets/none.js": control.CodeUnknownPath,
		"/v1/orders": control.CodeWrongMethod,
		// A plan reads files that its text names: it is the socket's only.
		"/v1/plan": control.CodeUnknownPath,
	} {
		w := ask(s, "GET", target, "")
		if got := errorOf(w.Body.Bytes()); got != want || (w.Code == http.StatusOK) != (want == "") {
			t.Errorf("%s: %d with the code %q, want %q", target, w.Code, got, want)
		}
	}
}

// TestFollowedEventsEndWithTheSession also shows that they take a place.
func TestFollowedEventsEndWithTheSession(t *testing.T) {
	scene := newScene(relays())
	s := serve(t, config.Web{Users: map[string]config.Secret{"alice": hashOf(t, "right")}}, scene)
	_, cookie := signInAs(s.site, "alice", "right")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.address+"/v1/events?follow=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", cookie)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	scene.change(director.Event{Text: "news"}, func(*director.Status) {})
	lines := bufio.NewScanner(response.Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), "news") {
		t.Fatalf("%s: %q, %v", response.Status, lines.Text(), lines.Err())
	}
	s.streams.mu.Lock()
	taken := s.streams.taken
	s.streams.mu.Unlock()
	if taken != 1 {
		t.Errorf("%d places taken, want 1", taken)
	}
	ask(s.site, "POST", "/sign-out", "", header("Cookie", cookie))
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after signing out: %q, %v", lines.Text(), lines.Err())
	}
}
