package cluster

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/lvsd/lvsd/config"
)

// keyContext sets the key of this purpose apart from any other of the same secret.
const keyContext = "lvsd cluster channel v1"

var errOtherKey = errors.New("its key is not this node's: all nodes need the same [cluster] key")

// identity is what the nodes of one cluster have in common: a key pair that each
// works out of the configured secret. Who has proven to have it, is one of them.
type identity struct {
	public ed25519.PublicKey
	own    tls.Certificate
}

func newIdentity(secret config.Secret) (*identity, error) {
	seed, err := hkdf.Key(sha256.New, []byte(secret), nil, keyContext, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("key of the cluster: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	public, _ := private.Public().(ed25519.PublicKey)
	// Nobody looks at the times: clocks of nodes may differ by any amount.
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "lvsd"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, fmt.Errorf("certificate of the cluster: %w", err)
	}
	return &identity{public, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}}, nil
}

// tls is the configuration of both sides. Refused is told of a peer that has another
// key; it may be nil.
func (i *identity) tls(refused func()) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{i.own},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		// There is no authority that could vouch for a certificate. The handshake
		// proves that the peer has the private key of the one that it shows, and
		// VerifyConnection accepts one key only.
		InsecureSkipVerify: true, //nolint:gosec // see above
		VerifyConnection: func(state tls.ConnectionState) error {
			err := i.verify(state)
			if err != nil && refused != nil {
				refused()
			}
			return err
		},
	}
}

// verify accepts the one key.
func (i *identity) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errOtherKey
	}
	shown, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || subtle.ConstantTimeCompare(shown, i.public) != 1 {
		return errOtherKey
	}
	return nil
}
