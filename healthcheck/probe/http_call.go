package probe

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// httpCall is a request as it is sent, whatever the version.
type httpCall struct {
	scheme, host, method, path string
	header                     []httpField
	body                       []byte // gRPC's; HTTP/2 only
}

type httpField struct{ name, value string }

// call is the request that r describes.
func (k HTTP) call(to netip.AddrPort, r HTTPRequest) httpCall {
	c := httpCall{scheme: k.Type(), host: k.hostOf(to), method: r.method(), path: r.Path}
	own := []httpField{{"User-Agent", "lvsd"}, {"Accept", "*/*"}}
	if k.Username != "" {
		secret := base64.StdEncoding.EncodeToString([]byte(k.Username + ":" + k.Password))
		own = append(own, httpField{"Authorization", "Basic " + secret})
	}
	var added []httpField
	for line := range r.Headers.All() {
		added = append(added, parseHeader(line))
	}
	for _, field := range own {
		if !slices.ContainsFunc(added, field.sameName) {
			c.header = append(c.header, field)
		}
	}
	c.header = append(c.header, added...)
	return c
}

func (r HTTPRequest) method() string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

func parseHeader(line string) httpField {
	name, value, _ := strings.Cut(line, ":")
	return httpField{name, strings.Trim(value, " \t")}
}

func (f httpField) sameName(other httpField) bool { return strings.EqualFold(f.name, other.name) }

// saysLength reports whether a request without a body must say so (RFC 9110
// 8.6).
func (c httpCall) saysLength() bool {
	switch c.method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return len(c.body) == 0
	}
	return false
}

// write sends the request in the form of HTTP/1.
func (c httpCall) write(w io.Writer, protocol string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\r\nHost: %s\r\n", c.method, c.path, protocol, c.host)
	for _, field := range c.header {
		fmt.Fprintf(&b, "%s: %s\r\n", field.name, field.value)
	}
	if c.saysLength() {
		b.WriteString("Content-Length: 0\r\n")
	}
	b.WriteString("Connection: close\r\n\r\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return dialogueFailed("request", err)
	}
	return nil
}

// tell takes the request down.
func (c httpCall) tell(said *transcript, protocol string) {
	said.sent(c.method + " " + c.path + " " + protocol)
	said.sent("Host: " + c.host)
	for _, field := range c.header {
		switch {
		case field == httpField{"User-Agent", "lvsd"} || field == httpField{"Accept", "*/*"}:
		default:
			said.sent(field.name + ": " + field.value)
		}
	}
}

// secrets are the values of the fields that prove who the request is from. What
// comes before the credentials (RFC 9110 11.4) may be shown.
func (c httpCall) secrets() (found []string) {
	for _, field := range c.header {
		if !field.isSecret() {
			continue
		}
		scheme, credentials, _ := strings.Cut(field.value, " ")
		if !field.sameName(httpField{name: "Authorization"}) || credentials == "" {
			credentials = field.value
		}
		found = append(found, credentials)
		if plain, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.EqualFold(scheme, "Basic") {
			_, password, _ := strings.Cut(string(plain), ":")
			found = append(found, password)
		}
	}
	return found
}

// isSecret guesses by its name whether the field is how the request proves who
// it is from.
func (f httpField) isSecret() bool {
	name := strings.ToLower(f.name)
	for _, part := range []string{"auth", "cookie", "key", "token", "secret", "password", "credential"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
