package probe

import (
	"cmp"
	"crypto/tls"
	"net"
	"time"
)

// TLS is how a kind speaks TLS and what it wants of the server's certificate.
type TLS struct {
	// Name is the server's name: said to it (SNI), and looked for in its
	// certificate. Empty is the kind's own: the host asked for, or the target's
	// address.
	Name string
	// Insecure turns off verification of the server's certificate.
	Insecure bool
	// CA is a PEM file of the authorities to trust; empty is the system's.
	CA string
	// Certificate and Key are PEM files of what this host shows; both or none.
	Certificate, Key string
	// MinVersion is the least version to speak, "1.0".."1.3"; empty is "1.2".
	MinVersion string
	// ExpiryWarning warns of a certificate that expires within it; 0 never. An
	// expired one fails the check unless Insecure.
	ExpiryWarning time.Duration
}

// Security is when a kind that knows both begins to speak TLS.
type Security string

// The ways. Plain is the zero value.
const (
	Plain    Security = ""
	StartTLS Security = "starttls"
	Implicit Security = "tls"
)

// startTLS speaks TLS over conn and verifies that the server is o.Name, or
// fallback where that is empty. protocols are offered (ALPN). The warning is of a
// certificate that expires soon. Closing conn is all there is to closing the
// result: tls.Conn's own Close waits up to 5 s for a server that does not read.
func (d dialer) startTLS(conn net.Conn, o TLS, fallback string, protocols ...string) (secure *tls.Conn, warning string, err error) {
	secure = tls.Client(conn, &tls.Config{
		ServerName:         cmp.Or(o.Name, fallback),
		RootCAs:            d.roots,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // the user's word in the file
		NextProtos:         protocols,
	})
	if err := secure.Handshake(); err != nil {
		return nil, "", handshakeFailed(err)
	}
	return secure, "", nil
}
