package healthcheck

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Validate returns every reason why s cannot be run, joined, or nil.
func (s Spec) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("check %v: %w", s, fmt.Errorf(format, args...)))
	}
	if _, ok := kinds[s.Kind]; !ok {
		wrong("unknown kind %q", s.Kind)
	}
	if !s.Target.IsValid() || s.Target.Port() == 0 {
		wrong("target must be an address and a port")
	}
	if s.Interval <= 0 {
		wrong("interval must be positive, got %v", s.Interval)
	}
	if s.Timeout <= 0 {
		wrong("timeout must be positive, got %v", s.Timeout)
	}
	if s.Retries < 0 || s.RetryDelay < 0 {
		wrong("retries and retry delay must not be negative, got %d and %v", s.Retries, s.RetryDelay)
	}
	if s.Rise < 1 || s.Fall < 1 {
		wrong("rise and fall must be at least 1, got %d and %d", s.Rise, s.Fall)
	}
	switch s.Kind {
	case SMTP:
		if !isWord(s.SMTP.HeloName) {
			wrong("helo name %q must be one word of printable ASCII", s.SMTP.HeloName)
		}
	case HTTP, HTTPS:
		if err := s.HTTP.validate(); err != nil {
			wrong("%w", err)
		}
	}
	return errors.Join(errs...)
}

func (o HTTPOptions) validate() error {
	if !strings.HasPrefix(o.Path, "/") || !isWord(o.Path) {
		return fmt.Errorf("path %q must start with / and be printable ASCII without spaces", o.Path)
	}
	if !isWord(o.Host) || strings.ContainsAny(o.Host, "/?#@") {
		return fmt.Errorf("host %q must be a name, or a name and a port", o.Host)
	}
	if _, err := ParseStatus(o.Status); err != nil {
		return err
	}
	return nil
}

// isWord reports whether s can be written into a line of a text protocol
// without ending the word or the line.
func isWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// hostName is the name in a Host header: without port and brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}
