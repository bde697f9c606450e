package healthcheck

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

// specOf is a valid check of target.
func specOf(kind Kind, target netip.AddrPort) Spec {
	s := Spec{
		Kind: kind, Target: target,
		Interval: 5 * time.Second, Timeout: time.Minute, RetryDelay: time.Second,
		Rise: 2, Fall: 3,
	}
	switch kind {
	case SMTP:
		s.SMTP.HeloName = "director.example"
	case HTTP, HTTPS:
		s.HTTP = HTTPOptions{Path: "/", Status: "200-299"}
	}
	return s
}

var anywhere = netip.MustParseAddrPort("192.0.2.1:25")

func TestValidate(t *testing.T) {
	for kind := range kinds {
		if err := specOf(kind, anywhere).Validate(); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	for want, spoil := range map[string]func(*Spec){
		`unknown kind "ftp"`:                         func(s *Spec) { s.Kind = "ftp" },
		"target must be an address and a port":       func(s *Spec) { s.Target = netip.AddrPort{} },
		"interval must be positive, got 0s":          func(s *Spec) { s.Interval = 0 },
		"timeout must be positive, got -1ns":         func(s *Spec) { s.Timeout = -1 },
		"must not be negative, got -1 and 1s":        func(s *Spec) { s.Retries = -1 },
		"must not be negative, got 0 and -1s":        func(s *Spec) { s.RetryDelay = -time.Second },
		"at least 1, got 0 and 3":                    func(s *Spec) { s.Rise = 0 },
		"at least 1, got 2 and 0":                    func(s *Spec) { s.Fall = 0 },
		`helo name "a\r\nDATA" must be one word`:     func(s *Spec) { s.SMTP.HeloName = "a\r\nDATA" },
		`path "x" must start with /`:                 func(s *Spec) { s.Kind, s.HTTP = HTTP, HTTPOptions{Path: "x", Status: "200"} },
		`path "/a b" must start with /`:              func(s *Spec) { s.Kind, s.HTTP = HTTP, HTTPOptions{Path: "/a b", Status: "200"} },
		`host "a\r\nb" must be a name`:               func(s *Spec) { s.Kind, s.HTTP = HTTPS, HTTPOptions{Path: "/", Host: "a\r\nb", Status: "200"} },
		`host "http://a" must be a name`:             func(s *Spec) { s.Kind, s.HTTP = HTTPS, HTTPOptions{Path: "/", Host: "http://a", Status: "200"} },
		`status list "": "" is not a status code`:    func(s *Spec) { s.Kind, s.HTTP = HTTP, HTTPOptions{Path: "/"} },
		"check smtp 192.0.2.1:25: interval must be ": func(s *Spec) { s.Interval, s.Timeout = 0, 0 },
		"check smtp [fe80::1%eth0]:25: interval must be positive, got 0s": func(s *Spec) {
			s.Target, s.Interval = netip.MustParseAddrPort("[fe80::1%eth0]:25"), 0
		},
	} {
		s := specOf(SMTP, anywhere)
		spoil(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
