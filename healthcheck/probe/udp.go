package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// maxUDPPayload is what fits into a datagram over IPv4, in bytes.
const maxUDPPayload = 65507

// UDP sends a datagram. That the port is unreachable is down; silence is up,
// unless a reply is required.
//
// Silence is waited for until nine tenths of the timeout have passed: that is
// how long each such probe of a server takes, and an ICMP error that comes later
// is not heard.
type UDP struct {
	// Payload is what is sent; empty is an empty datagram.
	Payload string
	// Required makes silence a failure.
	Required bool
	// Reply is what a reply must begin with: hexadecimal digits, of which X
	// stands for any; empty is anything.
	Reply string
	// MinLength and MaxLength bound the length of a reply, in bytes; MaxLength 0
	// is any.
	MinLength, MaxLength int
}

// Type is "udp".
func (UDP) Type() string { return "udp" }

// Validate returns what is wrong with the options.
func (k UDP) Validate() error {
	var errs []error
	if len(k.Payload) > maxUDPPayload {
		errs = append(errs, fmt.Errorf("payload has %d bytes, a datagram at most %d", len(k.Payload), maxUDPPayload))
	}
	pattern, err := parseHexPattern(k.Reply)
	errs = append(errs, err)
	if k.MinLength < 0 || k.MaxLength < 0 || k.MinLength > maxUDPPayload || k.MaxLength > maxUDPPayload {
		errs = append(errs, fmt.Errorf("length of a reply must be 0 to %d bytes, got %d and %d", maxUDPPayload, k.MinLength, k.MaxLength))
	}
	if k.MaxLength > 0 && k.MaxLength < max(k.MinLength, len(pattern)) {
		errs = append(errs, fmt.Errorf("no reply is %d bytes or more and %d or less", max(k.MinLength, len(pattern)), k.MaxLength))
	}
	return errors.Join(errs...)
}

// ask sends, and waits for what comes of it.
func (k UDP) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	wait, cancel := k.patience(ctx)
	defer cancel()
	conn, err := d.dialUDP(wait, to)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	begun := time.Now()
	d.said.sent(inHex(k.Payload))
	if _, err := conn.Write([]byte(k.Payload)); err != nil {
		return answer{}, packetFailed("send", conn, err)
	}
	buffer := make([]byte, k.enough())
	n, err := conn.Read(buffer)
	switch {
	case err != nil && !k.Required && timedOut(err) && ctx.Err() == nil:
		return answer{seen: fmt.Sprintf("nothing against it in %v", time.Since(begun).Round(time.Millisecond)), code: L4OK}, nil
	case err != nil:
		return answer{}, packetFailed("reply", conn, err)
	}
	d.said.received(inHex(string(buffer[:n])))
	return k.judge(buffer[:n])
}

// patience is ctx, or ends a little before it where silence is an answer.
func (k UDP) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if k.Required || !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)*9/10)
}

// enough is how much of a reply is read: more does not change the verdict.
func (k UDP) enough() int {
	return max(len(k.Reply), k.MinLength, k.MaxLength) + 64
}

// judge looks at a reply.
func (k UDP) judge(reply []byte) (answer, error) {
	size := fmt.Sprintf("reply: %d bytes", len(reply))
	pattern, err := parseHexPattern(k.Reply)
	switch {
	case err != nil:
		return answer{}, &failure{SOCKERR, err.Error()}
	case len(reply) < k.MinLength:
		return answer{}, &failure{L7RSP, fmt.Sprintf("%s, fewer than %d", size, k.MinLength)}
	case k.MaxLength > 0 && len(reply) > k.MaxLength:
		return answer{}, &failure{L7RSP, fmt.Sprintf("%s or more, more than %d", size, k.MaxLength)}
	case !pattern.begins(reply):
		return answer{}, &failure{L7RSP, fmt.Sprintf("%s, which do not begin with %s: %x", size, k.Reply, reply[:min(len(reply), 32)])}
	}
	return answer{seen: size}, nil
}

func inHex(datagram string) string {
	if len(datagram) > 64 {
		return fmt.Sprintf("%d bytes: %x...", len(datagram), datagram[:64])
	}
	return strings.TrimSuffix(fmt.Sprintf("%d bytes: %x", len(datagram), datagram), ": ")
}

// hexPattern is bytes, of which the bits in the mask matter.
type hexPattern []struct{ value, mask byte }

// parseHexPattern reads pairs of hexadecimal digits and X; spaces between pairs
// are for people.
func parseHexPattern(text string) (hexPattern, error) {
	digits := strings.ReplaceAll(text, " ", "")
	if len(digits)%2 != 0 {
		return nil, fmt.Errorf("reply pattern %q is not pairs of digits", text)
	}
	pattern := make(hexPattern, len(digits)/2)
	for i := range digits {
		value, mask, ok := hexDigit(digits[i])
		if !ok {
			return nil, fmt.Errorf("reply pattern %q has %q, want hexadecimal digits, and X for any", text, digits[i:i+1])
		}
		p := &pattern[i/2]
		p.value, p.mask = p.value<<4|value, p.mask<<4|mask
	}
	return pattern, nil
}

func hexDigit(c byte) (value, mask byte, ok bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', 0xf, true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, 0xf, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, 0xf, true
	}
	return 0, 0, c == 'x' || c == 'X'
}

// begins reports whether b begins with the pattern.
func (p hexPattern) begins(b []byte) bool {
	if len(b) < len(p) {
		return false
	}
	for i, want := range p {
		if (b[i]^want.value)&want.mask != 0 {
			return false
		}
	}
	return true
}
