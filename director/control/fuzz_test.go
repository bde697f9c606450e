package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/director"
)

// obedient does whatever it is told, and tells of nothing.
type obedient struct{}

func (obedient) Status() director.Status { return director.Status{} }
func (obedient) Explain(string, string) (director.Explanation, error) {
	return director.Explanation{}, director.ErrUnknownServer
}

func (obedient) GiveUp(context.Context, string) (string, error)                 { return "192.0.2.1", nil }
func (obedient) Hold(context.Context, string) error                             { return nil }
func (obedient) Release(context.Context, string) error                          { return nil }
func (obedient) SetPriority(context.Context, string, int) error                 { return nil }
func (obedient) Confirm(context.Context) error                                  { return nil }
func (obedient) Events(uint64) []director.Event                                 { return nil }
func (obedient) Traffic(context.Context) (_ director.Traffic, _ error)          { return }
func (obedient) ExplainService(string) (_ director.ServiceExplanation, _ error) { return }
func (obedient) ExplainInstance(string) (_ director.InstanceExplanation, _ error) {
	return
}

func (obedient) Plan(_ context.Context, request PlanRequest) (director.Preview, error) {
	if request.Text == "" {
		return director.Preview{}, &Error{CodeInvalidFile, "empty"}
	}
	return director.Preview{}, nil
}

func (obedient) Order(context.Context, director.Order) (_ director.Spread, _ error) { return }

func (obedient) Clear(context.Context, director.Target, string) (_ director.Spread, _ error) {
	return
}

func (obedient) Maintenance(context.Context, director.MaintenanceOrder) (_ director.Spread, _ error) {
	return
}

func (obedient) CheckNow(context.Context, string, string) (director.Explanation, error) {
	return director.Explanation{}, errors.New("not now")
}

func (obedient) FollowEvents(context.Context, uint64, func([]director.Event) error) error {
	return nil
}

func (obedient) Reload(context.Context, ReloadRequest) (_ ReloadAnswer, _ error) { return }

// patient is a recorder that may be told of deadlines, as a connection may.
type patient struct{ *httptest.ResponseRecorder }

func (p patient) SetReadDeadline(_ time.Time) error  { return nil }
func (p patient) SetWriteDeadline(_ time.Time) error { return nil }

// FuzzRequest: whatever is asked, by whoever may ask, the answer is JSON with a
// status that fits, and nothing panics.
func FuzzRequest(f *testing.F) {
	for _, one := range routes(obedient{}) {
		f.Add(one.Method, strings.NewReplacer("{instance}", "mail", "{name}", "a%2Fb").Replace(one.Path), "{}")
	}
	f.Add("POST", vrrpPath+"mail/priority", `{"priority": 254}`)
	f.Add("POST", ordersPath, `{"target":{"service":"smtp","server":"192.0.2.1:25"},"state":"drain"}`)
	f.Add("POST", planPath, `{"name":"x","text":"[[vrrp]]"} {}`)
	f.Add("GET", explainPath+"?server=192.0.2.1:25&service=%zz", "")
	f.Add("GET", eventsPath+"?after=18446744073709551616", "")
	f.Add("PUT", "/v1//../status", "\xff")
	mux := http.NewServeMux()
	for _, one := range routes(obedient{}) {
		mux.Handle(one.Pattern(), one.Handler)
	}
	handler := admit(Known(mux))
	f.Fuzz(func(t *testing.T, method, target, body string) {
		ctx := context.WithValue(WithDaemon(t.Context()), peerKey{}, peer{})
		r, err := http.NewRequestWithContext(ctx, method, "http://lvsd"+target, strings.NewReader(body))
		if err != nil {
			return
		}
		w := patient{httptest.NewRecorder()}
		handler.ServeHTTP(w, r)
		switch status := w.Code; {
		case status >= 300 && status < 400: // to the shortest form of the path
		case status < 200 || status > 599:
			t.Errorf("%s %q: status %d", method, target, status)
		case strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()):
			t.Errorf("%s %q: %q", method, target, w.Body)
		}
	})
}
