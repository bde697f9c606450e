package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director"
)

func (s source) Explain(server, service string) (director.Explanation, error) {
	switch {
	case server == "absent":
		return director.Explanation{}, fmt.Errorf("%w: %q", director.ErrUnknownServer, server)
	case service == "absent":
		return director.Explanation{}, fmt.Errorf("%w: %q", director.ErrUnknownService, service)
	}
	return s.explanation(server, service), nil
}

// explanation tells the request, and has text that is not for HTML.
func (s source) explanation(server, service string) director.Explanation {
	told := 0
	result := director.ResultExplanation{
		At: time.Unix(1, 0).UTC(), Code: "L7OK", Reason: "<220>", Transcript: "> EHLO\n< 250 \"ä\"\n", Told: &told, Tries: 2,
	}
	return director.Explanation{
		Schema: "lvsd.explain/1", At: time.Unix(2, 0).UTC(), Asked: server,
		CheckNotices: []director.CheckNoticeStatus{{Kind: "held", Reason: "half of all"}},
		Servers: []director.ServerExplanation{{
			Service: service, State: "up", Because: 0,
			Checks: []director.CheckExplanation{{
				CheckStatus: director.CheckStatus{Kind: "smtp", Told: &told}, Interval: time.Second,
				Last: &result, History: []director.ResultExplanation{result},
			}},
			Weight: director.WeightExplanation{Configured: 7, Told: &told},
			Places: []director.PlaceExplanation{{Service: "tcp 192.0.2.1:25", Kernel: -1}},
		}},
	}
}

func TestExplainOverTheSocket(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	for _, server := range []string{"192.0.2.1:25", "[2001:db8::1]:25", "a b&service=c?#%"} {
		for _, service := range []string{"", "my service & more"} {
			got, err := Explain(t.Context(), path, server, service)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s.explanation(server, service), got); diff != "" {
				t.Errorf("%q in %q (-want +got):\n%s", server, service, diff)
			}
		}
	}
	_, err := Explain(t.Context(), path, "absent", "")
	wantCode(t, "an unknown server", err, CodeUnknownServer, `no such real server: "absent"`)
	_, err = Explain(t.Context(), path, "x", "absent")
	wantCode(t, "an unknown service", err, CodeUnknownService, "absent")
	_, err = Explain(t.Context(), path, "", "")
	wantCode(t, "no server", err, CodeBadRequest, "no parameter server")
	if _, err := Explain(t.Context(), path+"x", "x", ""); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
}

func TestExplainRefusesWhatItDoesNotKnow(t *testing.T) {
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, newSource()) })
	for query, want := range map[string]string{
		"?server=x&services=y": `"services"`, "?server=%zz": "%zz", "": "no parameter server",
	} {
		response, err := client(path).Get("http://lvsd" + explainPath + query)
		if err != nil {
			t.Fatal(err)
		}
		var body errorBody
		err = json.NewDecoder(response.Body).Decode(&body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != http.StatusBadRequest || body.Error == nil ||
			body.Error.Code != CodeBadRequest || !strings.Contains(body.Error.Message, want) {
			t.Errorf("%q: %s, %+v, %v", query, response.Status, body.Error, err)
		}
	}
}
