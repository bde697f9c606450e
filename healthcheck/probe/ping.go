package probe

import (
	"context"
	"net/netip"
)

// Ping sends an ICMP echo request (RFC 792, RFC 4443) and waits for the reply.
type Ping struct {
	// Size is the length of what is sent after the ICMP header, in bytes,
	// 0..65507.
	Size int
}

func (Ping) Type() string { return "ping" }

func (Ping) portless() {}

func (k Ping) Validate() error { return nil }

func (k Ping) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
