package probe

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// redirected is the call that the reply leads to, which must be to the same
// target: the host asked for, or the target's address. The method is kept or
// becomes GET as browsers have it (RFC 9110 15.4).
func (c httpCall) redirected(reply httpReply, to netip.AddrPort) (*httpCall, error) {
	location := reply.Header.Get("Location")
	refused := func(why string) (*httpCall, error) {
		return nil, &failure{L7STS, fmt.Sprintf("%s leads to %q: %s", reply.seen(), location, why)}
	}
	base := url.URL{Scheme: c.scheme, Host: c.host, Path: "/"}
	if c.path != "*" {
		path, err := url.Parse(c.scheme + "://" + c.host + c.path)
		if err != nil {
			return refused("its base is no URL")
		}
		base = *path
	}
	next, err := base.Parse(location)
	switch {
	case err != nil:
		return refused("no URL")
	case next.Scheme != c.scheme:
		return refused("another scheme")
	case !c.isHere(next, to):
		return refused("another host or port")
	case !isWord(next.RequestURI()) || !strings.HasPrefix(next.RequestURI(), "/"):
		return refused("no path")
	}
	c.path = next.RequestURI()
	switch {
	case reply.StatusCode == http.StatusSeeOther && c.method != http.MethodHead,
		reply.StatusCode < http.StatusSeeOther && c.method == http.MethodPost:
		c.method = http.MethodGet
	}
	return &c, nil
}

// isHere reports whether u is at the host asked for or at the target's address.
func (c httpCall) isHere(u *url.URL, to netip.AddrPort) bool {
	at := authority(c.scheme, u.Host)
	return at == authority(c.scheme, c.host) || at == authority(c.scheme, hostHeader(to, c.scheme == "https"))
}

// authority is host in a form that equal ones share: lower case, with a port.
func authority(scheme, host string) string {
	u := url.URL{Host: strings.ToLower(host)}
	port := u.Port()
	switch {
	case port != "":
	case scheme == "https":
		port = "443"
	default:
		port = "80"
	}
	return u.Hostname() + " " + port
}
