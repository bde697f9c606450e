package healthcheck

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
)

// maxHTTPReply is how much of a reply is read, head and body, in bytes.
const maxHTTPReply = 64 << 10

// dialogueHTTP asks for a page over HTTP/1.1, or over TLS, and looks at the
// status. Redirects are answers, not followed. The body is read, so that a
// server that stops within it is found out, but only up to maxHTTPReply.
//
// There is one request on a connection of its own, so it goes without
// http.Transport: that would start goroutines which outlive the probe, and
// hide which layer failed.
func dialogueHTTP(ctx context.Context, d dialer, s Spec) (string, error) {
	accepted, err := ParseStatus(s.HTTP.Status)
	if err != nil {
		return "", &failure{SOCKERR, err.Error()}
	}
	bound, err := d.dial(ctx, s.Target)
	if err != nil {
		return "", err
	}
	defer bound.Close()
	conn, host := net.Conn(bound), s.httpHost()
	if s.Kind == HTTPS {
		if conn, err = d.startTLS(bound, hostName(host), s.HTTP.Insecure); err != nil {
			return "", err
		}
	}
	if err := writeRequest(conn, s.HTTP.Path, host); err != nil {
		return "", err
	}
	return readResponse(conn, accepted)
}

// httpHost is the Host header: the configured one, or the target, with its port
// unless that is the scheme's own.
func (s Spec) httpHost() string {
	own := map[Kind]uint16{HTTP: 80, HTTPS: 443}[s.Kind]
	address := s.Target.Addr().WithZone("") // a zone means nothing to the server
	switch {
	case s.HTTP.Host != "":
		return s.HTTP.Host
	case s.Target.Port() != own:
		return netip.AddrPortFrom(address, s.Target.Port()).String()
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
