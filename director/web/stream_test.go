package web

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// listening is a stream as a program reads it.
type listening struct {
	testing.TB
	body  io.Closer
	lines *bufio.Scanner
}

func listen(t testing.TB, address, cookie string) *listening {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", cookie)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("stream: %s %v", response.Status, response.Header)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 32<<20)
	return &listening{t, response.Body, lines}
}

// next reads an event, and reports false at the end.
func (l *listening) next() (kind string, data []byte, ok bool) {
	l.Helper()
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "data":
			data = []byte(value)
		case "":
			if kind != "" {
				return kind, data, true
			}
		default:
			l.Fatalf("line %q is none of an event", l.lines.Text())
		}
	}
	return "", nil, false
}

// until reads events up to one of the kind that is right, or the end.
func (l *listening) until(kind string, right func(data []byte) bool) {
	l.Helper()
	for {
		got, data, ok := l.next()
		if !ok {
			l.Fatalf("the stream ended before %s", kind)
		}
		if !json.Valid(data) {
			l.Fatalf("%s: not JSON: %.200s", got, data)
		}
		if got == kind && right(data) {
			return
		}
	}
}

func has(text string) func([]byte) bool {
	return func(data []byte) bool { return strings.Contains(string(data), text) }
}

func TestStreamTellsAllAndThenChanges(t *testing.T) {
	scene := newScene(relays())
	scene.change(director.Event{Kind: director.EventStarted, Text: "a line\nand event: false\n\ndata: x"}, func(*director.Status) {})
	s := serve(t, config.Web{}, scene)
	l := listen(t, s.address, "")
	l.until("hello", has(build()))
	l.until("node", has("master"))
	l.until("services", func(data []byte) bool {
		var news serviceNews
		err := json.Unmarshal(data, &news)
		return err == nil && news.All && len(news.Order) == 3 && len(news.Changed[0].Servers) == 4
	})
	l.until("traffic", has("192.0.2.11:25"))
	l.until("events", func(data []byte) bool { return has(`"all":true`)(data) && has(`a line\nand event: false`)(data) })
	scene.change(director.Event{Kind: director.EventServerDown, Text: "gone"}, func(status *director.Status) {
		down(&status.Services[1].RealServers[0], time.Now())
	})
	l.until("services", func(data []byte) bool {
		var news serviceNews
		err := json.Unmarshal(data, &news)
		return err == nil && !news.All && news.Order == nil && len(news.Changed) == 1 && len(news.Changed[0].Servers) == 1 &&
			news.Changed[0].Service == nil && news.Changed[0].Servers[0].State == "down"
	})
	l.until("events", func(data []byte) bool { return has("gone")(data) && !has("a line")(data) })
}

// TestNothingIsAskedWhileNobodyLooks also shows that a new browser gets what is true
// then.
func TestNothingIsAskedWhileNobodyLooks(t *testing.T) {
	scene := newScene(relays())
	s := serve(t, config.Web{}, scene)
	scene.change(director.Event{Text: "first"}, func(*director.Status) {})
	l := listen(t, s.address, "")
	l.until("node", has("relay1"))
	_ = l.body.Close()
	s.untilListeners(t, 0)
	scene.mu.Lock()
	scene.status.RouterID = "renamed"
	scene.mu.Unlock()
	l = listen(t, s.address, "")
	l.until("node", func(data []byte) bool {
		if has("relay1 ")(data) {
			t.Error("a new browser is told what was")
		}
		return has("renamed")(data)
	})
}

func (s *served) untilListeners(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s.live.mu.Lock()
		n := len(s.live.listeners)
		s.live.mu.Unlock()
		if n == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d listeners, want %d", n, want)
		}
		runtime.Gosched()
	}
}

func TestStreamsAreBounded(t *testing.T) {
	s := serve(t, config.Web{}, newScene(relays()))
	for range streamLimit {
		listen(t, s.address, "").until("hello", has(""))
	}
	response, err := http.Get("http://" + s.address + "/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %s %v", response.Status, response.Header)
	}
}

func TestStreamsEndWithTheSite(t *testing.T) {
	s := serve(t, config.Web{}, newScene(relays()))
	l := listen(t, s.address, "")
	l.until("node", has(""))
	began := time.Now()
	s.end()
	if took := time.Since(began); took > graceful {
		t.Errorf("the end took %v: a stream held it up", took)
	}
	for {
		if _, _, ok := l.next(); !ok {
			return
		}
	}
}

func TestStreamEndsWithItsSession(t *testing.T) {
	users := map[string]config.Secret{"alice": hashOf(t, "right")}
	s := serve(t, config.Web{Users: users}, newScene(relays()))
	_, cookie := signInAs(s.site, "alice", "right")
	l := listen(t, s.address, cookie)
	l.until("node", has(""))
	if w := ask(s.site, "POST", "/sign-out", "", header("Cookie", cookie)); w.Code != http.StatusSeeOther {
		t.Fatal(w.Code)
	}
	for {
		if _, _, ok := l.next(); !ok {
			return
		}
	}
}

// TestStuckBrowserIsLeft: one that takes nothing is dropped when it is too far behind,
// while another one is told as before.
func TestStuckBrowserIsLeft(t *testing.T) {
	t.Parallel()
	status := crowd(50)
	for i := range status.Services { // more than the kernel keeps for a connection
		status.Services[i].Scheduler = strings.Repeat("y", 300_000)
	}
	scene := newScene(status)
	s := serve(t, config.Web{}, scene)
	stuck, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stuck.Close() }()
	_ = stuck.(*net.TCPConn).SetReadBuffer(1 << 10)
	if _, err := io.WriteString(stuck, "GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	s.untilListeners(t, 1)
	l := listen(t, s.address, "")
	told := make(chan struct{}, 1000)
	go func() {
		defer close(told)
		for {
			if kind, _, ok := l.next(); !ok {
				return
			} else if kind == "events" {
				told <- struct{}{}
			}
		}
	}()
	deadline := time.After(patience)
	for round := 0; ; round++ {
		scene.change(director.Event{Text: "news"}, func(status *director.Status) { status.PID = round })
		select {
		case <-told:
		case <-deadline:
			t.Fatal("the other browser is not told")
		}
		s.live.mu.Lock()
		left := len(s.live.listeners) == 1
		s.live.mu.Unlock()
		if left {
			_ = l.body.Close()
			for range told {
			}
			return
		}
	}
}

func TestSlowListenerIsDropped(t *testing.T) {
	scene := newScene(relays())
	var l live
	l.init(scene, quietLog())
	one := l.join()
	view := newView()
	for i := range queueLimit + 1 {
		scene.change(director.Event{Text: "news"}, func(status *director.Status) { status.PID = i })
		l.events = scene.Events(0)
		l.tell(t.Context(), view)
	}
	if !l.idle() {
		t.Error("a listener that takes nothing is kept")
	}
	got := 0
	for range one.rounds {
		got++
	}
	if got != queueLimit {
		t.Errorf("%d rounds were kept, want %d", got, queueLimit)
	}
	l.leave(one) // once more is no fault
}
