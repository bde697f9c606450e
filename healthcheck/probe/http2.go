package probe

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// http2Stream is the only stream of a connection: the first that a client may
// open.
const http2Stream = 1

// maxHTTP2Frame is the size of frames that a server may send to who does not say
// otherwise (RFC 9113 6.5.2).
const maxHTTP2Frame = 16 << 10

// http2Client speaks HTTP/2 (RFC 9113) for one request. It reads and writes in
// turn, in the goroutine of the probe: http2.Transport would leave its own behind,
// and tell less of what went wrong.
type http2Client struct {
	conn   io.Writer
	source *boundedReader
	in     *bufio.Reader
	// frames writes to out, which flush sends.
	frames *http2.Framer
	out    bytes.Buffer
}

// speakHTTP2 makes one request. The server learns that it may send as much of a
// body as will be read, so that nothing need be granted later.
func speakHTTP2(conn io.ReadWriter, call httpCall, limit int) (httpReply, error) {
	c := &http2Client{conn: conn, source: bounded(conn, limit)}
	c.in = bufio.NewReader(c.source)
	c.frames = http2.NewFramer(&c.out, c.in)
	c.frames.SetReuseFrames()
	c.frames.SetMaxReadFrameSize(maxHTTP2Frame)
	c.frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.frames.MaxHeaderListSize = maxHTTPReply
	if err := c.request(call, uint32(limit)); err != nil {
		return httpReply{}, dialogueFailed("request", err)
	}
	resp, err := c.reply(call.method)
	if err != nil {
		return httpReply{}, dialogueFailed("reply", cmp.Or(c.source.err, err))
	}
	return httpReply{resp, c.source}, nil
}

func (c *http2Client) request(call httpCall, window uint32) error {
	c.out.WriteString(http2.ClientPreface)
	// Writing to c.out cannot fail.
	_ = c.frames.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHTTPReply},
	)
	_ = c.frames.WriteWindowUpdate(0, window)
	_ = c.frames.WriteHeaders(http2.HeadersFrameParam{
		StreamID: http2Stream, BlockFragment: call.block(), EndHeaders: true, EndStream: len(call.body) == 0,
	})
	if len(call.body) > 0 {
		_ = c.frames.WriteData(http2Stream, true, call.body)
	}
	return c.flush()
}

// block is the header in the form of HTTP/2.
func (c httpCall) block() []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	add := func(name, value string) {
		_ = encoder.WriteField(hpack.HeaderField{Name: name, Value: value, Sensitive: name == "authorization"})
	}
	add(":method", c.method)
	add(":scheme", c.scheme)
	add(":authority", c.host)
	add(":path", c.path)
	for _, field := range c.header {
		add(strings.ToLower(field.name), field.value)
	}
	if c.saysLength() {
		add("content-length", "0")
	}
	return b.Bytes()
}

func (c *http2Client) flush() error {
	_, err := c.conn.Write(c.out.Bytes())
	c.out.Reset()
	return err
}

// reply reads the head of the final reply.
func (c *http2Client) reply(method string) (*http.Response, error) {
	if err := c.greeting(); err != nil {
		return nil, err
	}
	for {
		frame, err := c.next()
		if err != nil {
			return nil, err
		}
		head, ok := frame.(*http2.MetaHeadersFrame)
		if !ok {
			return nil, errors.New("a body without a head")
		}
		resp, err := c.response(head, method)
		if err != nil || resp.StatusCode/100 != 1 {
			return resp, err
		}
		if head.StreamEnded() {
			return nil, errors.New("ended by an interim reply")
		}
	}
}

// greeting reads what a server begins with: SETTINGS, or words of HTTP/1 if it
// does not know better.
func (c *http2Client) greeting() error {
	begin, err := c.in.Peek(5)
	switch {
	case err != nil:
		return err
	case string(begin) == "HTTP/":
		return errors.New("the server speaks HTTP/1, not HTTP/2")
	}
	frame, err := c.read()
	if err != nil {
		return err
	}
	settings, ok := frame.(*http2.SettingsFrame)
	if !ok || settings.IsAck() {
		return fmt.Errorf("begins with %v, not SETTINGS", frame.Header().Type)
	}
	return c.frames.WriteSettingsAck()
}

func (c *http2Client) read() (http2.Frame, error) {
	frame, err := c.frames.ReadFrame()
	detail := c.frames.ErrorDetail()
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.ErrUnexpectedEOF // the connection's end is not the body's
	case err != nil && detail != nil:
		return nil, fmt.Errorf("%w: %w", err, detail)
	}
	return frame, err
}

// next reads the next frame that belongs to the reply, its head, trailer or a
// part of its body, and sees to the connection meanwhile.
func (c *http2Client) next() (http2.Frame, error) {
	for {
		if c.out.Len() > 0 {
			// A server that has said all may be gone. One that does not read
			// is found out by reading.
			_ = c.flush()
		}
		frame, err := c.read()
		if err != nil {
			return nil, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.frames.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = c.frames.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo || f.LastStreamID < http2Stream {
				err = fmt.Errorf("the server goes away: %v %q", f.ErrCode, f.DebugData())
			}
		case *http2.RSTStreamFrame:
			err = fmt.Errorf("stream reset by the server: %v", f.ErrCode)
		case *http2.PushPromiseFrame:
			err = errors.New("PUSH_PROMISE, which was forbidden")
		case *http2.MetaHeadersFrame, *http2.DataFrame:
			if f.Header().StreamID == http2Stream {
				return f, nil
			}
			err = fmt.Errorf("%v of stream %d, which is not open", f.Header().Type, f.Header().StreamID)
		}
		if err != nil {
			return nil, err
		}
	}
}

// response makes a response of the head, whose body is yet to come.
func (c *http2Client) response(head *http2.MetaHeadersFrame, method string) (*http.Response, error) {
	if head.Truncated {
		return nil, fmt.Errorf("headers of more than %d bytes", maxHTTPReply)
	}
	text := head.PseudoValue("status")
	status, err := strconv.Atoi(text)
	if err != nil || len(text) != 3 || status < 0 {
		return nil, fmt.Errorf("malformed HTTP status code %q", text)
	}
	resp := &http.Response{
		Status: strings.TrimSpace(text + " " + http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: fieldsOf(head), ContentLength: -1,
	}
	if length, err := strconv.ParseUint(resp.Header.Get("Content-Length"), 10, 63); err == nil {
		resp.ContentLength = int64(length)
	}
	resp.Body = &http2Body{client: c, resp: resp, ended: head.StreamEnded(), bodiless: method == http.MethodHead || status == http.StatusNotModified}
	return resp, nil
}

func fieldsOf(head *http2.MetaHeadersFrame) http.Header {
	h := http.Header{}
	for _, field := range head.RegularFields() {
		h.Add(field.Name, field.Value)
	}
	return h
}

// http2Body reads the frames of a body, and the trailer after it.
type http2Body struct {
	client *http2Client
	resp   *http.Response
	// unread is the rest of a frame.
	unread   []byte
	received int64
	ended    bool
	// bodiless replies have a length that is not theirs.
	bodiless bool
}

func (b *http2Body) Close() error { return nil }

func (b *http2Body) Read(p []byte) (int, error) {
	for len(b.unread) == 0 {
		if b.ended {
			return 0, b.complete()
		}
		frame, err := b.client.next()
		if err != nil {
			return 0, err
		}
		if err := b.take(frame); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.unread)
	b.unread = b.unread[n:]
	return n, nil
}

func (b *http2Body) take(frame http2.Frame) error {
	switch f := frame.(type) {
	case *http2.DataFrame:
		b.unread, b.ended = f.Data(), f.StreamEnded()
		b.received += int64(len(b.unread))
	case *http2.MetaHeadersFrame:
		if !f.StreamEnded() {
			return errors.New("a second head")
		}
		b.resp.Trailer, b.ended = fieldsOf(f), true
	}
	return nil
}

// complete is io.EOF, unless the server announced another length (RFC 9113
// 8.1.1).
func (b *http2Body) complete() error {
	if want := b.resp.ContentLength; want >= 0 && want != b.received && !b.bodiless {
		return fmt.Errorf("%d bytes, %d were announced", b.received, want)
	}
	return io.EOF
}
