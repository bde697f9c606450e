package probe

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const (
	// maxHTTPReply is how much of a reply is read, head, body and framing, in
	// bytes.
	maxHTTPReply = 64 << 10
	// maxHTTPDigest is maxHTTPReply for a body that is digested, which must be
	// read to its end.
	maxHTTPDigest = 16 << 20
	// maxShownLines is how much of an unexpected body is taken down.
	maxShownLines = 4
)

// httpReply is a reply whose body has not been read yet. The body's source is
// bounded.
type httpReply struct {
	*http.Response
	source *boundedReader
}

func speakHTTP1(conn io.ReadWriter, call httpCall, protocol string, limit int) (httpReply, error) {
	if err := call.write(conn, protocol); err != nil {
		return httpReply{}, err
	}
	source := bounded(conn, limit)
	resp, err := readHead(bufio.NewReader(source), call.method)
	if err != nil {
		return httpReply{}, dialogueFailed("reply", cmp.Or(source.err, err))
	}
	return httpReply{resp, source}, nil
}

// readHead reads the head of the final reply, past interim ones (RFC 9110
// 15.2).
func readHead(r *bufio.Reader, method string) (*http.Response, error) {
	request := &http.Request{Method: method}
	for {
		resp, err := http.ReadResponse(r, request)
		if err != nil || resp.StatusCode/100 != 1 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, err
		}
	}
}

// seen is the reply in few words.
func (r httpReply) seen() string {
	return "status " + strings.TrimSpace(r.Status)
}

func (r httpReply) tell(said *transcript) {
	said.received(r.Proto + " " + r.Status)
	if r.isRedirect() {
		said.received("Location: " + r.Header.Get("Location"))
	}
}

// isRedirect reports whether the reply names another place to ask. Without a
// Location it is a final answer.
func (r httpReply) isRedirect() bool {
	switch r.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return r.Header.Get("Location") != ""
	}
	return false
}

// read copies the body to w. It is cut if it was longer than is read.
func (r httpReply) read(w io.Writer) (cut bool, err error) {
	_, err = io.Copy(w, r.Body)
	switch {
	case err == nil:
		return false, nil
	case r.source.left == 0:
		return true, nil
	case r.endsByClosing() && errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil
	}
	return false, dialogueFailed("body after "+r.seen(), cmp.Or(r.source.err, err))
}

// endsByClosing reports whether only the end of the connection ends the body.
// Many servers then close without TLS's farewell, which reads as truncated.
func (r httpReply) endsByClosing() bool {
	return r.ProtoMajor == 1 && r.ContentLength < 0 && len(r.TransferEncoding) == 0
}

// expectation is what a reply must be.
type expectation struct {
	status          StatusSet
	contains        string
	regex, notRegex *regexp.Regexp
	digest          digest
}

// limit is how much of the reply is to be read.
func (e expectation) limit() int {
	if e.digest.start != nil {
		return maxHTTPDigest
	}
	return maxHTTPReply
}

func (e expectation) searches() bool {
	return e.contains != "" || e.regex != nil || e.notRegex != nil
}

// check reads the body, so that a server that stops within it is found out, and
// says what was seen.
func (e expectation) check(reply httpReply, said *transcript) (string, error) {
	seen := reply.seen()
	if !e.status.Contains(reply.StatusCode) {
		return seen, &failure{L7STS, seen}
	}
	var begin prefix
	var sum hash.Hash
	into := io.Discard
	switch {
	case e.digest.start != nil:
		sum = e.digest.start()
		into = io.MultiWriter(&begin, sum)
	case e.searches():
		into = &begin
	}
	cut, err := reply.read(into)
	if err != nil {
		return seen, err
	}
	begin.full = begin.full || cut
	if wrong := e.judge(begin, sum, cut); wrong != "" {
		begin.tell(said)
		return seen, &failure{L7STS, seen + ", " + wrong}
	}
	if begin.full && e.searches() {
		seen += ", of a body cut at 64 KiB"
	}
	return seen, nil
}

// judge says what is wrong with a body, or nothing.
func (e expectation) judge(begin prefix, sum hash.Hash, cut bool) string {
	within := "the body"
	if begin.full {
		within = "what was read of the body, which was cut at 64 KiB"
	}
	switch body := begin.bytes; {
	case e.contains != "" && !bytes.Contains(body, []byte(e.contains)):
		return fmt.Sprintf("but %q is not in %s", shorten(e.contains), within)
	case e.regex != nil && !e.regex.Match(body):
		return fmt.Sprintf("but %q does not match %s", shorten(e.regex.String()), within)
	case e.notRegex != nil && e.notRegex.Match(body):
		return fmt.Sprintf("but %q matches the body", shorten(e.notRegex.String()))
	case sum == nil:
		return ""
	case cut:
		return fmt.Sprintf("but the body is too long for a digest: reply of more than %d bytes", maxHTTPDigest)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != e.digest.sum {
		return "but the digest of the body is " + e.digest.name + ":" + got
	}
	return ""
}

// shorten makes room beside the pattern for what is said of it.
func shorten(pattern string) string {
	const most = 60
	if len(pattern) <= most {
		return pattern
	}
	return pattern[:most-3] + "..."
}

// prefix keeps the first maxHTTPReply bytes written to it.
type prefix struct {
	bytes []byte
	full  bool // there was more
}

func (p *prefix) Write(b []byte) (int, error) {
	kept := b[:min(len(b), maxHTTPReply-len(p.bytes))]
	p.bytes = append(p.bytes, kept...)
	p.full = p.full || len(kept) < len(b)
	return len(b), nil
}

// tell takes down how the body begins.
func (p *prefix) tell(said *transcript) {
	shown := 0
	for line := range bytes.Lines(p.bytes) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		if shown++; shown > maxShownLines {
			return
		}
		said.received(string(line))
	}
}

// boundedReader ends with an error when as much as left has been read. It keeps
// the error that ended it: a parser that is left with half a line calls that
// malformed, and hides that the server stopped.
type boundedReader struct {
	r           io.Reader
	limit, left int
	err         error
}

func bounded(r io.Reader, limit int) *boundedReader {
	return &boundedReader{r: r, limit: limit, left: limit}
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.err = fmt.Errorf("more than %d bytes", b.limit)
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	b.err = err
	return n, err
}
