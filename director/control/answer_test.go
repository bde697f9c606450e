package control

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"
)

// TestWhatIsNotThereIsAnError: other paths and methods are refused as all else is.
func TestWhatIsNotThereIsAnError(t *testing.T) {
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, newSource()) })
	for _, tt := range []struct {
		method, target, code string
		status               int
		allow                string
	}{
		{http.MethodGet, "/v1/nowhere", CodeUnknownPath, http.StatusNotFound, ""},
		{http.MethodGet, "/", CodeUnknownPath, http.StatusNotFound, ""},
		{http.MethodPost, "/v1/status", CodeWrongMethod, http.StatusMethodNotAllowed, "GET, HEAD"},
		{http.MethodGet, "/v1/orders", CodeWrongMethod, http.StatusMethodNotAllowed, "POST"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, "http://lvsd"+tt.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client(path).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		var body errorBody
		err = json.NewDecoder(response.Body).Decode(&body)
		_ = response.Body.Close()
		if err != nil || body.Error == nil || body.Error.Code != tt.code || body.Error.Message == "" ||
			response.StatusCode != tt.status || response.Header.Get("Allow") != tt.allow {
			t.Errorf("%s %s: %s, Allow %q, %+v, %v", tt.method, tt.target, response.Status, response.Header.Get("Allow"), body.Error, err)
		}
	}
}
