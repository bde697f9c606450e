package probe

import (
	"net/netip"
	"time"
)

// Kinds of check as most tests need them.
var (
	mail   = SMTP{HeloName: "director.example"}
	web    = HTTP{Requests: ListOf(HTTPRequest{Path: "/", Status: "200-299"})}
	tlsWeb = HTTP{Secure: true, Requests: web.Requests}
	// anyWeb takes every certificate.
	anyWeb = HTTP{Secure: true, Requests: web.Requests, TLS: TLS{Insecure: true}}
)

var anywhere = netip.MustParseAddrPort("192.0.2.1:25")

// of is a request that is valid.
func of(k Kind, target netip.AddrPort) Request {
	return Request{Kind: k, Target: target, Timeout: time.Minute}
}
