package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// An Authority issues certificates that nobody else knows of.
type Authority struct {
	// File is its own certificate, in PEM.
	File string

	lab  *Lab
	dir  string
	leaf *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Certificate is two files in PEM.
type Certificate struct{ File, Key string }

// Authority makes an authority of the name, whose files go with the lab.
func (l *Lab) Authority(name string) *Authority {
	l.t.Helper()
	// Not every server's configuration can quote a space.
	a := &Authority{lab: l, dir: l.Dir("authority", strings.ReplaceAll(name, " ", "-"))}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	a.File = a.sign("authority", template).File
	return a
}

// Issue makes a certificate of the DNS name that ends at the time.
func (a *Authority) Issue(name string, until time.Time) Certificate {
	a.lab.t.Helper()
	return a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: until.Add(-10 * 365 * 24 * time.Hour), NotAfter: until,
	})
}

// sign signs the certificate; the first one is the authority's own.
func (a *Authority) sign(file string, template *x509.Certificate) Certificate {
	a.lab.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.lab.t.Fatalf("certificate %s: %v", file, err)
	}
	if a.leaf == nil {
		a.leaf, a.key = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.leaf, key.Public(), a.key)
	if err != nil {
		a.lab.t.Fatalf("certificate %s: %v", file, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.lab.t.Fatalf("key %s: %v", file, err)
	}
	return Certificate{
		File: a.write(file+".pem", "CERTIFICATE", der),
		Key:  a.write(file+".key", "PRIVATE KEY", keyDER),
	}
}

func (a *Authority) write(name, kind string, der []byte) string {
	a.lab.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644); err != nil {
		a.lab.t.Fatalf("%v", err)
	}
	return path
}
