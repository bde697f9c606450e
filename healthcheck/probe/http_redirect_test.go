package probe

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
)

func TestHTTPRedirect(t *testing.T) {
	var methods atomic.Value
	methods.Store("")
	target := webServer(t, func(w http.ResponseWriter, r *http.Request) {
		methods.Store(methods.Load().(string) + r.Method + " ")
		if r.Host != "www.example" || r.Header.Get("X-Probe") != "1" {
			t.Errorf("%s at host %q with %v", r.URL, r.Host, r.Header)
		}
		if user, _, _ := r.BasicAuth(); user != "director" {
			t.Errorf("%s by %q", r.URL, user)
		}
		if r.URL.Path == "/end/" {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		code, _ := strconv.Atoi(r.URL.Query().Get("code"))
		w.Header()["Location"] = r.URL.Query()["to"]
		w.WriteHeader(code)
	})
	const end = "status 202 Accepted"
	_, port, _ := strings.Cut(target.String(), ":")
	for name, test := range map[string]struct {
		method, code, to string
		follow           int
		result           Code
		reason           string
		methods          string
	}{
		"301":                {"GET", "301", "/end/", 1, L7OK, end, "GET GET "},
		"302":                {"GET", "302", "/end/", 1, L7OK, end, "GET GET "},
		"303":                {"GET", "303", "/end/", 1, L7OK, end, "GET GET "},
		"307":                {"GET", "307", "/end/", 1, L7OK, end, "GET GET "},
		"308":                {"GET", "308", "/end/", 1, L7OK, end, "GET GET "},
		"301 of POST":        {"POST", "301", "/end/", 1, L7OK, end, "POST GET "},
		"302 of POST":        {"POST", "302", "/end/", 1, L7OK, end, "POST GET "},
		"303 of POST":        {"POST", "303", "/end/", 1, L7OK, end, "POST GET "},
		"307 of POST":        {"POST", "307", "/end/", 1, L7OK, end, "POST POST "},
		"308 of POST":        {"POST", "308", "/end/", 1, L7OK, end, "POST POST "},
		"301 of PUT":         {"PUT", "301", "/end/", 1, L7OK, end, "PUT PUT "},
		"303 of PUT":         {"PUT", "303", "/end/", 1, L7OK, end, "PUT GET "},
		"303 of HEAD":        {"HEAD", "303", "/end/", 1, L7OK, end, "HEAD HEAD "},
		"relative":           {"GET", "302", "end/", 1, L7OK, end, "GET GET "},
		"host asked for":     {"GET", "302", "http://WWW.example:80/end/", 1, L7OK, end, "GET GET "},
		"no scheme":          {"GET", "302", "//www.example/end/", 1, L7OK, end, "GET GET "},
		"target's address":   {"GET", "302", "http://" + target.String() + "/end/#here", 1, L7OK, end, "GET GET "},
		"not to be followed": {"GET", "302", "/end/", 0, L7STS, "status 302 Found", "GET "},
		"others are answers": {"GET", "300", "/end/", 1, L7STS, "status 300 Multiple Choices", "GET "},
		"304":                {"GET", "304", "/end/", 1, L7STS, "status 304 Not Modified", "GET "},
		"nowhere":            {"GET", "302", "", 1, L7STS, "status 302 Found", "GET "},
		"loop":               {"GET", "302", "", 3, L7STS, "status 302 Found, after 3 redirects", "GET GET GET GET "},
		"another scheme":     {"GET", "301", "https://www.example/end/", 1, L7STS, `status 301 Moved Permanently leads to "https://www.example/end/": another scheme`, "GET "},
		"another host":       {"GET", "302", "http://login.example/end/", 1, L7STS, `status 302 Found leads to "http://login.example/end/": another host or port`, "GET "},
		"another port":       {"GET", "302", "http://www.example:" + port + "/end/", 1, L7STS, `status 302 Found leads to "http://www.example:` + port + `/end/": another host or port`, "GET "},
		"no URL":             {"GET", "302", "http://[/", 1, L7STS, `status 302 Found leads to "http://[/": no URL`, "GET "},
		"mail":               {"GET", "302", "mailto:a@b", 1, L7STS, `status 302 Found leads to "mailto:a@b": another scheme`, "GET "},
		"opaque":             {"GET", "302", "http:end/", 1, L7STS, `status 302 Found leads to "http:end/": another host or port`, "GET "},
		"injection":          {"GET", "302", "/end/?x y", 1, L7STS, `status 302 Found leads to "/end/?x y": no path`, "GET "},
	} {
		for _, version := range httpVersions {
			t.Run(name+"/"+version, func(t *testing.T) {
				methods.Store("")
				query := "?code=" + test.code
				if test.to != "" {
					query += "&to=" + strings.NewReplacer(" ", "%20", "#", "%23", "?", "%3f").Replace(test.to)
				}
				if name == "loop" {
					query += "&to=%3fcode=302%26to=%3fcode=302%2526to=%3fcode=302%252526to=/"
				}
				k := asking(version, HTTPRequest{Path: "/" + query, Method: test.method, Headers: ListOf("X-Probe: 1")})
				k.Host, k.Follow, k.Username = "www.example", test.follow, "director"
				expectResult(t, of(k, target).Ask(t.Context()), test.result, test.reason)
				if got := methods.Load(); got != test.methods {
					t.Errorf("asked %v, want %s", got, test.methods)
				}
			})
		}
	}
}
