package probe

import (
	"context"
	"net/netip"
)

// DNS asks for a name and looks at the answer. It asks over UDP, and again over
// TCP when the answer was cut short.
type DNS struct {
	// Name to ask for; empty is the root.
	Name string
	// Query is the type to ask for: "A", "SOA" and so on, or "TYPE65".
	Query string
	// Rcode lists the accepted return codes by name; empty is NOERROR.
	Rcode List[string]
	// Answer is what one record of the answer must be, as dig +short writes it;
	// empty is anything, no record included.
	Answer string
	// TCP asks over TCP only.
	TCP bool
}

func (DNS) Type() string { return "dns" }

func (k DNS) Validate() error { return nil }

func (k DNS) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
