// Package healthcheck asks real servers whether they work: it schedules
// probes, runs the dialogue of each kind, counts rise and fall, and reports a
// verdict with its reason. It must not know IPVS, VRRP, weights or which
// virtual services share a target.
//
// From the inside out: [Probe] asks once; [Threshold] turns results into a
// verdict; [Pool] keeps one check going for each distinct [Spec] and tells of
// changes.
package healthcheck

import (
	"net/netip"
	"time"
)

// Kind names a kind of check, as the configuration writes it.
type Kind string

// The kinds of check.
const (
	TCP   Kind = "tcp"
	SMTP  Kind = "smtp"
	HTTP  Kind = "http"
	HTTPS Kind = "https"
)

// Spec is all that determines a probe and its verdict. It is comparable and is
// the identity of a check: two real servers with an equal Spec share one probe,
// and a check whose Spec a reload leaves equal keeps its history.
type Spec struct {
	Kind   Kind
	Target netip.AddrPort
	// Interval is the time from the start of one probe to the start of the
	// next, > 0. A probe that takes longer, retries included, is followed by
	// the next at once.
	Interval time.Duration
	// Timeout bounds the whole probe, whatever the server sends, > 0.
	Timeout time.Duration
	// Retries is how many times more a failed probe is tried, RetryDelay
	// apart, before it counts as one failure.
	Retries    int
	RetryDelay time.Duration
	// Rise and Fall are the consecutive successes and failures that change the
	// verdict, >= 1; what counts at the start is told at Threshold.
	Rise, Fall int
	// InitiallyUp starts with the verdict up instead of down.
	InitiallyUp bool

	SMTP SMTPOptions
	HTTP HTTPOptions
}

// SMTPOptions are the options of an SMTP check.
type SMTPOptions struct {
	// HeloName is the name said in EHLO and HELO; empty is the address literal
	// of the connection's own end (RFC 5321 4.1.3).
	HeloName string
}

// HTTPOptions are the options of an HTTP or HTTPS check.
type HTTPOptions struct {
	// Path is the request target, starting with "/".
	Path string
	// Host is the Host header and TLS server name; empty is the target.
	Host string
	// Status lists the accepted status codes and ranges in canonical form, as
	// [StatusSet.String] writes it: "200-299,301".
	Status string
	// Insecure turns off verification of the server's certificate.
	Insecure bool
}

// String names the check in logs: "smtp 192.0.2.1:25".
func (s Spec) String() string {
	return string(s.Kind) + " " + s.Target.String()
}
