package probe

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// TLS is how a kind speaks TLS and what it wants of the server's certificate.
// Files are read for each probe, so that they can be renewed at any time.
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
	// "1.0" and "1.1" allow the ciphers of their time too.
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

// tlsVersions are the values of MinVersion.
var tlsVersions = map[string]uint16{
	"": tls.VersionTLS12, "1.0": tls.VersionTLS10, "1.1": tls.VersionTLS11, "1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13,
}

// validate returns what is wrong with the options. Whether files can be read is
// not asked: they may come later.
func (o TLS) validate() error {
	var errs []error
	if !isWord(o.Name) || strings.ContainsAny(o.Name, "/:[]") && net.ParseIP(o.Name) == nil {
		errs = append(errs, fmt.Errorf("TLS server name %q must be a name or an address, without a port", o.Name))
	}
	if (o.Certificate == "") != (o.Key == "") {
		errs = append(errs, errors.New("a client certificate and its key go together: one of them is not set"))
	}
	if _, ok := tlsVersions[o.MinVersion]; !ok {
		errs = append(errs, fmt.Errorf("least TLS version %q must be 1.0, 1.1, 1.2 or 1.3", o.MinVersion))
	}
	if o.ExpiryWarning < 0 {
		errs = append(errs, fmt.Errorf("time to warn of a certificate's expiry must not be negative, got %v", o.ExpiryWarning))
	}
	return errors.Join(errs...)
}

// startTLS speaks TLS over conn and verifies that the server is o.Name, or
// fallback where that is empty. protocols are offered (ALPN). The warning is of a
// certificate that expires soon. Closing conn is all there is to closing the
// result: tls.Conn's own Close waits up to 5 s for a server that does not read.
func (d dialer) startTLS(conn net.Conn, o TLS, fallback string, protocols ...string) (secure *tls.Conn, warning string, err error) {
	config, err := d.tlsConfig(o)
	if err != nil {
		return nil, "", &failure{SOCKERR, "tls: " + err.Error()}
	}
	config.ServerName, config.NextProtos = cmp.Or(o.Name, fallback), protocols
	secure = tls.Client(conn, config)
	if err := secure.Handshake(); err != nil {
		return nil, "", d.tlsRefused(err, config)
	}
	state := secure.ConnectionState()
	shown := state.PeerCertificates[0]
	d.said.did("%s, %s", tls.VersionName(state.Version), describeCertificate(shown))
	return secure, expiryWarning(shown, time.Now(), o.ExpiryWarning), nil
}

// tlsConfig reads the files that o names.
func (d dialer) tlsConfig(o TLS) (*tls.Config, error) {
	config := &tls.Config{
		RootCAs:            d.roots,
		InsecureSkipVerify: o.Insecure, //nolint:gosec // the user's word in the file
		MinVersion:         tlsVersions[o.MinVersion],
	}
	if config.MinVersion < tls.VersionTLS12 {
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			config.CipherSuites = append(config.CipherSuites, suite.ID)
		}
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("authorities: no certificate in PEM in %s", o.CA)
		}
	}
	if o.Certificate != "" {
		own, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate %s with key %s: %w", o.Certificate, o.Key, err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// noProtocolAlert ends the error that package tls makes of a server's word for
// having no protocol in common (RFC 7301 3.2). It has no value for it.
const noProtocolAlert = "tls: no application protocol"

// tlsRefused says why there is no TLS, and of a certificate that is not
// accepted, which one it was.
func (d dialer) tlsRefused(err error, config *tls.Config) error {
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &verification) && len(verification.UnverifiedCertificates) > 0:
		shown := describeCertificate(verification.UnverifiedCertificates[0])
		d.said.did("%s", shown)
		return &failure{L6RSP, fmt.Sprintf("tls: %s, for %s: %v", shown, config.ServerName, verification.Err)}
	case strings.HasSuffix(err.Error(), noProtocolAlert):
		return &failure{L6RSP, "tls: the server does not speak " + strings.Join(config.NextProtos, ", ") + " (ALPN)"}
	}
	return handshakeFailed(err)
}

// describeCertificate is the certificate in few words, for a line that has more
// to say.
func describeCertificate(c *x509.Certificate) string {
	return fmt.Sprintf("certificate of %s by %s until %s", certificateName(c), issuerName(c), c.NotAfter.UTC().Format(time.DateOnly))
}

// certificateName is the first name that the certificate is for.
func certificateName(c *x509.Certificate) string {
	switch {
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.IPAddresses) > 0:
		return c.IPAddresses[0].String()
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	}
	return "nobody"
}

func issuerName(c *x509.Certificate) string {
	return cmp.Or(append([]string{c.Issuer.CommonName}, append(c.Issuer.Organization, "nobody")...)...)
}

// expiryWarning says that c expires within the time, if that is not 0.
func expiryWarning(c *x509.Certificate, now time.Time, within time.Duration) string {
	left := c.NotAfter.Sub(now)
	if within == 0 || left > within {
		return ""
	}
	at := c.NotAfter.UTC().Format("2006-01-02 15:04 UTC")
	if left < 0 {
		return fmt.Sprintf("certificate of %s expired %s ago, at %s", certificateName(c), roughly(-left), at)
	}
	return fmt.Sprintf("certificate of %s expires in %s, at %s", certificateName(c), roughly(left), at)
}

// roughly is d in the largest unit of which there are two or more.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d minutes", d/time.Minute)
}
