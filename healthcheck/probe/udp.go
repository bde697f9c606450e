package probe

import (
	"context"
	"net/netip"
)

// UDP sends a datagram. That the port is unreachable is down; silence is up,
// unless a reply is required.
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

func (UDP) Type() string { return "udp" }

func (k UDP) Validate() error { return nil }

func (k UDP) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
