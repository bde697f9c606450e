package control

import (
	"bytes"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/lvsd/lvsd/director"
)

var update = flag.Bool("update", false, "rewrite openapi.json; commit it only if you understand every change")

// TestOpenAPIIsCurrent: the document is made of the routes, the types and their
// comments, and has each route.
func TestOpenAPIIsCurrent(t *testing.T) {
	want := document(t)
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(want, OpenAPI()) {
		t.Error("openapi.json is old: go test ./director/control -run TestOpenAPIIsCurrent -update")
	}
}

func loadOpenAPI(t *testing.T) *openapi3.T {
	t.Helper()
	loaded, err := openapi3.NewLoader().LoadFromData(OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return loaded
}

// TestOpenAPIHasEveryRoute compares the document with the routes both ways, by itself
// and not by the code that wrote it.
func TestOpenAPIHasEveryRoute(t *testing.T) {
	registered := map[string]bool{}
	for _, one := range routes(nil) {
		registered[one.Method+" "+one.Path] = true
	}
	for path, item := range loadOpenAPI(t).Paths.Map() {
		for method, operation := range item.Operations() {
			if !registered[method+" "+path] {
				t.Errorf("%s %s is in the document and not answered", method, path)
			}
			delete(registered, method+" "+path)
			if operation.Summary == "" {
				t.Errorf("%s %s has no summary", method, path)
			}
		}
	}
	for route := range registered {
		t.Errorf("%s is not in the document", route)
	}
}

// TestAnswersAreAsTheDocumentSays asks for everything over a socket, well and badly,
// and holds each answer to the document.
func TestAnswersAreAsTheDocumentSays(t *testing.T) {
	s := newSource()
	s.calls = make(chan string, 16)
	s.status = fullStatus()
	s.master <- "192.0.2.2"
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	router, err := legacy.NewRouter(loadOpenAPI(t))
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, tt := range []struct {
		method, target, body string
		status               int
	}{
		{http.MethodGet, "/v1/status", "", 200},
		{http.MethodGet, "/v1/traffic", "", 200},
		{http.MethodGet, "/v1/events", "", 200},
		{http.MethodGet, "/v1/events?after=x", "", 400},
		{http.MethodGet, "/v1/explain?server=192.0.2.1:25", "", 200},
		{http.MethodGet, "/v1/explain?server=absent", "", 404},
		{http.MethodGet, "/v1/explain/instance/mail", "", 200},
		{http.MethodGet, "/v1/explain/instance/absent", "", 404},
		{http.MethodGet, "/v1/explain/service/smtp", "", 200},
		{http.MethodGet, "/v1/explain/service/absent", "", 404},
		{http.MethodGet, "/v1/openapi.json", "", 200},
		{http.MethodPost, "/v1/plan", `{"name": "lvsd.toml", "text": "x"}`, 200},
		{http.MethodPost, "/v1/plan", `{"name": "lvsd.toml", "text": "broken"}`, 400},
		{http.MethodPost, "/v1/vrrp/mail/give-up", `{"timeout": "1m"}`, 200},
		{http.MethodPost, "/v1/vrrp/mail/hold", "", 200},
		{http.MethodPost, "/v1/vrrp/mail/release", "", 200},
		{http.MethodPost, "/v1/vrrp/mail/priority", `{"priority": 80}`, 200},
		{http.MethodPost, "/v1/vrrp/absent/priority", `{"priority": 80}`, 404},
		{http.MethodPost, "/v1/orders", `{"target": {"service": "smtp", "server": "192.0.2.1:25"}, "state": "drain"}`, 200},
		{http.MethodPost, "/v1/orders", `{"target": {"service": "absent"}, "state": "drain"}`, 404},
		{http.MethodPost, "/v1/orders/clear", `{"target": {"service": "smtp"}}`, 200},
		{http.MethodPost, "/v1/maintenance", `{"on": true}`, 200},
		{http.MethodPost, "/v1/check", `{"server": "192.0.2.1:25"}`, 200},
		{http.MethodPost, "/v1/reload", `{"confirm_ns": 1}`, 200},
		{http.MethodPost, "/v1/reload", `{"confirm_ns": 13}`, 409},
		{http.MethodPost, "/v1/reload/confirm", "", 409},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://lvsd"+tt.target, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		found, variables, err := router.FindRoute(r)
		if err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.target, err)
			continue
		}
		response, err := client(path).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != tt.status {
			t.Errorf("%s %s: %s, want %d: %s, %v", tt.method, tt.target, response.Status, tt.status, body, err)
		}
		if tt.status == 200 {
			asked[found.Method+" "+found.Path] = true
		}
		input := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: variables, Route: found},
			Status:                 response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(body)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		}
		if err := openapi3filter.ValidateResponse(t.Context(), input); err != nil {
			t.Errorf("%s %s: %v", tt.method, tt.target, err)
		}
	}
	for _, one := range routes(nil) {
		if key := one.Method + " " + one.Path; !asked[key] && one.Path != confirmPath {
			t.Errorf("%s was not asked for with success", key)
		}
	}
}

// fullStatus has something in every field, so that each is held to its schema.
func fullStatus() director.Status {
	var s director.Status
	fill(&s)
	return s
}
