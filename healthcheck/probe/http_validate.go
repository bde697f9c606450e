package probe

import (
	"crypto/md5" //nolint:gosec // keepalived's digest: it finds accidents, not attackers
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

const (
	// maxHTTPRequest bounds what is asked, in bytes. It fits a single frame of
	// HTTP/2.
	maxHTTPRequest = 8 << 10
	maxFollow      = 10
)

// Validate returns what is wrong with the options.
func (k HTTP) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := validateHost(k.Host); err != nil {
		errs = append(errs, err)
	}
	switch k.Version {
	case "", "1.0", "1.1", "2":
	default:
		wrong("HTTP version %q must be 1.0, 1.1 or 2", k.Version)
	}
	if k.Follow < 0 || k.Follow > maxFollow {
		wrong("redirects to follow must be 0..%d, got %d", maxFollow, k.Follow)
	}
	if k.Username == "" && k.Password != "" {
		wrong("a password needs a username")
	}
	if strings.Contains(k.Username, ":") || !isText(k.Username) {
		wrong("username %q must have no colon and no control characters", k.Username)
	}
	if !isText(k.Password) {
		wrong("password must have no control characters")
	}
	if k.Requests.Len() == 0 {
		wrong("no request")
	}
	for r := range k.Requests.All() {
		if err := r.validate(); err != nil {
			wrong("request of %q: %w", r.Path, err)
		}
		for line := range r.Headers.All() {
			if k.Username != "" && strings.EqualFold(parseHeader(line).name, "Authorization") {
				wrong("request of %q: a username and a header Authorization: one of them", r.Path)
			}
		}
	}
	return errors.Join(append(errs, k.TLS.validate())...)
}

// validateHost checks what becomes a Host header; empty is the target.
func validateHost(host string) error {
	if !isWord(host) || strings.ContainsAny(host, `/\?#@"<>%`) || !httpguts.ValidHostHeader(host) {
		return fmt.Errorf("host %q must be a name, or a name and a port", host)
	}
	return nil
}

func (r HTTPRequest) validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if all := r.Path == "*" && r.Method == http.MethodOptions; !all && (!strings.HasPrefix(r.Path, "/") || !isWord(r.Path)) {
		wrong("path %q must start with / and be printable ASCII without spaces", r.Path)
	}
	size := len(r.Path) + len(r.Method)
	for line := range r.Headers.All() {
		size += len(line)
		if err := validateHeader(line); err != nil {
			errs = append(errs, err)
		}
	}
	if size > maxHTTPRequest {
		wrong("path and headers must have at most %d bytes, got %d", maxHTTPRequest, size)
	}
	if err := validateMethod(r.Method); err != nil {
		errs = append(errs, err)
	}
	if _, err := r.expectation(); err != nil {
		errs = append(errs, err)
	}
	if r.Method == http.MethodHead && r.looksAtBody() {
		wrong("the reply to HEAD has no body to look at: method GET, or only a status")
	}
	return errors.Join(errs...)
}

func validateMethod(method string) error {
	upper := strings.ToUpper(method)
	switch {
	case method == "":
		return nil
	case method == http.MethodConnect || strings.Trim(upper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" || len(method) > 32:
		return fmt.Errorf("method %q must be GET, HEAD, OPTIONS, POST or another but CONNECT", method)
	case method != upper:
		return fmt.Errorf("method %q must be in capitals: %s", method, upper)
	}
	return nil
}

// framing are the headers that belong to the connection and not to the user.
var framing = []string{
	"Connection", "Content-Length", "Expect", "HTTP2-Settings", "Keep-Alive", "Proxy-Connection", "TE", "Trailer",
	"Transfer-Encoding", "Upgrade",
}

func validateHeader(line string) error {
	field := parseHeader(line)
	is := func(name string) bool { return strings.EqualFold(field.name, name) }
	switch {
	case !strings.Contains(line, ":") || !httpguts.ValidHeaderFieldName(field.name):
		return fmt.Errorf(`header %q must be "Name: value"`, line)
	case !httpguts.ValidHeaderFieldValue(field.value):
		return fmt.Errorf("header %s must be one line without control characters", field.name)
	case is("Host"):
		return errors.New("header Host has an option of its own: host")
	case slices.ContainsFunc(framing, is):
		return fmt.Errorf("header %s is set by the probe itself", field.name)
	}
	return nil
}

// isText reports whether s has no control characters.
func isText(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

func (r HTTPRequest) looksAtBody() bool {
	return r.Contains != "" || r.Regex != "" || r.NotRegex != "" || r.Digest != ""
}

// expectation is what r wants of its reply, ready to be checked.
func (r HTTPRequest) expectation() (expectation, error) {
	e := expectation{contains: r.Contains}
	var errs [4]error
	e.status, errs[0] = ParseStatus(r.Status)
	e.regex, errs[1] = compile("regex", r.Regex)
	e.notRegex, errs[2] = compile("not_regex", r.NotRegex)
	e.digest, errs[3] = parseDigest(r.Digest)
	return e, errors.Join(errs[:]...)
}

// compile is done for each probe: it takes some microseconds, and nothing needs
// to know when the last check with an expression is gone.
func compile(option, expression string) (*regexp.Regexp, error) {
	if expression == "" {
		return nil, nil
	}
	compiled, err := regexp.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("%s must be a regular expression in RE2 syntax: %w", option, err)
	}
	return compiled, nil
}

// digest is the sum that a body must have; the zero value is none.
type digest struct {
	name, sum string
	start     func() hash.Hash
}

func parseDigest(text string) (digest, error) {
	if text == "" {
		return digest{}, nil
	}
	name, sum, _ := strings.Cut(text, ":")
	d := digest{name: name, sum: strings.ToLower(sum)}
	switch name {
	case "md5":
		d.start = md5.New
	case "sha256":
		d.start = sha256.New
	default:
		return digest{}, fmt.Errorf(`digest %q must begin with "md5:" or "sha256:"`, text)
	}
	digits := 2 * d.start().Size()
	if raw, err := hex.DecodeString(sum); err != nil || 2*len(raw) != digits {
		return digest{}, fmt.Errorf("digest %q must be \"%s:\" and %d hexadecimal digits", text, name, digits)
	}
	return d, nil
}
