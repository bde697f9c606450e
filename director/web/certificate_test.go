package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
)

// writeKeyPair makes a certificate for the name in two files.
func writeKeyPair(t *testing.T, certificate, key, name string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	signed, err := x509.CreateCertificate(rand.Reader, &template, &template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificateIsReadAgain: a renewed certificate is used by the next connection, a
// broken one by none.
func TestCertificateIsReadAgain(t *testing.T) {
	directory := t.TempDir()
	certificate, key := filepath.Join(directory, "crt"), filepath.Join(directory, "key")
	writeKeyPair(t, certificate, key, "old.example.org")
	s := serve(t, config.Web{Certificate: certificate, Key: key}, newScene(relays()))
	// presented is the name in the certificate that a new connection gets.
	presented := func() string {
		s.keys.mu.Lock()
		s.keys.looked = time.Time{} // as if it were a while ago
		s.keys.mu.Unlock()
		// The certificate is looked at below.
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.address+"/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("answer %s", response.Status)
		}
		return response.TLS.PeerCertificates[0].DNSNames[0]
	}
	if got := presented(); got != "old.example.org" {
		t.Errorf("certificate for %s", got)
	}
	if w := ask(s.site, "GET", "/v1/status", "", host("old.example.org:9467")); w.Code != http.StatusOK {
		t.Errorf("by the certificate's name: %d", w.Code)
	}
	if w := ask(s.site, "GET", "/v1/status", "", host("other.example.org")); w.Code != http.StatusMisdirectedRequest {
		t.Errorf("by another name: %d", w.Code)
	}
	if err := os.WriteFile(certificate, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := presented(); got != "old.example.org" {
		t.Errorf("with a broken file: certificate for %s", got)
	}
	writeKeyPair(t, certificate, key, "new.example.org")
	if got := presented(); got != "new.example.org" {
		t.Errorf("after a renewal: certificate for %s", got)
	}
}

func TestServeTellsWhatItCannotUse(t *testing.T) {
	c := config.Web{Certificate: filepath.Join(t.TempDir(), "absent"), Key: "absent"}
	c.Listen = serve(t, config.Web{}, newScene(relays())).Listen
	if err := Serve(t.Context(), c, newScene(relays()), quietLog()); err == nil {
		t.Error("an absent certificate is taken")
	}
	c.Certificate = ""
	if err := Serve(t.Context(), c, newScene(relays()), quietLog()); err == nil {
		t.Error("an address that is in use is taken")
	}
}
