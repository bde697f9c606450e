package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
)

// HTTP asks for pages and looks at what comes.
type HTTP struct {
	// Secure speaks TLS: "https".
	Secure bool
	TLS    TLS
	// Version is "1.0", "1.1" or "2"; empty is "1.1". "2" without Secure is the
	// one that both ends know of beforehand (RFC 9113 3.3).
	Version string
	// Host is the Host header, and TLS server name unless that has one; empty is
	// the target.
	Host string
	// Requests are made in order, each on a connection of its own; all must
	// pass.
	Requests List[HTTPRequest]
	// Username and Password are for basic authentication (RFC 7617); empty is
	// none.
	Username, Password string
	// Follow is how many redirects are followed within one request, to the same
	// target only, 0..10; 0 takes them as answers.
	Follow int
}

// HTTPRequest is one request and what must come of it.
type HTTPRequest struct {
	// Path is the request target, starting with "/", or "*" for OPTIONS.
	Path string
	// Method is GET unless set. None has a body.
	Method string
	// Headers are added, each "Name: value"; those of the same name are in the
	// place of the probe's own User-Agent and Accept.
	Headers List[string]
	// Status lists the accepted status codes in the form of a [StatusSet].
	Status string
	// Contains must be in the body, Regex (RE2) match it, NotRegex not; empty is
	// anything. They see what comes of the body in the first 64 KiB of the reply:
	// what is not found in a body that was cut there is a failure that says so.
	Contains, Regex, NotRegex string
	// Digest is of the whole body, which then may have 16 MiB: "md5:" or
	// "sha256:" and hexadecimal digits. It is of the content: chunks are put
	// together first.
	Digest string
}

// Type is "http" or "https".
func (k HTTP) Type() string {
	if k.Secure {
		return "https"
	}
	return "http"
}

// ask makes the requests in order. What it saw is the last status.
//
// Each has a connection of its own and goes without http.Transport: that would
// start goroutines which outlive the probe, and hide which layer failed.
func (k HTTP) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	for r := range k.Requests.All() { // of the later ones a server may know too
		d.said.conceal(k.call(to, r).secrets()...)
	}
	var all answer
	for r := range k.Requests.All() {
		found, err := k.get(ctx, d, to, r)
		all.seen = found.seen
		if all.warning == "" {
			all.warning = found.warning
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// get makes one request, and what its redirects lead to.
func (k HTTP) get(ctx context.Context, d dialer, to netip.AddrPort, r HTTPRequest) (answer, error) {
	want, err := r.expectation()
	if err != nil {
		return answer{}, &failure{SOCKERR, err.Error()}
	}
	call := k.call(to, r)
	for left := k.Follow; ; left-- {
		found, next, err := k.exchange(ctx, d, to, call, want, left)
		if err != nil || next == nil {
			return found, err
		}
		call = *next
	}
}

// exchange carries out call and checks its reply; if that is a redirect to follow,
// of which there are some left, it returns the call that this leads to.
func (k HTTP) exchange(ctx context.Context, d dialer, to netip.AddrPort, call httpCall, want expectation, left int) (answer, *httpCall, error) {
	conn, err := d.dialWeb(ctx, to, k.Secure, k.TLS, call.host, k.protocols()...)
	if err != nil {
		return answer{}, nil, err
	}
	defer conn.Close()
	found := answer{warning: conn.warning}
	call.tell(d.said, k.protocol())
	reply, err := k.speak(conn, call, want.limit())
	if err != nil {
		return found, nil, err
	}
	// The body is not closed: that would read it to its end. The connection is.
	reply.tell(d.said)
	switch redirect := k.Follow > 0 && reply.isRedirect(); {
	case redirect && left == 0:
		return found, nil, &failure{L7STS, fmt.Sprintf("%s, after %d redirects", reply.seen(), k.Follow)}
	case redirect:
		next, err := call.redirected(reply, to)
		return found, next, err
	}
	found.seen, err = want.check(reply, d.said)
	return found, nil, err
}

func (k HTTP) speak(conn net.Conn, call httpCall, limit int) (httpReply, error) {
	if k.Version == "2" {
		return speakHTTP2(conn, call, limit)
	}
	return speakHTTP1(conn, call, k.protocol(), limit)
}

// protocol is the version in the words of a request line.
func (k HTTP) protocol() string {
	if k.Version == "" {
		return "HTTP/1.1"
	}
	return "HTTP/" + k.Version
}

// protocols are those to offer in the TLS handshake. Servers take HTTP/1 from
// who offers nothing.
func (k HTTP) protocols() []string {
	if k.Version == "2" {
		return []string{"h2"}
	}
	return nil
}

// hostOf is the Host header: the configured one, or the target.
func (k HTTP) hostOf(to netip.AddrPort) string {
	if k.Host != "" {
		return k.Host
	}
	return hostHeader(to, k.Secure)
}
