package web

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director/control"
)

// contentPolicy lets the page use its own files and nothing else: no script in the
// page itself, no frame around it, no text that becomes HTML.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// guard refuses who may not ask, and what a foreign page has a browser ask.
func (s *site) guard(next http.Handler) http.Handler {
	origins := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", contentPolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		if !s.Allow.Include(r.RemoteAddr) {
			refuse(w, control.CodeNotPermitted, "this address may not look at the page")
			return
		}
		if !s.names.has(r.Host) && !s.keys.names(hostOf(r.Host)) {
			refuse(w, control.CodeUnknownHost,
				"the page is not known by this name: use the node's address, localhost, its host name, or one of names in [web]")
			return
		}
		if err := origins.Check(r); err != nil {
			refuse(w, control.CodeNotPermitted, "the request comes from another site")
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		next.ServeHTTP(w, r)
	})
}

// peer is the address that asks; invalid if it has none.
func peer(r *http.Request) netip.Addr {
	return addressOf(r.RemoteAddr)
}

// addressOf is the address of a client's address and port.
func addressOf(text string) netip.Addr {
	from, _ := netip.ParseAddrPort(text)
	return from.Addr().Unmap().WithZone("")
}

// hostNames are the names that the page is known by. A name that its owner lets
// point to this host would else make the page part of that owner's site, for
// browsers: DNS rebinding. An address cannot be made to point elsewhere.
type hostNames []string

// thisHost are the names of this machine.
func thisHost() hostNames {
	names := hostNames{"localhost"}
	if name, err := os.Hostname(); err == nil {
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		short, _, _ := strings.Cut(name, ".")
		names = append(names, name, short)
	}
	return names
}

// has reports whether a request's Host header is an address or one of the names.
func (n hostNames) has(header string) bool {
	host := hostOf(header)
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return slices.Contains(n, host)
}

// hostOf is a Host header without its port, in lower case.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(header, "["), "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
