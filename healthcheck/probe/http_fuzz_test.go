package probe

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// spoken is a connection on which the server has said all it will, and has heard
// nothing.
type spoken struct{ io.Reader }

func (spoken) Write(p []byte) (int, error) { return len(p), nil }

func FuzzHTTPReply(f *testing.F) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, reply := range []string{
		ok + "Content-Length: 4\r\n\r\nbody", ok + "\r\nbody", ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n" + ok + "\r\n", "HTTP/1.0 302 Found\r\nLocation: //a/b\r\n\r\n", "HTTP/1.1 999 hm\r\n\r\n",
		"HTTP/1.1 500 \x1b[31mred\r\n\r\n", "220 mx ESMTP\r\n", "", settings() + head(true, ":status", "200"),
		settings() + head(false, ":status", "200", "content-length", "4") + data(true, "body"),
		settings() + head(false, ":status", "302", "location", "/x") + data(false, "a") + head(true, "grpc-status", "0"), hpackBomb(),
	} {
		f.Add([]byte(reply), false)
		f.Add([]byte(reply), true)
	}
	request := HTTPRequest{Path: "/", Status: "200-299,302", Contains: "o", Headers: ListOf("X-Token: secret")}
	want, err := request.expectation()
	if err != nil {
		f.Fatal(err)
	}
	call := web.call(anywhere, request)
	f.Fuzz(func(t *testing.T, said []byte, second bool) {
		conn := spoken{bytes.NewReader(said)}
		var reply httpReply
		var err error
		if second {
			reply, err = speakHTTP2(conn, call, maxHTTPReply)
		} else {
			reply, err = speakHTTP1(conn, call, "HTTP/1.1", maxHTTPReply)
		}
		if err != nil {
			return
		}
		if next, err := call.redirected(reply, anywhere); err == nil && (!strings.HasPrefix(next.path, "/") || !isWord(next.path)) {
			t.Errorf("leads to %q", next.path)
		}
		var told transcript
		reply.tell(&told)
		seen, err := want.check(reply, &told)
		if err == nil && !bytes.Contains(said, []byte("o")) && !second {
			t.Errorf("%q passes with %q", said, seen)
		}
		if strings.Contains(told.String(), "secret") {
			t.Errorf("said %q", told.String())
		}
	})
}
