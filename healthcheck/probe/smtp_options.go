package probe

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode/utf8"
)

// What may be written into a command: a domain name is of 255 bytes at most, a
// path of 256 with its brackets (RFC 5321 4.5.3.1), a user name and a password
// that every server takes are of 255 (RFC 4616 2).
const (
	maxHeloName = 255
	maxMailbox  = 254
	maxSecret   = 255
)

// Validate returns every reason why the options cannot be used, joined, or nil.
func (k SMTP) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !isWord(k.HeloName) || len(k.HeloName) > maxHeloName {
		wrong("helo name %q must be one word of printable ASCII, at most %d bytes", k.HeloName, maxHeloName)
	}
	if k.Security != Plain && k.Security != StartTLS && k.Security != Implicit {
		wrong("security %q must be %q, %q or empty", k.Security, StartTLS, Implicit)
	}
	for _, option := range []struct{ name, address string }{{"from", k.From}, {"to", k.To}} {
		if !isMailbox(option.address) {
			wrong("%s %q must be an address in printable ASCII, without spaces and brackets, at most %d bytes",
				option.name, option.address, maxMailbox)
		}
	}
	if k.From != "" && k.To == "" {
		wrong("from %q does nothing without to", k.From)
	}
	errs = append(errs, k.TLS.validate(), k.validateAuth(), k.validateCodes())
	return errors.Join(errs...)
}

func (k SMTP) validateAuth() error {
	var errs []error
	if (k.Username == "") != (k.Password == "") {
		errs = append(errs, errors.New("username and password go together, got only one of them"))
	}
	// No password is quoted.
	for _, option := range []struct{ name, secret string }{{"username", k.Username}, {"password", k.Password}} {
		if !isSecret(option.secret) {
			errs = append(errs, fmt.Errorf("%s must be UTF-8 without control characters, at most %d bytes", option.name, maxSecret))
		}
	}
	return errors.Join(errs...)
}

func (k SMTP) validateCodes() error {
	var errs []error
	for _, option := range []struct{ name, list string }{
		{"greeting", k.Greeting}, {"hello", k.Hello}, {"mail", k.Mail}, {"recipient", k.Recipient},
	} {
		if option.list == "" {
			continue
		}
		if _, err := ParseStatus(option.list); err != nil {
			errs = append(errs, fmt.Errorf("%s: reply codes such as 250-251 were expected: %w", option.name, err))
		}
	}
	if k.To == "" && k.Mail+k.Recipient != "" {
		errs = append(errs, errors.New("reply codes for mail and recipient do nothing without to"))
	}
	return errors.Join(errs...)
}

// validateTarget refuses to say a password to another host in the clear.
func (k SMTP) validateTarget(to netip.AddrPort) error {
	if k.Username == "" || k.Security != Plain || to.Addr().Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("a password is not sent to %v without TLS, expected security %q or %q", to, StartTLS, Implicit)
}

// isMailbox reports whether s can be the address in a path.
func isMailbox(s string) bool {
	return len(s) <= maxMailbox && isWord(s) && !strings.ContainsAny(s, "<>")
}

// isSecret reports whether s can be a user name or a password: no mechanism
// takes a zero byte, and a line's end is a mistake in a file.
func isSecret(s string) bool {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	return len(s) <= maxSecret && utf8.ValidString(s) && !strings.ContainsFunc(s, control)
}
