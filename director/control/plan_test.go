package control

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvsd/lvsd/director"
)

func (s source) Plan(_ context.Context, request PlanRequest) (director.Preview, error) {
	switch request.Text {
	case "broken":
		return director.Preview{}, &Error{CodeInvalidFile, request.Name + ":1:1: not TOML"}
	case "unreadable":
		return director.Preview{}, errors.New("read the kernel's state: no luck")
	}
	return s.preview(request), nil
}

// preview tells the request and has every field set.
func (s source) preview(request PlanRequest) director.Preview {
	change := director.Change{
		Kind: director.ChangeAddress, Action: director.ActionAdd, Object: request.Name,
		After: request.Node, Command: request.Text,
	}
	return director.Preview{
		Schema: "lvsd.plan/1", Of: director.PreviewReload, Roles: map[string]string{"mail": "master"},
		Health: director.HealthDaemon, Unanswered: 3, Changes: []director.Change{change},
		Summary: director.Summary{Add: 1}, Drift: []director.Change{change}, Foreign: []string{"foreign"},
		Sysctls: []director.SysctlStatus{{Name: "a.b", Have: "0", Want: "1", Why: "because"}},
	}
}

// TestPlanOverTheSocket: what is asked arrives, and what is answered comes back,
// a large text with quotes, newlines and umlauts included.
func TestPlanOverTheSocket(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	request := PlanRequest{Name: "a/lvsd.toml", Node: "node1", Text: strings.Repeat("# \"ä\\\n<&>\x7f", 50_000)}
	got, err := Plan(t.Context(), path, request)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.preview(request), got, cmpopts.IgnoreUnexported(director.Preview{})); diff != "" {
		t.Errorf("answer (-want +got):\n%.2000s", diff)
	}
}

func TestPlanIsRefused(t *testing.T) {
	s := newSource()
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	_, err := Plan(t.Context(), path, PlanRequest{Name: "lvsd.toml", Text: "broken"})
	wantCode(t, "an invalid file", err, CodeInvalidFile, "lvsd.toml:1:1")
	_, err = Plan(t.Context(), path, PlanRequest{Text: "unreadable"})
	wantCode(t, "a kernel that cannot be read", err, CodeFailed, "no luck")
	if _, err := Plan(t.Context(), path+"x", PlanRequest{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a daemon: %v", err)
	}
	for _, body := range []string{
		"", "[]", `{"text": "x", "secret": 1}`, `{"text": "x"} {}`, strings.Repeat(" ", planLimit) + `{"text": "x"}`,
	} {
		response, err := client(path).Post("http://lvsd"+planPath, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("body %.40q: %s, %v", body, response.Status, err)
		}
	}
}

// TestPlanOutlastsOtherRequests: what bounds other requests, here 10 ms, does not
// bound one for a plan.
func TestPlanOutlastsOtherRequests(t *testing.T) {
	const timeout = 10 * time.Millisecond
	s := slowSource{newSource(), 20 * timeout}
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return serve(ctx, l, s, timeout) })
	if _, err := Plan(t.Context(), path, PlanRequest{Text: "x"}); err != nil {
		t.Error(err)
	}
}

type slowSource struct {
	source
	delay time.Duration
}

func (s slowSource) Plan(ctx context.Context, request PlanRequest) (director.Preview, error) {
	<-time.After(s.delay)
	return s.source.Plan(ctx, request)
}
