package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

const (
	// maxBanner is how much is received for one step, in bytes.
	maxBanner = 64 << 10
	// maxMatched is how much the expression of one step is matched against, in
	// bytes: all that was received, each time that more was. A server that
	// writes byte by byte would otherwise cost this host time that grows as the
	// square of what it says.
	maxMatched = 4 << 20
	// maxQuoted is how much a reason quotes, in bytes.
	maxQuoted = 64
)

// bannerClient is this end of a Banner's connection.
type bannerClient struct {
	conn net.Conn
	said *transcript
	// received is what no step has matched yet; the first of its bytes may have
	// been taken down with the line before.
	received []byte
	shown    int
}

// carryOut returns the lines in which the match is; name is the step's.
func (c *bannerClient) carryOut(name string, s Step) (matched string, err error) {
	m, err := s.matcher()
	if err != nil {
		return "", &failure{SOCKERR, name + ": " + err.Error()}
	}
	if err := c.send(name, s); err != nil {
		return "", err
	}
	if m == nil {
		return "", nil
	}
	start, end, err := c.await(name, m)
	if err != nil {
		return "", err
	}
	return c.consume(start, end), nil
}

// consume takes a match off what was received. What it returns and takes down
// are whole lines, as far as they are there.
func (c *bannerClient) consume(start, end int) string {
	first := bytes.LastIndexByte(c.received[:start], '\n') + 1
	last := end
	if !bytes.HasSuffix(c.received[:end], []byte{'\n'}) {
		if newline := bytes.IndexByte(c.received[end:], '\n'); newline >= 0 {
			last += newline + 1
		} else {
			last = len(c.received)
		}
	}
	takeDown(c.said.received, string(c.received[min(c.shown, last):last]))
	matched := string(c.received[first:last])
	c.received, c.shown = c.received[end:], max(c.shown, last)-end
	return matched
}

func (c *bannerClient) send(name string, s Step) error {
	switch {
	case s.Send == "":
		return nil
	case s.Secret:
		c.said.sent("...")
	default:
		takeDown(c.said.sent, s.Send)
	}
	if _, err := io.WriteString(c.conn, s.Send); err != nil {
		return dialogueFailed(name+": send", err)
	}
	return nil
}

// await receives until m matches, and returns where.
func (c *bannerClient) await(name string, m *matcher) (start, end int, err error) {
	var ended error
	for matched := 0; ; {
		if start, end, ok := m.find(c.received); ok {
			return start, end, nil
		}
		matched += len(c.received)
		switch {
		case ended != nil:
			return 0, 0, c.failed(name, ended)
		case len(c.received) >= maxBanner:
			return 0, 0, c.failed(name, fmt.Errorf("no match in %d bytes", maxBanner))
		case matched > maxMatched:
			return 0, 0, c.failed(name, fmt.Errorf("no match in %d bytes that came in small pieces", len(c.received)))
		}
		ended = c.receive()
	}
}

// receive waits for more.
func (c *bannerClient) receive() error {
	var buffer [4096]byte
	n, err := c.conn.Read(buffer[:min(len(buffer), maxBanner-len(c.received))])
	c.received = append(c.received, buffer[:n]...)
	return err
}

// failed is the failure of a step; it quotes the beginning of what was received
// for it.
func (c *bannerClient) failed(step string, err error) error {
	text := c.said.hide(string(c.received[c.shown:])) // before it is cut
	takeDown(c.said.received, text)
	received := ", nothing was received"
	if text != "" {
		received = fmt.Sprintf(", received %q", text[:min(len(text), maxQuoted)])
		if len(text) > maxQuoted {
			received += "..."
		}
	}
	f := &failure{}
	if errors.As(dialogueFailed(step, err), &f) {
		f.reason += received
	}
	return f
}

// takeDown takes down the lines of a text.
func takeDown(say func(string), text string) {
	for line := range strings.Lines(text) {
		say(strings.TrimRight(line, "\r\n"))
	}
}
