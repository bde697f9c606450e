package metrics

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
)

// started serves s on loopback until the test ends, and returns the address.
func started(t *testing.T, c config.Metrics, s Source) string {
	t.Helper()
	listener, err := net.Listen("tcp", loopback.String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, c, s, quiet()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// scrape asks as a client with the source address.
func scrape(t *testing.T, method, from, url string) (code int, body string) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestServe(t *testing.T) {
	url := "http://" + started(t, config.Metrics{}, full())
	code, body := scrape(t, "GET", "127.0.0.1", url+Path)
	if code != http.StatusOK {
		t.Fatalf("%d %s", code, body)
	}
	for _, want := range []string{"lvsd_vrrp_state{", "go_goroutines ", "process_resident_memory_bytes "} {
		if !strings.Contains(body, "\n"+want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(body, "keepalived_") {
		t.Error("keepalived's names, without being asked for")
	}
	promtool(t, []byte(body), "check", "metrics")
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/", http.StatusNotFound},
		{"GET", "/debug/pprof/", http.StatusNotFound},
		{"POST", Path, http.StatusMethodNotAllowed},
	} {
		if code, _ := scrape(t, test.method, "127.0.0.1", url+test.path); code != test.want {
			t.Errorf("%s %s: %d, want %d", test.method, test.path, code, test.want)
		}
	}
}

// TestAllow: who is not allowed is told nothing.
func TestAllow(t *testing.T) {
	c := config.Metrics{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32"), netip.MustParsePrefix("2001:db8::/32")}}
	url := "http://" + started(t, c, full()) + Path
	if code, body := scrape(t, "GET", "127.0.0.2", url); code != http.StatusOK || !strings.Contains(body, "lvsd_vrrp_state") {
		t.Errorf("allowed: %d", code)
	}
	if code, body := scrape(t, "GET", "127.0.0.1", url); code != http.StatusForbidden || strings.Contains(body, "lvsd_") {
		t.Errorf("not allowed: %d %s", code, body)
	}
}

// TestServeRefusesWhatIsTaken: that it cannot listen is an error, not silence.
func TestServeRefusesWhatIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", loopback.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	taken := netip.MustParseAddrPort(listener.Addr().String())
	if err := Serve(t.Context(), config.Metrics{Listen: taken}, full(), quiet()); err == nil || !strings.Contains(err.Error(), taken.String()) {
		t.Errorf("got %v", err)
	}
}

// TestServeNowhere: without an address nothing is listened on.
func TestServeNowhere(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Serve(ctx, config.Metrics{}, full(), quiet()); err != nil {
		t.Error(err)
	}
}

// TestLargeHeader: a client cannot make lvsd keep what it sends.
func TestLargeHeader(t *testing.T) {
	url := "http://" + started(t, config.Metrics{}, full()) + Path
	request, err := http.NewRequestWithContext(t.Context(), "GET", url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Large", strings.Repeat("x", 64<<10))
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", answer.StatusCode)
	}
}

// BenchmarkScrape is of 1,000 virtual services with ten real servers each.
func BenchmarkScrape(b *testing.B) {
	handler := newHandler(config.Metrics{}, large(1000, 10), quiet())
	for b.Loop() {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest("GET", Path, http.NoBody))
		b.ReportMetric(float64(answer.Body.Len()), "bytes/scrape")
		if answer.Code != http.StatusOK {
			b.Fatal(answer.Code)
		}
	}
}
