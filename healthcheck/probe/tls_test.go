package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// issued is a certificate with its key, and the same as files.
type issued struct {
	pair      tls.Certificate
	leaf      *x509.Certificate
	file, key string
}

// issue makes a certificate of the name that ends at the time, by the issuer, or
// by itself without one.
func issue(t *testing.T, name string, until time.Time, by *issued) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: until.Add(-10 * 365 * 24 * time.Hour), NotAfter: until, DNSNames: []string{name},
		IsCA: by == nil, BasicConstraintsValid: true,
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.leaf, by.pair.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	i := issued{file: filepath.Join(t.TempDir(), "cert.pem"), key: filepath.Join(t.TempDir(), "key.pem")}
	writePEM(t, i.file, "CERTIFICATE", der)
	writePEM(t, i.key, "PRIVATE KEY", keyDER)
	if i.leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	i.pair = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: i.leaf}
	return i
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// secureServer greets who asks over TLS as config has it.
func secureServer(t *testing.T, config *tls.Config) netip.AddrPort {
	return servertest.Serve(t, func(conn net.Conn) {
		secure := tls.Server(conn, config)
		request, err := readRequestOf(secure)
		if err != nil {
			return
		}
		name := "nobody"
		if shown := secure.ConnectionState().PeerCertificates; len(shown) > 0 {
			name = shown[0].Subject.CommonName
		}
		_, _ = io.WriteString(secure, "HTTP/1.0 200 OK\r\n\r\nhello "+name+" at "+request.Host)
		_ = secure.CloseWrite()
	})
}

// hello is the check that secureServer shall greet as.
func hello(o TLS, want string) HTTP {
	return HTTP{Secure: true, Host: "www.example", TLS: o, Requests: ListOf(HTTPRequest{Path: "/", Status: "200", Contains: want})}
}

const year = 365 * 24 * time.Hour

func TestTLSClientCertificate(t *testing.T) {
	authority := issue(t, "authority", time.Now().Add(year), nil)
	server := issue(t, "www.example", time.Now().Add(year), &authority)
	client := issue(t, "director", time.Now().Add(year), &authority)
	other := issue(t, "stranger", time.Now().Add(year), nil)
	clients := x509.NewCertPool()
	clients.AddCert(authority.leaf)
	target := secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{server.pair}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const absent = "/nonexistent/file"
	for name, test := range map[string]struct {
		tls    TLS
		code   Code
		reason string
	}{
		"shown":                {TLS{CA: authority.file, Certificate: client.file, Key: client.key}, L7OK, "status 200 OK"},
		"by another name":      {TLS{CA: authority.file, Certificate: client.file, Key: client.key, Name: "mail.example"}, L6RSP, "tls: certificate of www.example by authority until "},
		"not shown":            {TLS{CA: authority.file}, L7RSP, "reply: remote error: tls: certificate required"},
		"another shown":        {TLS{CA: authority.file, Certificate: other.file, Key: other.key}, L7RSP, "reply: remote error: tls: unknown certificate authority"},
		"another authority":    {TLS{CA: other.file}, L6RSP, "tls: certificate of www.example by authority until "},
		"no such authority":    {TLS{CA: absent}, SOCKERR, "tls: authorities: open /nonexistent/file: no such file or directory"},
		"no authority":         {TLS{CA: empty}, SOCKERR, "tls: authorities: no certificate in PEM in " + empty},
		"no such certificate":  {TLS{CA: authority.file, Certificate: absent, Key: client.key}, SOCKERR, "tls: client certificate /nonexistent/file with key " + client.key},
		"no such key":          {TLS{CA: authority.file, Certificate: client.file, Key: absent}, SOCKERR, "tls: client certificate " + client.file},
		"key of another":       {TLS{CA: authority.file, Certificate: client.file, Key: server.key}, SOCKERR, "tls: client certificate " + client.file},
		"no certificate there": {TLS{CA: authority.file, Certificate: empty, Key: client.key}, SOCKERR, "tls: client certificate " + empty},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(hello(test.tls, "hello director at www.example"), target)
			if err := r.Validate(); err != nil {
				t.Fatal(err)
			}
			got := r.Ask(t.Context())
			if name == "another shown" || name == "not shown" {
				if got.Code != L7RSP && got.Code != L6RSP { // whether the alert or the close comes first
					t.Errorf("got %s %q", got.Code, got.Reason)
				}
				return
			}
			expectResult(t, got, test.code, test.reason)
		})
	}
}

// Files are read anew: a renewed certificate counts from the next probe on.
func TestTLSRenewed(t *testing.T) {
	old := issue(t, "www.example", time.Now().Add(year), nil)
	renewed := issue(t, "www.example", time.Now().Add(2*year), nil)
	target := secureServer(t, &tls.Config{Certificates: []tls.Certificate{renewed.pair}})
	r := of(hello(TLS{CA: old.file}, ""), target)
	expectResult(t, r.Ask(t.Context()), L6RSP, "tls: certificate of www.example by www.example until ")
	if err := os.Rename(renewed.file, old.file); err != nil {
		t.Fatal(err)
	}
	expectResult(t, r.Ask(t.Context()), L7OK, "status 200 OK")
}

func TestTLSVersions(t *testing.T) {
	own := issue(t, "www.example", time.Now().Add(year), nil)
	versions := []string{"1.0", "1.1", "1.2", "1.3"}
	for i, most := range versions {
		target := secureServer(t, &tls.Config{Certificates: []tls.Certificate{own.pair}, MinVersion: tls.VersionTLS10, MaxVersion: tlsVersions[most]})
		for j, least := range append(versions, "") {
			if least == "" {
				j = 2
			}
			r := of(hello(TLS{CA: own.file, MinVersion: least}, ""), target).Ask(t.Context())
			if i < j {
				expectResult(t, r, L6RSP, "tls: remote error: protocol version not supported")
			} else {
				expectResult(t, r, L7OK, "status 200 OK")
			}
			if shown := "* TLS " + most + ", certificate of www.example by www.example until "; i >= j && !strings.HasPrefix(r.Transcript, shown) {
				t.Errorf("transcript %q, want %q", r.Transcript, shown)
			}
		}
	}
}

// A server of old that knows only what nobody should speak any more.
func TestTLSOldCiphers(t *testing.T) {
	old := &tls.Config{
		Certificates: []tls.Certificate{httptestCertificate(t)}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
		CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA},
	}
	target := secureServer(t, old)
	expectResult(t, of(hello(TLS{Insecure: true, MinVersion: "1.0"}, ""), target).Ask(t.Context()), L7OK, "status 200 OK")
	expectResult(t, of(hello(TLS{Insecure: true}, ""), target).Ask(t.Context()), L6RSP, "tls: remote error")
}

func TestTLSExpiry(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		left, warn time.Duration
		insecure   bool
		code       Code
		reason     string
		warning    string
	}{
		"long enough":         {31 * day, 30 * day, false, L7OK, "status 200 OK", ""},
		"soon":                {9*day + time.Hour, 30 * day, false, L7OK, "status 200 OK", "certificate of www.example expires in 9 days, at 2"},
		"soon, not asked":     {9 * day, 0, false, L7OK, "status 200 OK", ""},
		"soon, not verified":  {5*time.Hour + time.Minute, 30 * day, true, L7OK, "status 200 OK", "certificate of www.example expires in 5 hours, at 2"},
		"at once":             {90*time.Minute + time.Second, 30 * day, false, L7OK, "status 200 OK", "certificate of www.example expires in 90 minutes, at 2"},
		"over":                {-time.Hour, 30 * day, false, L6RSP, "tls: certificate of www.example by www.example until ", ""},
		"over, not verified":  {-9*day - time.Hour, 30 * day, true, L7OK, "status 200 OK", "certificate of www.example expired 9 days ago, at 2"},
		"over, but not asked": {-time.Hour, 0, true, L7OK, "status 200 OK", ""},
	} {
		t.Run(name, func(t *testing.T) {
			own := issue(t, "www.example", time.Now().Add(test.left), nil)
			target := secureServer(t, &tls.Config{Certificates: []tls.Certificate{own.pair}})
			o := TLS{CA: own.file, ExpiryWarning: test.warn, Insecure: test.insecure}
			r := of(hello(o, ""), target).Ask(t.Context())
			expectResult(t, r, test.code, test.reason)
			if !strings.HasPrefix(r.Warning, test.warning) || (r.Warning == "") != (test.warning == "") {
				t.Errorf("warning %q, want %q", r.Warning, test.warning)
			}
			if at := own.leaf.NotAfter.UTC().Format("2006-01-02 15:04 UTC"); r.Warning != "" && !strings.HasSuffix(r.Warning, at) {
				t.Errorf("warning %q, want %q", r.Warning, at)
			}
			if until := own.leaf.NotAfter.UTC().Format(time.DateOnly); !strings.Contains(r.Transcript, "certificate of www.example by www.example until "+until) {
				t.Errorf("transcript %q does not show the certificate", r.Transcript)
			}
		})
	}
}

// A warning is not lost when the server says no, or when a later request has
// none.
func TestTLSWarningStays(t *testing.T) {
	own := issue(t, "www.example", time.Now().Add(time.Hour), nil)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{own.pair}}
	server.StartTLS()
	defer server.Close()
	k := hello(TLS{CA: own.file, ExpiryWarning: year}, "")
	r := of(k, servertest.AddrPort(server.Listener.Addr())).Ask(t.Context())
	expectResult(t, r, L7STS, "status 404 Not Found")
	if r.Warning == "" {
		t.Error("no warning")
	}
}

func TestTLSValidate(t *testing.T) {
	for _, test := range []struct {
		tls  TLS
		want string
	}{
		{TLS{}, ""},
		{TLS{Name: "www.example", CA: "a", Certificate: "b", Key: "c", MinVersion: "1.3", ExpiryWarning: 1}, ""},
		{TLS{Name: "2001:db8::1"}, ""},
		{TLS{Name: "a b"}, `TLS server name "a b" must be a name or an address, without a port`},
		{TLS{Name: "www.example:443"}, `TLS server name "www.example:443" must be`},
		{TLS{Certificate: "a"}, "a client certificate and its key go together"},
		{TLS{Key: "a"}, "a client certificate and its key go together"},
		{TLS{MinVersion: "1.4"}, `least TLS version "1.4" must be 1.0, 1.1, 1.2 or 1.3`},
		{TLS{MinVersion: "TLS1.2"}, `least TLS version "TLS1.2" must be`},
		{TLS{ExpiryWarning: -1}, "must not be negative, got -1ns"},
	} {
		for _, kind := range []Kind{HTTP{Secure: true, TLS: test.tls, Requests: web.Requests}, GRPC{Secure: true, TLS: test.tls}} {
			expectError(t, kind.Validate(), test.want)
		}
	}
}

// expectError fails the test unless err says want, or is nil if that is empty.
func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}
