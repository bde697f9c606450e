package probe

import (
	"context"
	"net/netip"
)

// Banner speaks any text protocol by a script of steps: IMAP, POP3, FTP, Redis,
// LDAP and others.
type Banner struct {
	// Steps are carried out in order; all must succeed.
	Steps    List[Step]
	Security Security // Plain or Implicit
	TLS      TLS
}

// Step is a part of a Banner's dialogue: what is said, if anything, and what
// must then be heard, if anything.
type Step struct {
	// Send is written as it is, line end included.
	Send string
	// Expect is a regular expression (RE2) that what was received since the last
	// step must match.
	Expect string
}

func (Banner) Type() string { return "banner" }

func (k Banner) Validate() error { return nil }

func (k Banner) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
