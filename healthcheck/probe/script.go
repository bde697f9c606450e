package probe

import (
	"context"
	"net/netip"
)

// Script runs a program, which gets the target in its environment
// (LVSD_TARGET, LVSD_ADDRESS, LVSD_PORT). Exit status 0 is a success.
type Script struct {
	// Command is its argv, the first an absolute path.
	Command List[string]
	// User runs it: a name or number, with a group after a colon; empty is
	// lvsd's own.
	User string
	// Dynamic makes an exit status of 2..255 a success that says the server's
	// weight: the status less 2 (keepalived's misc_dynamic).
	Dynamic bool
}

func (Script) Type() string { return "script" }

func (Script) portless() {}

func (k Script) Validate() error { return nil }

func (k Script) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
