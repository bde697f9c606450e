package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
)

func unknown(instance string) error {
	return fmt.Errorf("%w %q", director.ErrUnknownInstance, instance)
}

func (s source) GiveUp(ctx context.Context, instance string) (string, error) {
	if err := s.call("give-up", instance); err != nil {
		return "", err
	}
	select {
	case master := <-s.master:
		return master, nil
	case <-ctx.Done():
		return "", fmt.Errorf("instance %s: %w", instance, director.ErrNoTakeover)
	}
}

func (s source) SetPriority(_ context.Context, instance string, priority int) error {
	if priority == 13 {
		return errors.New("no luck")
	}
	return s.call(fmt.Sprintf("priority %d", priority), instance)
}

func newSource() source {
	return source{calls: make(chan string, 1), master: make(chan string, 1)}
}

func TestVerbs(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	s.master <- "192.0.2.2"
	master, err := GiveUp(t.Context(), path, "mail", time.Minute)
	if got := <-s.calls; err != nil || master != "192.0.2.2" || got != "give-up" {
		t.Errorf("give-up: %q, %v, the director was asked for %q", master, err, got)
	}
	for _, tt := range []struct {
		want string
		do   func(instance string) error
	}{
		{"hold", func(i string) error { return Hold(t.Context(), path, i) }},
		{"release", func(i string) error { return Release(t.Context(), path, i) }},
		{"priority 80", func(i string) error { return SetPriority(t.Context(), path, i, 80) }},
		{"priority 0", func(i string) error { return SetPriority(t.Context(), path, i, 0) }},
	} {
		if err := tt.do("mail"); err != nil {
			t.Errorf("%s: %v", tt.want, err)
		} else if got := <-s.calls; got != tt.want {
			t.Errorf("the director was asked for %q, want %q", got, tt.want)
		}
		// A name that must be escaped arrives as it is.
		wantCode(t, tt.want, tt.do("a/b ?"), CodeUnknownInstance, `"a/b ?"`)
	}
	_, err = GiveUp(t.Context(), path, "absent", time.Minute)
	wantCode(t, "give-up of an unknown instance", err, CodeUnknownInstance, "absent")
	wantCode(t, "owner's priority", SetPriority(t.Context(), path, "mail", 255), CodeBadRequest, "255")
	wantCode(t, "failure", SetPriority(t.Context(), path, "mail", 13), CodeFailed, "no luck")
	_, err = GiveUp(t.Context(), path, "mail", 2*time.Hour)
	wantCode(t, "give-up without end", err, CodeBadRequest, "1h0m0s")
	if _, err := GiveUp(t.Context(), path+"x", "mail", time.Minute); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
}

func wantCode(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	if refused := (*Error)(nil); !errors.As(err, &refused) || refused.Code != code || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %#v, want code %s and %s", what, err, code, text)
	}
}

// TestGiveUpOutlastsOtherRequests: what bounds a request, here 10 ms, does not
// bound a wait for another MASTER.
func TestGiveUpOutlastsOtherRequests(t *testing.T) {
	const timeout = 10 * time.Millisecond
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return serve(ctx, l, s, timeout) })
	_, err := GiveUp(t.Context(), path, "mail", 20*timeout)
	<-s.calls
	wantCode(t, "nobody took over", err, CodeNoTakeover, "mail")

	type answer struct {
		master string
		err    error
	}
	answers := make(chan answer)
	go func() {
		master, err := GiveUp(t.Context(), path, "mail", time.Minute)
		answers <- answer{master, err}
	}()
	<-s.calls
	<-time.After(20 * timeout)
	s.master <- "192.0.2.2"
	if got := <-answers; got.err != nil || got.master != "192.0.2.2" {
		t.Errorf("after a long wait: %+v", got)
	}
}

// TestGiveUpEndsWithTheDaemon: a daemon that ends does not wait for one that
// waits.
func TestGiveUpEndsWithTheDaemon(t *testing.T) {
	s := newSource()
	path, stop := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	failed := make(chan error)
	go func() {
		_, err := GiveUp(t.Context(), path, "mail", time.Hour)
		failed <- err
	}()
	<-s.calls
	stop()
	if err := <-failed; err == nil {
		t.Error("give-up succeeded")
	}
}

func TestBadRequests(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		want                       string
	}{
		{"not JSON", http.MethodPost, "mail/priority", "80", http.StatusBadRequest, CodeBadRequest},
		{"unknown field", http.MethodPost, "mail/priority", `{"prio": 80}`, http.StatusBadRequest, CodeBadRequest},
		{"two values", http.MethodPost, "mail/priority", `{"priority": 80} {}`, http.StatusBadRequest, CodeBadRequest},
		{"too long", http.MethodPost, "mail/give-up", `{"timeout": "` + strings.Repeat("0", bodyLimit) + `1s"}`, http.StatusBadRequest, CodeBadRequest},
		{"no timeout", http.MethodPost, "mail/give-up", `{}`, http.StatusBadRequest, CodeBadRequest},
		{"a question, not an order", http.MethodGet, "mail/hold", "", http.StatusMethodNotAllowed, CodeWrongMethod},
		{"unknown verb", http.MethodPost, "mail/explode", "", http.StatusNotFound, CodeUnknownPath},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://lvsd"+vrrpPath+tt.target, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			response, err := client(path).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%s %s, %v", response.Status, body, err)
			}
		})
	}
	if len(s.calls) > 0 {
		t.Errorf("the director was asked for %q", <-s.calls)
	}
}
