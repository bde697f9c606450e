package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
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
	// Send is written as it is, line end included. It may hold any bytes.
	Send string
	// Expect is a regular expression (RE2) that what was received since the
	// match of the last step must match, within 64 KiB; empty does not wait. It
	// is one over bytes: "." is a byte and \xff the byte 255. "^" is also the
	// beginning of each line. What comes after the match is for the next step.
	Expect string
	// Secret keeps the words of Send, of 4 bytes or more, out of transcripts
	// and reasons.
	Secret bool
}

// Type is "banner".
func (Banner) Type() string { return "banner" }

// Validate returns every reason why the options cannot be used, joined, or nil.
func (k Banner) Validate() error {
	var errs []error
	if k.Security != Plain && k.Security != Implicit {
		errs = append(errs, fmt.Errorf("security %q must be %q or empty", k.Security, Implicit))
	}
	errs = append(errs, k.TLS.validate())
	if k.Steps.Len() == 0 {
		errs = append(errs, errors.New("no steps, expected at least one with send or expect"))
	}
	for i, step := range k.Steps.Values() {
		if err := step.validate(); err != nil {
			errs = append(errs, fmt.Errorf("step %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

func (s Step) validate() error {
	if s.Send == "" && s.Expect == "" {
		return errors.New("does nothing, expected send or expect")
	}
	_, err := s.matcher()
	return err
}

// matcher is nil if the step does not wait for anything.
func (s Step) matcher() (*matcher, error) {
	if s.Expect == "" {
		return nil, nil
	}
	return newMatcher(s.Expect)
}

// secrets are the words of what is sent in secret.
func (k Banner) secrets() (found []string) {
	for step := range k.Steps.All() {
		if !step.Secret {
			continue
		}
		found = append(found, strings.FieldsFunc(step.Send, func(r rune) bool { return r <= ' ' || r == '"' })...)
	}
	return found
}

// ask carries out the steps. What it saw is what the last one matched.
func (k Banner) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	d.said.conceal(k.secrets()...)
	bound, err := d.dial(ctx, to)
	if err != nil {
		return answer{}, err
	}
	defer bound.Close()
	found := answer{seen: "connected", code: L4OK}
	var conn net.Conn = bound
	if k.Security == Implicit {
		if conn, found.warning, err = d.startTLS(bound, k.TLS, to.Addr().String()); err != nil {
			return answer{}, err
		}
	}
	c := bannerClient{conn: conn, said: d.said}
	for i, step := range k.Steps.Values() {
		matched, err := c.carryOut(fmt.Sprintf("step %d", i+1), step)
		if err != nil {
			return found, err
		}
		if step.Expect != "" {
			found.seen, found.code = matched, L7OK
		}
	}
	return found, nil
}
