package alert

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

func TestWebhook(t *testing.T) {
	var request *http.Request
	var got post
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		request = r
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	w := newWebhook(config.WebhookAlert{URL: server.URL + "/hook?key=s3cret", Headers: map[string]config.Secret{"X-Token": "abc"}})
	e := down(7)
	e.Node = "relay1"
	if err := w.send(t.Context(), batch{Events: []director.Event{e}, LeftOut: 2}); err != nil {
		t.Fatal(err)
	}
	if got.Schema != "lvsd.alert/1" || got.Node != "relay1" || len(got.Events) != 1 || got.Events[0].Seq != 7 || got.LeftOut != 2 {
		t.Errorf("posted %+v", got)
	}
	for header, want := range map[string]string{"X-Token": "abc", "Content-Type": "application/json"} {
		if value := request.Header.Get(header); value != want {
			t.Errorf("%s: %q, want %q", header, value, want)
		}
	}
	if request.Method != http.MethodPost || request.URL.Path != "/hook" {
		t.Errorf("%s %s", request.Method, request.URL)
	}
}

func TestWebhookAnswers(t *testing.T) {
	for _, test := range []struct {
		status int
		header string
		final  bool
		after  time.Duration
	}{
		{status: 204},
		{status: 429, header: "120", after: 2 * time.Minute},
		{status: 503},
		{status: 408},
		{status: 404, final: true},
		{status: 302, final: true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				t.Errorf("%d: followed to %s", test.status, r.URL)
			}
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", test.header)
			w.WriteHeader(test.status)
		}))
		err := newWebhook(config.WebhookAlert{URL: server.URL + "/"}).send(t.Context(), batch{Events: []director.Event{down(1)}})
		server.Close()
		var refused refusal
		var wait later
		switch {
		case (err == nil) != (test.status < 300):
			t.Errorf("%d: %v", test.status, err)
		case errors.As(err, &refused) != test.final:
			t.Errorf("%d: %v, final is %v", test.status, err, !test.final)
		case errors.As(err, &wait) && wait.after != test.after:
			t.Errorf("%d: again after %v, want %v", test.status, wait.after, test.after)
		}
	}
}

// TestWebhookTrustsNobody: a certificate of unknown origin is not accepted, and
// errors do not show the URL, which may have a secret.
func TestWebhookTrustsNobody(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("was told") }))
	server.Config.ErrorLog = (&journal{}).standard()
	server.StartTLS()
	defer server.Close()
	err := newWebhook(config.WebhookAlert{URL: server.URL + "/s3cret"}).send(t.Context(), batch{Events: []director.Event{down(1)}})
	if err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error %v", err)
	}
}
