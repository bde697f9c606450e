package probe

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

var web2 = HTTP{Version: "2", Requests: web.Requests}

// Over TLS the server must agree to HTTP/2.
func TestHTTP2OverTLS(t *testing.T) {
	for name, test := range map[string]struct {
		protocols []string
		code      Code
		reason    string
	}{
		"agrees":           {[]string{"h2", "http/1.1"}, L7OK, "status 200 OK"},
		"has others only":  {[]string{"http/1.1"}, L6RSP, "tls: the server does not speak h2 (ALPN)"},
		"knows none of it": {nil, L6RSP, "tls: the server does not agree to h2 (ALPN)"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != "HTTP/2.0" || r.TLS.ServerName != "example.com" {
					t.Errorf("asked by %s for %q", r.Proto, r.TLS.ServerName)
				}
				_, _ = io.WriteString(w, "hello")
			}))
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.EnableHTTP2 = len(test.protocols) > 0 && test.protocols[0] == "h2"
			server.TLS = &tls.Config{NextProtos: test.protocols, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
				if test.protocols != nil {
					return nil, nil
				}
				return &tls.Config{Certificates: server.TLS.Certificates}, nil
			}}
			server.StartTLS()
			defer server.Close()
			k := HTTP{Secure: true, Version: "2", Host: "example.com", TLS: TLS{Insecure: true}, Requests: ListOf(HTTPRequest{Path: "/", Status: "200", Contains: "hello"})}
			expectResult(t, of(k, servertest.AddrPort(server.Listener.Addr())).Ask(t.Context()), test.code, test.reason)
		})
	}
}

// frames is what write writes, in the form of HTTP/2.
func frames(write func(*http2.Framer)) string {
	var b bytes.Buffer
	framer := http2.NewFramer(&b, nil)
	framer.AllowIllegalWrites = true
	write(framer)
	return b.String()
}

func settings() string { return frames(func(f *http2.Framer) { _ = f.WriteSettings() }) }

// fields is a block of headers: names and values by turns.
func fields(pairs ...string) []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return b.Bytes()
}

func head(end bool, pairs ...string) string {
	return frames(func(f *http2.Framer) {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(pairs...), EndHeaders: true, EndStream: end})
	})
}

func data(end bool, text string) string {
	return frames(func(f *http2.Framer) { _ = f.WriteData(1, end, []byte(text)) })
}

// afterHTTP2Request reads the preface and the request, and goes on with then.
func afterHTTP2Request(then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
		for framer := http2.NewFramer(nil, conn); ; {
			if frame, err := framer.ReadFrame(); err != nil || frame.Header().Flags.Has(http2.FlagHeadersEndStream) && frame.Header().StreamID == 1 {
				break
			}
		}
		then(conn)
	}
}

// says writes text and hears whatever comes until the client has closed.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		servertest.Silent(conn)
	}
}

// saysAndCloses writes text and closes; it goes on hearing, so that the client
// reads an end and no reset.
func saysAndCloses(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.TCPConn).CloseWrite()
		servertest.Silent(conn)
	}
}

func TestHTTP2Replies(t *testing.T) {
	ok := settings() + head(true, ":status", "200")
	frame := func(write func(*http2.Framer) error) string {
		return frames(func(f *http2.Framer) { _ = write(f) })
	}
	goAway := func(last uint32, code http2.ErrCode) string {
		return frame(func(f *http2.Framer) error { return f.WriteGoAway(last, code, []byte("calm down")) })
	}
	unknown := frame(func(f *http2.Framer) error { return f.WriteRawFrame(0xfa, 0, 0, []byte("?")) })
	ping := frame(func(f *http2.Framer) error { return f.WritePing(false, [8]byte{1}) })
	window := frame(func(f *http2.Framer) error { return f.WriteWindowUpdate(0, 100) })
	reset := frame(func(f *http2.Framer) error { return f.WriteRSTStream(1, http2.ErrCodeRefusedStream) })
	push := frame(func(f *http2.Framer) error {
		return f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: fields(":method", "GET"), EndHeaders: true})
	})
	foreign := frame(func(f *http2.Framer) error { return f.WriteData(3, true, nil) })
	continued := frame(func(f *http2.Framer) error {
		return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(":status", "200"), EndStream: true})
	})
	for name, test := range map[string]struct {
		reply  string
		code   Code
		reason string
	}{
		"no body":               {ok, L7OK, "status 200 OK"},
		"body":                  {settings() + head(false, ":status", "200") + data(false, "some") + data(true, "body"), L7OK, "status 200 OK"},
		"body by length":        {settings() + head(false, ":status", "200", "content-length", "8") + data(false, "some") + data(true, "body"), L7OK, "status 200 OK"},
		"trailer":               {settings() + head(false, ":status", "200") + data(false, "body") + head(true, "x-sum", "1"), L7OK, "status 200 OK"},
		"no, with a body":       {settings() + head(false, ":status", "503"), L7STS, "status 503 Service Unavailable"},
		"status without a name": {settings() + head(true, ":status", "299"), L7OK, "status 299"},
		"interim replies":       {settings() + head(false, ":status", "103", "link", "x") + head(false, ":status", "100") + head(true, ":status", "204"), L7OK, "status 204 No Content"},
		"PING and others":       {settings() + ping + window + unknown + settings() + head(false, ":status", "200") + ping + data(true, ""), L7OK, "status 200 OK"},
		"goes away after it":    {settings() + goAway(1, http2.ErrCodeNo) + head(true, ":status", "200"), L7OK, "status 200 OK"},
		"continued":             {settings() + continued + frame(func(f *http2.Framer) error { return f.WriteContinuation(1, true, fields("x", "y")) }), L7OK, "status 200 OK"},
		"goes away instead":     {settings() + goAway(0, http2.ErrCodeNo), L7RSP, `reply: the server goes away: NO_ERROR "calm down"`},
		"goes away in anger":    {settings() + goAway(1, http2.ErrCodeEnhanceYourCalm), L7RSP, `reply: the server goes away: ENHANCE_YOUR_CALM "calm down"`},
		"nothing":               {"", L7RSP, "reply: closed by the server"},
		"settings only":         {settings(), L7RSP, "reply: closed by the server"},
		"half a frame":          {settings() + ok[:len(ok)-2], L7RSP, "reply: closed by the server"},
		"no settings":           {head(true, ":status", "200"), L7RSP, "reply: begins with HEADERS, not SETTINGS"},
		"settings by and by":    {ping + ok, L7RSP, "reply: begins with PING, not SETTINGS"},
		"HTTP/1":                {"HTTP/1.1 400 Bad Request\r\n\r\n", L7RSP, "reply: the server speaks HTTP/1, not HTTP/2"},
		"not HTTP":              {"220 mx ESMTP\r\n", L7RSP, "reply: http2: frame too large"},
		"reset":                 {settings() + reset, L7RSP, "reply: stream reset by the server: REFUSED_STREAM"},
		"reset in the body":     {settings() + head(false, ":status", "200") + data(false, "some") + reset, L7RSP, "body after status 200 OK: stream reset by the server: REFUSED_STREAM"},
		"half a body":           {settings() + head(false, ":status", "200") + data(false, "some"), L7RSP, "body after status 200 OK: closed by the server"},
		"less than announced":   {settings() + head(false, ":status", "200", "content-length", "8") + data(true, "some"), L7RSP, "body after status 200 OK: 4 bytes, 8 were announced"},
		"more than announced":   {settings() + head(false, ":status", "200", "content-length", "3") + data(true, "some"), L7RSP, "body after status 200 OK: 4 bytes, 3 were announced"},
		"announced for nothing": {settings() + head(true, ":status", "200", "content-length", "3"), L7RSP, "body after status 200 OK: 0 bytes, 3 were announced"},
		"body first":            {settings() + data(true, "some"), L7RSP, "reply: a body without a head"},
		"two heads":             {settings() + head(false, ":status", "200") + head(false, ":status", "200"), L7RSP, "body after status 200 OK: a second head"},
		"interim and no more":   {settings() + head(true, ":status", "100"), L7RSP, "reply: ended by an interim reply"},
		"no status":             {settings() + head(true, "server", "x"), L7RSP, `reply: malformed HTTP status code ""`},
		"status of four digits": {settings() + head(true, ":status", "0200"), L7RSP, `reply: malformed HTTP status code "0200"`},
		"status below zero":     {settings() + head(true, ":status", "-10"), L7RSP, `reply: malformed HTTP status code "-10"`},
		"capital in a name":     {settings() + head(true, ":status", "200", "X-Sum", "1"), L7RSP, "reply: stream error: stream ID 1; PROTOCOL_ERROR"},
		"line in a value":       {settings() + head(true, ":status", "200", "x-sum", "1\r\n2"), L7RSP, "reply: stream error: stream ID 1; PROTOCOL_ERROR"},
		"push":                  {settings() + push, L7RSP, "reply: PUSH_PROMISE, which was forbidden"},
		"another stream":        {settings() + foreign, L7RSP, "reply: DATA of stream 3, which is not open"},
		"garbage for headers":   {settings() + "\x00\x00\x03\x01\x05\x00\x00\x00\x01\xff\xff\xff", L7RSP, "reply: connection error: COMPRESSION_ERROR"},
		"interrupted headers":   {settings() + continued + ping, L7RSP, "reply: connection error: PROTOCOL_ERROR"},
		"frame beyond bounds":   {settings() + "\x00\x40\x01\x00\x00\x00\x00\x00\x01", L7RSP, "reply: http2: frame too large"},
	} {
		t.Run(name, func(t *testing.T) {
			target := servertest.Serve(t, afterHTTP2Request(saysAndCloses(test.reply)))
			expectResult(t, of(web2, target).Ask(t.Context()), test.code, test.reason)
		})
	}
}

// A real server of HTTP/2 at the end of a pipe, and nothing left when the probe
// is over.
func TestHTTP2LeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := &http.Server{Protocols: &http.Protocols{}, ReadHeaderTimeout: time.Minute}
		server.Protocols.SetUnencryptedHTTP2(true)
		server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(3 * time.Second)
			_, _ = io.WriteString(w, "hello "+r.Host)
		})
		d := piped(t, func(conn net.Conn) { _ = server.Serve(&pipeEnd{Conn: conn}) })
		k := asking("2", HTTPRequest{Path: "/", Contains: "hello www.example"})
		k.Host = "www.example"
		r := d.ask(t.Context(), of(k, anywhere))
		expectResult(t, r, L7OK, "status 200 OK")
		if r.Duration != 3*time.Second {
			t.Errorf("took %v", r.Duration)
		}
	})
}

// pipeEnd is a listener that has one connection, and is closed with it.
type pipeEnd struct {
	net.Conn
	accepted bool
	closed   sync.Once
	done     chan struct{}
}

func (p *pipeEnd) Addr() net.Addr { return p.LocalAddr() }

func (p *pipeEnd) Accept() (net.Conn, error) {
	if p.accepted {
		<-p.done
		return nil, net.ErrClosed
	}
	p.accepted, p.done = true, make(chan struct{})
	return p, nil
}

func (p *pipeEnd) Close() error {
	p.closed.Do(func() { close(p.done) })
	return p.Conn.Close()
}

// Each PING is answered with what it said, each SETTINGS acknowledged.
func TestHTTP2Answers(t *testing.T) {
	target := servertest.Serve(t, afterHTTP2Request(func(conn net.Conn) {
		framer := http2.NewFramer(conn, conn)
		expect := func(what string, is func(http2.Frame) bool) {
			if frame, err := framer.ReadFrame(); err != nil || !is(frame) {
				t.Errorf("heard %v, %v; want %s", frame, err, what)
			}
		}
		acknowledges := func(f http2.Frame) bool {
			s, ok := f.(*http2.SettingsFrame)
			return ok && s.IsAck()
		}
		_ = framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0})
		expect("SETTINGS ACK", acknowledges)
		for i := range 3 {
			sent := [8]byte{}
			binary.BigEndian.PutUint64(sent[:], uint64(i))
			_ = framer.WritePing(false, sent)
			expect(fmt.Sprintf("PING ACK %v", sent), func(f http2.Frame) bool {
				p, ok := f.(*http2.PingFrame)
				return ok && p.IsAck() && p.Data == sent
			})
		}
		_ = framer.WritePing(true, [8]byte{}) // nobody answers that
		_ = framer.WriteSettings()
		expect("SETTINGS ACK", acknowledges)
		_, _ = io.WriteString(conn, head(true, ":status", "200"))
	}))
	expectResult(t, of(web2, target).Ask(t.Context()), L7OK, "status 200 OK")
}
