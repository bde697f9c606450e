package probe

import (
	"bufio"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHTTPValidate(t *testing.T) {
	const md5sum = "d41d8cd98f00b204e9800998ecf8427e"
	one := func(change func(*HTTPRequest)) HTTP {
		r := HTTPRequest{Path: "/", Status: "200"}
		change(&r)
		return HTTP{Requests: ListOf(r)}
	}
	all := func(change func(*HTTP)) HTTP {
		k := web
		change(&k)
		return k
	}
	header := func(lines ...string) HTTP {
		return one(func(r *HTTPRequest) { r.Headers = ListOf(lines...) })
	}
	for name, test := range map[string]struct {
		kind HTTP
		want string
	}{
		"least": {web, ""},
		"most": {all(func(k *HTTP) {
			*k = HTTP{Secure: true, Version: "2", Host: "[2001:db8::1]:443", Username: "a", Password: "b:c", Follow: 10, Requests: web.Requests}
		}), ""},
		"no request":        {HTTP{}, "no request"},
		"version":           {all(func(k *HTTP) { k.Version = "3" }), `HTTP version "3" must be 1.0, 1.1 or 2`},
		"version 2.0":       {all(func(k *HTTP) { k.Version = "2.0" }), `HTTP version "2.0" must be 1.0, 1.1 or 2`},
		"follow":            {all(func(k *HTTP) { k.Follow = 11 }), "redirects to follow must be 0..10, got 11"},
		"follow less":       {all(func(k *HTTP) { k.Follow = -1 }), "redirects to follow must be 0..10, got -1"},
		"host URL":          {all(func(k *HTTP) { k.Host = "http://a/" }), `host "http://a/" must be a name, or a name and a port`},
		"host line":         {all(func(k *HTTP) { k.Host = "a\r\nX: y" }), `must be a name, or a name and a port`},
		"host user":         {all(func(k *HTTP) { k.Host = "a@b" }), `host "a@b" must be`},
		"password alone":    {all(func(k *HTTP) { k.Password = "x" }), "a password needs a username"},
		"colon":             {all(func(k *HTTP) { k.Username = "a:b" }), `username "a:b" must have no colon and no control characters`},
		"user line":         {all(func(k *HTTP) { k.Username = "a\n" }), `must have no colon and no control characters`},
		"password line":     {all(func(k *HTTP) { k.Username, k.Password = "a", "b\n" }), "password must have no control characters"},
		"path":              {one(func(r *HTTPRequest) { r.Path = "x" }), `request of "x": path "x" must start with / and be printable ASCII without spaces`},
		"path empty":        {one(func(r *HTTPRequest) { r.Path = "" }), `path "" must start with /`},
		"path line":         {one(func(r *HTTPRequest) { r.Path = "/ HTTP/1.1\r\nX: y" }), "must start with / and be printable ASCII without spaces"},
		"path umlaut":       {one(func(r *HTTPRequest) { r.Path = "/\u00fc" }), "must start with / and be printable ASCII"},
		"path star":         {one(func(r *HTTPRequest) { r.Path = "*" }), `path "*" must start with /`},
		"path star, asked":  {one(func(r *HTTPRequest) { r.Path, r.Method = "*", "OPTIONS" }), ""},
		"too long":          {one(func(r *HTTPRequest) { r.Path = "/" + strings.Repeat("x", 8192) }), "path and headers must have at most 8192 bytes, got 8193"},
		"method":            {one(func(r *HTTPRequest) { r.Method = "G T" }), `method "G T" must be GET, HEAD, OPTIONS, POST or another but CONNECT`},
		"method CONNECT":    {one(func(r *HTTPRequest) { r.Method = "CONNECT" }), `method "CONNECT" must be`},
		"method small":      {one(func(r *HTTPRequest) { r.Method = "head" }), `method "head" must be in capitals: HEAD`},
		"method line":       {one(func(r *HTTPRequest) { r.Method = "GET\r\n" }), "must be GET, HEAD"},
		"method of others":  {one(func(r *HTTPRequest) { r.Method = "VERSION-CONTROL" }), ""},
		"status":            {one(func(r *HTTPRequest) { r.Status = "2xx" }), `"2xx" is not a status code`},
		"header":            {header("X-Ok: a b \u00fc"), ""},
		"header no colon":   {header("X-Ok"), `header "X-Ok" must be "Name: value"`},
		"header no name":    {header(": x"), `header ": x" must be "Name: value"`},
		"header space":      {header("X Y: x"), `must be "Name: value"`},
		"header line":       {header("X: y\r\nHost: z"), "header X must be one line without control characters"},
		"header bare LF":    {header("X: y\nHost: z"), "header X must be one line without control characters"},
		"header NUL":        {header("X: y\x00"), "header X must be one line"},
		"header Host":       {header("HOST: z"), "header Host has an option of its own: host"},
		"header length":     {header("content-length: 1"), "header content-length is set by the probe itself"},
		"header chunked":    {header("Transfer-Encoding: chunked"), "is set by the probe itself"},
		"authorization":     {header("Authorization: Bearer x"), ""},
		"two of them":       {all(func(k *HTTP) { k.Username, k.Requests = "a", header("authorization: x").Requests }), "a username and a header Authorization: one of them"},
		"regex":             {one(func(r *HTTPRequest) { r.Regex = "a(" }), "regex must be a regular expression in RE2 syntax: error parsing regexp: missing closing )"},
		"not regex":         {one(func(r *HTTPRequest) { r.NotRegex = "(?=a)" }), "not_regex must be a regular expression in RE2 syntax"},
		"md5":               {one(func(r *HTTPRequest) { r.Digest = "md5:" + strings.ToUpper(md5sum) }), ""},
		"md5 of keepalived": {one(func(r *HTTPRequest) { r.Digest = md5sum }), `must begin with "md5:" or "sha256:"`},
		"md5 short":         {one(func(r *HTTPRequest) { r.Digest = "md5:00" }), `digest "md5:00" must be "md5:" and 32 hexadecimal digits`},
		"sha256 of md5":     {one(func(r *HTTPRequest) { r.Digest = "sha256:" + md5sum }), `must be "sha256:" and 64 hexadecimal digits`},
		"digest of others":  {one(func(r *HTTPRequest) { r.Digest = "sha1:00" }), `must begin with "md5:" or "sha256:"`},
		"HEAD and body":     {one(func(r *HTTPRequest) { r.Method, r.Contains = "HEAD", "x" }), "the reply to HEAD has no body to look at"},
		"HEAD and no body":  {one(func(r *HTTPRequest) { r.Method = "HEAD" }), ""},
	} {
		t.Run(name, func(t *testing.T) { expectError(t, test.kind.Validate(), test.want) })
	}
	both := all(func(k *HTTP) { k.Version, k.Follow = "3", 99 }).Validate()
	expectError(t, both, "HTTP version")
	expectError(t, both, "redirects to follow")
}

// Whatever passes Validate, a server reads exactly one request, with the fields
// that were meant.
func TestHTTPNoInjection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("aA1/:. \t\r\n\x00-*\u00fc")), 0, 12, -1)
		k := HTTP{
			Version: rapid.SampledFrom([]string{"1.0", "1.1"}).Draw(t, "version"), Host: text.Draw(t, "host"),
			Username: text.Draw(t, "username"), Password: text.Draw(t, "password"),
			Requests: ListOf(HTTPRequest{
				Path: "/" + text.Draw(t, "path"), Method: rapid.SampledFrom([]string{"", "GET", "POST", "G\r\n"}).Draw(t, "method"), Status: "200",
				Headers: ListOf("X-" + text.Draw(t, "header")),
			}),
		}
		if k.Validate() != nil {
			return
		}
		r := k.Requests.Values()[0]
		var b strings.Builder
		call := k.call(netip.MustParseAddrPort("192.0.2.1:80"), r)
		if err := call.write(&b, k.protocol()); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(strings.NewReader(b.String()))
		got, err := http.ReadRequest(reader)
		if err != nil || reader.Buffered() > 0 {
			t.Fatalf("%q reads as %v, %v, with %d bytes left", b.String(), got, err, reader.Buffered())
		}
		want := 4 // User-Agent, Accept, Connection, the one of the request
		if k.Username != "" {
			want++
		}
		if got.ContentLength == 0 && got.Method == "POST" {
			want++
		}
		if len(got.Header) != want || got.RequestURI != r.Path {
			t.Fatalf("%q reads as %q with %v", b.String(), got.RequestURI, got.Header)
		}
	})
}
