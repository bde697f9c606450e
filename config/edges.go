package config

import (
	"net/netip"
	"slices"
	"time"
)

// Cluster is the channel between the directors that serve the same file: orders of
// operators go by it, and what each node tells of itself.
type Cluster struct {
	// Nodes are all nodes by name, this one too, with the address that each
	// listens on.
	Nodes map[string]netip.Addr
	// Self is this node's name in Nodes.
	Self string
	// Port is the TCP port of all of them; default 9468.
	Port uint16
	// Key is what nodes know each other by, 16 bytes or more. It is not to be
	// printed.
	Key Secret
	// Interval is how often a node asks the others, 100ms..1m; default 2s.
	Interval time.Duration
}

// Secret is text that must not be printed.
type Secret string

// String hides it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides it.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Metrics is where Prometheus asks.
type Metrics struct {
	// Listen is the address and port; zero is nowhere. Default 127.0.0.1:9466.
	Listen netip.AddrPort
	// KeepalivedNames adds metrics by the names of keepalived's exporters.
	KeepalivedNames bool
	// Allow are the clients that may ask.
	Allow Clients
}

// Clients are the networks that a listener answers; none is all that can reach it.
type Clients []netip.Prefix

// Include reports whether a client is among them, by its ADDRESS:PORT.
func (c Clients) Include(client string) bool {
	if len(c) == 0 {
		return true
	}
	from, _ := netip.ParseAddrPort(client)
	address := from.Addr().Unmap().WithZone("") // of no valid one, which is in no network
	return slices.ContainsFunc(c, func(network netip.Prefix) bool { return network.Contains(address) })
}

// Web is the page for browsers.
type Web struct {
	// Listen is the address and port; zero is no page. Default 127.0.0.1:9467.
	Listen netip.AddrPort
	// Allow are the clients that may look.
	Allow Clients
	// Names are the host names that the page is known by, in lower case, beside
	// addresses and the node's own.
	Names []string
	// Users by name, with the bcrypt hash of each one's password. With none,
	// everybody who may look needs no password, and nobody may change anything.
	Users map[string]Secret
	// Admin lets users drain, enable and so on; it needs Users.
	Admin bool
	// Certificate and Key are files in PEM; without them the page is plain HTTP.
	Certificate, Key string
}

// Alerts is who is told of events.
type Alerts struct {
	Mail     []MailAlert
	Webhooks []WebhookAlert
	// FIFO is the path of a named pipe that gets a line for each change of state
	// in keepalived's format; empty is none.
	FIFO string
}

// MailAlert sends mail.
type MailAlert struct {
	// Server is host:port.
	Server string
	// TLS is "starttls" (default), "tls" or "none".
	TLS string
	// User and Password are for AUTH; empty is none.
	User     string
	Password Secret
	From     string
	To       []string
	// Events are patterns of kinds, as "server.*"; none is DefaultAlerts.
	Events []string
	// Digest is how long events are gathered into one mail; default 10s.
	Digest time.Duration
	// PerHour bounds the mails sent in an hour; default 30.
	PerHour int
}

// WebhookAlert posts JSON.
type WebhookAlert struct {
	URL     string
	Headers map[string]Secret
	// Events, Digest and PerHour are as in MailAlert; defaults: all of
	// DefaultAlerts, 1s and 600.
	Events  []string
	Digest  time.Duration
	PerHour int
}

// Reload is how reloads are done.
type Reload struct {
	// Watch reloads whenever the file changes; default false.
	Watch bool
	// SettleWithin is how long the kernel may take to be as the new file says
	// before it is rolled back, 1s..10m; default 30s.
	SettleWithin time.Duration
}
