package probe

import (
	"context"
	"net/netip"
)

// File reads a file of this host that says how the server is: "up" or "down",
// or a number, which is the server's weight; 0 drains it. It fails when the file
// says down or something else, or cannot be read.
type File struct {
	// Path is absolute.
	Path string
}

func (File) Type() string { return "file" }

func (File) portless() {}

func (k File) Validate() error { return nil }

func (k File) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	return answer{}, &failure{SOCKERR, "not there yet"}
}
