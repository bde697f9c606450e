package probe

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxHTTPReply is how much of a reply is read, head and body, in bytes.
const maxHTTPReply = 64 << 10

// HTTP asks for pages and looks at what comes.
type HTTP struct {
	// Secure speaks TLS: "https".
	Secure bool
	TLS    TLS
	// Version is "1.0", "1.1" or "2"; empty is "1.1". "2" without Secure is the
	// one that both ends know of beforehand (RFC 9113 3.3).
	Version string
	// Host is the Host header, and TLS server name unless that has one; empty is
	// the target.
	Host string
	// Requests are made in order, each on a connection of its own; all must
	// pass.
	Requests List[HTTPRequest]
	// Username and Password are for basic authentication (RFC 7617); empty is
	// none.
	Username, Password string
	// Follow is how many redirects are followed within one request, to the same
	// target only; 0 takes them as answers.
	Follow int
}

// HTTPRequest is one request and what must come of it.
type HTTPRequest struct {
	// Path is the request target, starting with "/".
	Path string
	// Method is GET unless set.
	Method string
	// Headers are added, each "Name: value".
	Headers List[string]
	// Status lists the accepted status codes in the form of a [StatusSet].
	Status string
	// Contains must be in the body, Regex (RE2) match it, NotRegex not; empty is
	// anything. Digest is of the whole body: "md5:" or "sha256:" and hexadecimal
	// digits.
	Contains, Regex, NotRegex, Digest string
}

// Type is "http" or "https".
func (k HTTP) Type() string {
	if k.Secure {
		return "https"
	}
	return "http"
}

// Validate returns what is wrong with the options.
func (k HTTP) Validate() error {
	var errs []error
	if !isWord(k.Host) || strings.ContainsAny(k.Host, "/?#@") {
		errs = append(errs, fmt.Errorf("host %q must be a name, or a name and a port", k.Host))
	}
	if k.Requests.Len() == 0 {
		errs = append(errs, errors.New("no request"))
	}
	for r := range k.Requests.All() {
		errs = append(errs, r.validate())
	}
	return errors.Join(errs...)
}

func (r HTTPRequest) validate() error {
	if !strings.HasPrefix(r.Path, "/") || !isWord(r.Path) {
		return fmt.Errorf("path %q must start with / and be printable ASCII without spaces", r.Path)
	}
	_, err := ParseStatus(r.Status)
	return err
}

// ask asks for a page over HTTP/1.1, or over TLS, and looks at the
// status. Redirects are answers, not followed. The body is read, so that a
// server that stops within it is found out, but only up to maxHTTPReply.
//
// There is one request on a connection of its own, so it goes without
// http.Transport: that would start goroutines which outlive the probe, and
// hide which layer failed.
func (k HTTP) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	var last answer
	for r := range k.Requests.All() {
		seen, err := k.get(ctx, d, to, r)
		if err != nil {
			return answer{}, err
		}
		last.seen = seen
	}
	return last, nil
}

func (k HTTP) get(ctx context.Context, d dialer, to netip.AddrPort, r HTTPRequest) (string, error) {
	accepted, err := ParseStatus(r.Status)
	if err != nil {
		return "", &failure{SOCKERR, err.Error()}
	}
	bound, err := d.dial(ctx, to)
	if err != nil {
		return "", err
	}
	defer bound.Close()
	conn, host := net.Conn(bound), k.hostOf(to)
	if k.Secure {
		secure, _, err := d.startTLS(bound, k.TLS, hostName(host))
		if err != nil {
			return "", err
		}
		conn = secure
	}
	if err := writeRequest(conn, r.Path, host); err != nil {
		return "", err
	}
	return readResponse(conn, accepted)
}

// hostOf is the Host header: the configured one, or the target, with its port
// unless that is the scheme's own.
func (k HTTP) hostOf(to netip.AddrPort) string {
	own := uint16(80)
	if k.Secure {
		own = 443
	}
	address := to.Addr().WithZone("") // a zone means nothing to the server
	switch {
	case k.Host != "":
		return k.Host
	case to.Port() != own:
		return netip.AddrPortFrom(address, to.Port()).String()
	case address.Is4():
		return address.String()
	}
	return "[" + address.String() + "]"
}

func writeRequest(w io.Writer, path, host string) error {
	_, err := fmt.Fprintf(w, "GET %s HTTP/1.1\r\nHost: %s\r\n"+
		"User-Agent: lvsd\r\nAccept: */*\r\nConnection: close\r\n\r\n", path, host)
	if err != nil {
		return dialogueFailed("request", err)
	}
	return nil
}

func readResponse(r io.Reader, accepted StatusSet) (string, error) {
	source := &boundedReader{r: r, left: maxHTTPReply}
	resp, err := readHead(bufio.NewReader(source))
	if err != nil {
		return "", dialogueFailed("reply", cmp.Or(source.err, err))
	}
	defer resp.Body.Close()
	seen := "status " + resp.Status
	if !accepted.Contains(resp.StatusCode) {
		return "", &failure{L7STS, seen}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil || source.left == 0 || endsByClosing(resp) && errors.Is(err, io.ErrUnexpectedEOF) {
		return seen, nil
	}
	return "", dialogueFailed("body after "+seen, cmp.Or(source.err, err))
}

// boundedReader ends with an error when as much as left has been read. It keeps
// the error that ended it: a parser that is left with half a line calls that
// malformed, and hides that the server stopped.
type boundedReader struct {
	r    io.Reader
	left int
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.err = fmt.Errorf("more than %d bytes", maxHTTPReply)
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.err = err
	return n, err
}

// readHead reads the head of the final response, past interim ones (RFC 9110
// 15.2).
func readHead(r *bufio.Reader) (*http.Response, error) {
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// endsByClosing reports whether only the end of the connection ends the body.
// Many servers then close without TLS's farewell, which reads as truncated.
func endsByClosing(resp *http.Response) bool {
	return resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}
