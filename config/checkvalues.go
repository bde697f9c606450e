package config

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// checkKinds are the kinds of values that only checks have.
type checkKinds struct {
	probe, initial, via, security, tlsVersion, tlsName     kind[string]
	request, method, header, digest, httpHost, httpVersion kind[string]
	hexadecimal, replyPattern, dnsName, dnsQuery, rcode    kind[string]
	mailbox, username, secret, file, interfaceName         kind[string]
	literal, regex, expectation, user                      kind[string]
	retries, count, flapLimit, follow, pingSize, datagram  kind[int]
	interval, timeout, warmup, halfLife, expiry            kind[time.Duration]
	codes                                                  kind[statusRange]
}

func newCheckKinds() checkKinds {
	return checkKinds{
		probe:        choice(checkTypes...),
		initial:      choice("down", "up"),
		via:          choice(viaServer, viaVIP),
		security:     choice(securityNone, securityStartTLS, securityTLS),
		tlsVersion:   choice("1.0", "1.1", "1.2", "1.3"),
		tlsName:      wordTakenBy(func(s string) probe.Kind { return probe.GRPC{Secure: true, TLS: probe.TLS{Name: s}} }),
		httpVersion:  choice("1.0", "1.1", "2"),
		request:      requestTarget(),
		method:       inRequest("", "a method in quotes", func(r *probe.HTTPRequest, s string) { r.Method = s }),
		header:       httpHeader(),
		digest:       inRequest("md5:DIGITS or sha256:DIGITS", "a digest in quotes", func(r *probe.HTTPRequest, s string) { r.Digest = s }),
		httpHost:     wordTakenBy(func(s string) probe.Kind { return probe.GRPC{Host: s} }),
		literal:      literal(),
		regex:        regex(),
		expectation:  expectation(),
		user:         wordTakenBy(func(s string) probe.Kind { return probe.Script{Command: probe.ListOf("/bin/true"), User: s} }),
		hexadecimal:  hexadecimal(),
		replyPattern: takenBy("hexadecimal digits and X", "hexadecimal digits in quotes", func(s string) probe.Kind { return probe.UDP{Reply: s} }),
		dnsName:      takenBy("", "a name in quotes", func(s string) probe.Kind { return probe.DNS{Name: s, Query: "A"} }),
		dnsQuery:     takenBy("", "a type in quotes", func(s string) probe.Kind { return probe.DNS{Name: dnsRoot, Query: s} }),
		rcode:        rcode(),
		mailbox:      mailbox(), username: userName(), secret: plainSecret(),
		file: filePath(), interfaceName: interfaceName(),
		retries:   integer(0, 100),
		count:     integer(1, 100),
		flapLimit: integer(0, 100),
		follow:    integer(0, 10),
		pingSize:  integer(0, maxDatagram),
		datagram:  integer(0, maxDatagram),
		interval:  duration(100*time.Millisecond, time.Hour, 1),
		timeout:   duration(10*time.Millisecond, 5*time.Minute, 1),
		warmup:    duration(time.Millisecond, time.Hour, 1),
		halfLife:  duration(time.Second, 24*time.Hour, 1),
		expiry:    duration(0, 365*24*time.Hour, 1),
		codes:     statusCodes(),
	}
}

// maxDatagram is the longest payload of a UDP datagram or an ICMP message over
// IPv4, in bytes.
const maxDatagram = 65507

func requestTarget() kind[string] {
	return text("", "a path in quotes", func(s string) error {
		if s != "*" && !strings.HasPrefix(s, "/") || !isWord(s) {
			return fmt.Errorf("%q is not a request target, expected one that starts with / and has no spaces", s)
		}
		return nil
	})
}

// takenBy is a string that the probe takes as an option: make makes a kind of
// check that is valid but for that.
func takenBy(allowed, expected string, make func(string) probe.Kind) kind[string] {
	return text(allowed, expected, func(s string) error {
		if wrong := apart(make(s).Validate()); len(wrong) > 0 {
			return wrong[0]
		}
		return nil
	})
}

// wordTakenBy is takenBy for a word.
func wordTakenBy(make func(string) probe.Kind) kind[string] {
	k := word()
	k.parse = both(k.parse, takenBy("", "", make).parse)
	return k
}

// inRequest is takenBy for an option of an HTTP request.
func inRequest(allowed, expected string, set func(*probe.HTTPRequest, string)) kind[string] {
	return takenBy(allowed, expected, func(s string) probe.Kind {
		r := probe.HTTPRequest{Path: "/", Status: "200-299"}
		set(&r, s)
		return probe.HTTP{Requests: probe.ListOf(r)}
	})
}

// literal is text as it is, whatever is in it.
func literal() kind[string] {
	return text("", "a string", func(s string) error {
		if s == "" {
			return errors.New("is empty, expected at least one character")
		}
		return nil
	})
}

// regex is a regular expression of Go (RE2).
func regex() kind[string] { return text("RE2", "a regular expression in quotes", checkRegex) }

func checkRegex(s string) error {
	_, err := regexp.Compile(s)
	if wrong := (*syntax.Error)(nil); errors.As(err, &wrong) {
		return fmt.Errorf("%q is not a regular expression, %s: %q, expected the syntax of RE2", s, wrong.Code, wrong.Expr)
	}
	return err
}

// expectation is a regular expression that a banner is to match.
func expectation() kind[string] {
	return text("RE2", "a regular expression in quotes", func(s string) error {
		if err := checkRegex(s); err != nil {
			return err
		}
		wrong := apart(probe.Banner{Steps: probe.ListOf(probe.Step{Expect: s})}.Validate())
		if len(wrong) == 0 {
			return nil
		}
		return cmp.Or(errors.Unwrap(wrong[0]), wrong[0]) // without which step it is
	})
}

// both is what the second makes of a value that the first takes too.
func both(first, second func(any) (string, error)) func(any) (string, error) {
	return func(raw any) (string, error) {
		if v, err := first(raw); err != nil {
			return v, err
		}
		return second(raw)
	}
}

// hexadecimal is bytes in hexadecimal; spaces may stand between them.
func hexadecimal() kind[string] {
	k := kind[string]{name: "string", allowed: "two digits for each byte", expected: "hexadecimal digits in quotes"}
	k.parse = func(raw any) (string, error) {
		text, ok := raw.(string)
		if !ok {
			return "", k.wrongType(raw)
		}
		bytes, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil || len(bytes) == 0 {
			return "", fmt.Errorf("%q is not hexadecimal, expected two digits for each byte", text)
		}
		return string(bytes), nil
	}
	return k
}

// httpHeader is "Name: value" (RFC 9110 5.1).
func httpHeader() kind[string] {
	k := inRequest("NAME: VALUE", `a header in quotes, such as "Accept: text/html"`, func(r *probe.HTTPRequest, s string) {
		r.Headers = probe.ListOf(s)
	})
	k.plural = "headers"
	return k
}

// mailbox is an address of SMTP without its angle brackets.
func mailbox() kind[string] {
	return text("", "a mail address in quotes", func(s string) error {
		if !isWord(s) || strings.ContainsAny(s, "<>") {
			return fmt.Errorf("%q is not a mail address, expected one such as \"check@example.org\"", s)
		}
		return nil
	})
}

// userName is the name of a login; a colon would end it in HTTP (RFC 7617).
func userName() kind[string] {
	return text("", "a name in quotes", func(s string) error {
		if s == "" || checkSecret(s) != nil || strings.ContainsRune(s, ':') {
			return fmt.Errorf("%q is not a user name, expected no colon and no control characters", s)
		}
		return nil
	})
}

// rcode is a return code of DNS by its name.
func rcode() kind[string] {
	k := takenBy("", "a return code in quotes", func(s string) probe.Kind {
		return probe.DNS{Name: dnsRoot, Query: "A", Rcode: probe.ListOf(s)}
	})
	k.plural = "return codes"
	return k
}
