package probe

import (
	"context"
	"net/netip"
)

// GRPC asks grpc.health.v1.Health/Check, which must answer SERVING.
type GRPC struct {
	// Service is whose health is asked for; empty is the server's.
	Service string
	// Host is the :authority; empty is the target.
	Host string
	// Secure speaks TLS.
	Secure bool
	TLS    TLS
}

func (GRPC) Type() string { return "grpc" }

func (k GRPC) Validate() error { return nil }

func (k GRPC) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
