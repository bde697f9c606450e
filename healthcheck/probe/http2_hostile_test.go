package probe

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"golang.org/x/net/http2"
)

// hpackBomb is a block of few bytes that says much: the field that it defines,
// again and again.
func hpackBomb() string {
	block := append(fields(":status", "200", "x", strings.Repeat("x", 4000)), bytes.Repeat([]byte{0x80 | 62}, 10000)...)
	return frames(func(f *http2.Framer) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true})
	})
}

// A server that never ends is read up to the limit and no further.
func TestHTTP2Hostile(t *testing.T) {
	after := func(said string, then func(net.Conn)) func(net.Conn) {
		return afterHTTP2Request(func(conn net.Conn) {
			_, _ = io.WriteString(conn, said)
			then(conn)
		})
	}
	frame := func(write func(*http2.Framer) error) string {
		return frames(func(f *http2.Framer) { _ = write(f) })
	}
	ping := frame(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) })
	open := frame(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(":status", "200")})
	})
	more := func(size int) string {
		return frame(func(f *http2.Framer) error {
			return f.WriteContinuation(1, false, fields("x", strings.Repeat("x", size)))
		})
	}
	padded := frame(func(f *http2.Framer) error { return f.WriteDataPadded(1, false, nil, make([]byte, 255)) })
	for name, test := range map[string]struct {
		handle func(net.Conn)
		code   Code
		reason string
	}{
		"endless PING":               {after(settings(), servertest.Flood(strings.Repeat(ping, 100))), L7RSP, "reply: more than 65536 bytes"},
		"endless SETTINGS":           {after(settings(), servertest.Flood(strings.Repeat(settings(), 100))), L7RSP, "reply: more than 65536 bytes"},
		"endless CONTINUATION":       {after(settings()+open, servertest.Flood(more(1000))), L7RSP, "reply: "},
		"endless empty CONTINUATION": {after(settings()+open, servertest.Flood(frame(func(f *http2.Framer) error { return f.WriteContinuation(1, false, nil) }))), L7RSP, "reply: more than 65536 bytes"},
		"endless interim replies":    {after(settings(), servertest.Flood(head(false, ":status", "100"))), L7RSP, "reply: more than 65536 bytes"},
		"endless DATA":               {after(settings()+head(false, ":status", "200"), servertest.Flood(data(false, strings.Repeat("x", 10000)))), L7OK, "status 200 OK"},
		"endless empty DATA":         {after(settings()+head(false, ":status", "200"), servertest.Flood(data(false, ""))), L7OK, "status 200 OK"},
		"endless padding":            {after(settings()+head(false, ":status", "200"), servertest.Flood(padded)), L7OK, "status 200 OK"},
		"endless DATA by length":     {after(settings()+head(false, ":status", "200", "content-length", "9000000000"), servertest.Flood(data(false, strings.Repeat("x", 10000)))), L7OK, "status 200 OK"},
		"few bytes that say much":    {after(settings()+hpackBomb(), servertest.Silent), L7RSP, "reply: headers of more than 65536 bytes"},
		"endless frame":              {after(settings()+"\xff\xff\xff\x00\x00\x00\x00\x00\x01", servertest.Flood("x")), L7RSP, "reply: http2: frame too large"},
		"garbage":                    {after("", servertest.Flood("\x00\x01\x02\x03")), L7RSP, "reply: "},
		"reset":                      {after("", reset), L7RSP, "reply: connection reset by peer"},
		"reset in the body":          {after(settings()+head(false, ":status", "200")+data(false, "x"), reset), L7RSP, "body after status 200 OK: "},
	} {
		t.Run(name, func(t *testing.T) {
			var read atomic.Int64
			counting := dialer{connect: func(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
				conn, err := Route{}.connectTCP(ctx, target)
				return countingConn{conn, &read}, err
			}}
			r := counting.ask(t.Context(), of(web2, servertest.Serve(t, test.handle)))
			if name == "reset in the body" && strings.HasPrefix(r.Reason, "reply: ") {
				return // the reset overtook what was said
			}
			expectResult(t, r, test.code, test.reason)
			if n := read.Load(); n > maxHTTPReply {
				t.Errorf("read %d bytes", n)
			}
		})
	}
	expectResult(t, of(web2, servertest.Refusing(t)).Ask(t.Context()), L4CON, "connect: connection refused")
}

// Whatever a server of HTTP/2 does, the probe is over at its timeout, and nothing
// of it is left: a bubble does not end while a goroutine of it runs.
func TestHTTP2EndsAtItsTimeout(t *testing.T) {
	ping := frames(func(f *http2.Framer) { _ = f.WritePing(false, [8]byte{}) })
	begun := settings() + head(false, ":status", "200")
	noReader := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = io.WriteString(conn, text)
			<-time.After(time.Hour)
		}
	}
	for name, test := range map[string]struct {
		handle func(net.Conn)
		reason string
	}{
		"silent":               {servertest.Silent, "reply: timed out"},
		"request not read":     {func(net.Conn) { <-time.After(time.Hour) }, "request: timed out"},
		"no settings":          {afterHTTP2Request(servertest.Silent), "reply: timed out"},
		"settings only":        {afterHTTP2Request(says(settings())), "reply: timed out"},
		"ACK not read":         {afterHTTP2Request(noReader(settings())), "reply: timed out"},
		"drip":                 {afterHTTP2Request(drip(settings()+strings.Repeat(ping, 1000), time.Second/10)), "reply: timed out"},
		"drip of the body":     {afterHTTP2Request(func(c net.Conn) { drain(c); drip(begun+strings.Repeat(data(false, "x"), 1000), time.Second/10)(c) }), "body after status 200 OK: timed out"},
		"body never":           {afterHTTP2Request(says(begun)), "body after status 200 OK: timed out"},
		"PING now and then":    {afterHTTP2Request(func(c net.Conn) { drain(c); drip(settings()+strings.Repeat(ping, 1000), time.Second/20)(c) }), "reply: timed out"},
		"half a header":        {afterHTTP2Request(says(begun[:len(begun)-1])), "reply: timed out"},
		"half the frame's own": {afterHTTP2Request(says("\x00\x00")), "reply: timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := of(web2, anywhere)
				r.Timeout = 30 * time.Second
				got := piped(t, test.handle).ask(t.Context(), r)
				expectResult(t, got, L7TOUT, test.reason)
				if got.Duration != r.Timeout {
					t.Errorf("took %v, want %v", got.Duration, r.Timeout)
				}
			})
		})
	}
}

// drain reads what the client says meanwhile.
func drain(conn net.Conn) { go servertest.Silent(conn) }
