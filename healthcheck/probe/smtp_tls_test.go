package probe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// secured is a server that plays one dialogue in the clear and another one over
// TLS, with the certificate of package httptest: for example.com and 127.0.0.1.
func secured(t *testing.T, clear, covered string) func(net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{httptestCertificate(t)}}
	return func(conn net.Conn) {
		script(t, clear)(conn)
		secure := tls.Server(conn, config)
		if err := secure.Handshake(); err != nil {
			t.Errorf("handshake: %v", err)
			return
		}
		script(t, covered)(secure)
	}
}

func trusting(t *testing.T) dialer {
	leaf, err := x509.ParseCertificate(httptestCertificate(t).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return dialer{roots: roots}
}

const (
	offersTLS = "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\nC: STARTTLS\n"
	goAhead   = "S: 220 go ahead\n"
	covered   = "C: EHLO d\nS: 250 mx\nC: QUIT\nS: 221 bye"
)

func TestSMTPOverTLS(t *testing.T) {
	plain := encoded("\x00tim\x00tanstaaftanstaaf")
	for name, test := range map[string]struct {
		kind           SMTP
		clear, covered string
		code           Code
		reason         string
	}{
		"STARTTLS": {SMTP{Security: StartTLS}, offersTLS + goAhead, covered, L7OK, "220 mx"},
		"implicit": {SMTP{Security: Implicit}, "", "S: 220 mx\n" + covered, L7OK, "220 mx"},
		"by name":  {SMTP{Security: StartTLS, TLS: TLS{Name: "example.com"}}, offersTLS + goAhead, covered, L7OK, "220 mx"},
		"password": {
			SMTP{Security: StartTLS, Username: login.Username, Password: login.Password},
			offersTLS + goAhead,
			"C: EHLO d\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN " + plain + "\nS: 235 ok\nC: QUIT\nS: 221 bye", L7OK, "220 mx",
		},
		"mail": {
			SMTP{Security: Implicit, To: "x"},
			"",
			"S: 220 mx\nC: EHLO d\nS: 250 mx\nC: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<x>\nS: 250 ok\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye",
			L7OK, "220 mx",
		},
		"offer in the clear does not count": {
			SMTP{Security: StartTLS, Username: login.Username, Password: login.Password},
			offersTLS + goAhead,
			"C: EHLO d\nS: 250 mx\nC: QUIT", L7STS, "AUTH: the server offers no mechanism",
		},
		"offer in the clear does not count after HELO": {
			SMTP{Security: StartTLS, Username: login.Username, Password: login.Password},
			offersTLS + goAhead,
			"C: EHLO d\nS: 502 no\nC: HELO d\nS: 250 mx\nC: QUIT", L7STS, "AUTH: the server offers no mechanism",
		},
		"EHLO over TLS refused": {SMTP{Security: StartTLS}, offersTLS + goAhead, "C: EHLO d\nS: 451 no\nC: QUIT", L7STS, "EHLO: 451 no"},
		"closed over TLS":       {SMTP{Security: Implicit}, "", "", L7RSP, "greeting: closed by the server"},
	} {
		t.Run(name, func(t *testing.T) {
			test.kind.HeloName = "d"
			r := trusting(t).ask(t.Context(), of(test.kind, servertest.Serve(t, secured(t, test.clear, test.covered))))
			expectResult(t, r, test.code, test.reason)
			expectHidden(t, r, login.Password, plain)
		})
	}
}

func TestSMTPCertificate(t *testing.T) {
	for name, k := range map[string]SMTP{
		"STARTTLS": {HeloName: "d", Security: StartTLS, TLS: TLS{Name: "mx.example"}},
		"implicit": {HeloName: "d", Security: Implicit, TLS: TLS{Name: "mx.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			handshake := make(chan error, 1)
			target := servertest.Serve(t, func(conn net.Conn) {
				if k.Security == StartTLS {
					script(t, offersTLS+goAhead)(conn)
				}
				secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{httptestCertificate(t)}})
				err := secure.Handshake()
				if err == nil {
					_, err = secure.Read(make([]byte, 1))
				}
				handshake <- err
			})
			r := trusting(t).ask(t.Context(), of(k, target))
			if r.Code != L6RSP || !strings.Contains(r.Reason, "mx.example") {
				t.Errorf("got %s %q", r.Code, r.Reason)
			}
			if err := <-handshake; err == nil {
				t.Error("something was said to another server")
			}
			k.TLS.Insecure = true
			r = trusting(t).ask(t.Context(), of(k, servertest.Serve(t, func(conn net.Conn) {
				if k.Security == StartTLS {
					secured(t, offersTLS+goAhead, covered)(conn)
				} else {
					secured(t, "", "S: 220 mx\n"+covered)(conn)
				}
			})))
			expectResult(t, r, L7OK, "220 mx")
		})
	}
}

func TestSMTPCertificateExpiry(t *testing.T) {
	for _, k := range []SMTP{
		{HeloName: "d", Security: StartTLS},
		{HeloName: "d", Security: Implicit},
	} {
		k.TLS.ExpiryWarning = 100 * 365 * 24 * time.Hour
		handle := secured(t, offersTLS+goAhead, covered)
		if k.Security == Implicit {
			handle = secured(t, "", "S: 220 mx\n"+covered)
		}
		r := trusting(t).ask(t.Context(), of(k, servertest.Serve(t, handle)))
		expectResult(t, r, L7OK, "220 mx")
		if r.Warning == "" {
			t.Errorf("%s: no warning", k.Security)
		}
	}
}

func TestSTARTTLSRefused(t *testing.T) {
	k := SMTP{HeloName: "d", Security: StartTLS}
	for name, test := range map[string]struct {
		dialogue string
		code     Code
		reason   string
	}{
		"not offered":      {"S: 220 mx\nC: EHLO d\nS: 250-mx STARTTLS\nS: 250 XSTARTTLS\nC: QUIT", L7STS, "STARTTLS: not offered by the server"},
		"HELO only":        {"S: 220 mx\nC: EHLO d\nS: 502-no\nS: 502-STARTTLS\nS: 502 no\nC: HELO d\nS: 250-mx\nS: 250 STARTTLS\nC: QUIT", L7STS, "STARTTLS: not offered by the server"},
		"not now":          {offersTLS + "S: 454 4.7.0 no TLS now\nC: QUIT", L7STS, "STARTTLS: 454 4.7.0 no TLS now"},
		"another success":  {offersTLS + "S: 250 ok\nC: QUIT", L7STS, "STARTTLS: 250 ok"},
		"closed":           {offersTLS, L7RSP, "STARTTLS: closed by the server"},
		"closed after 220": {offersTLS + goAhead, L6RSP, "tls: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := trusting(t).ask(t.Context(), of(k, servertest.Serve(t, script(t, test.dialogue))))
			expectResult(t, r, test.code, test.reason)
		})
	}
}

// What is said in the clear with the reply to STARTTLS is no answer.
func TestSTARTTLSInjected(t *testing.T) {
	k := SMTP{HeloName: "d", Security: StartTLS}
	for _, injected := range []string{"250-mx\r\n250 AUTH PLAIN\r\n", "2"} {
		target := servertest.Serve(t, func(conn net.Conn) {
			script(t, offersTLS)(conn)
			// In one segment, so that the client has read it.
			_, _ = io.WriteString(conn, "220 go ahead\r\n"+injected)
			if rest, err := io.ReadAll(conn); len(rest) > 0 {
				t.Errorf("the client goes on with %q, %v", rest, err)
			}
		})
		r := trusting(t).ask(t.Context(), of(k, target))
		expectResult(t, r, L7RSP, "STARTTLS: the server went on in the clear after its reply")
	}
}

// What is said in the clear after the reply to STARTTLS is no answer, at
// whichever moment it comes: nothing is said but what belongs to the handshake.
func TestSTARTTLSInjectedLater(t *testing.T) {
	k := SMTP{HeloName: "d", Security: StartTLS}
	heard := make(chan []byte, 1)
	target := servertest.Serve(t, func(conn net.Conn) {
		script(t, offersTLS+goAhead)(conn)
		// The client begins its handshake.
		first := make([]byte, 1)
		_, _ = io.ReadFull(conn, first)
		_, _ = io.WriteString(conn, "250-mx\r\n250 AUTH PLAIN\r\n")
		rest, _ := io.ReadAll(conn)
		heard <- append(first, rest...)
	})
	r := trusting(t).ask(t.Context(), of(k, target))
	expectResult(t, r, L6RSP, "tls: ")
	if got := <-heard; got[0] != 0x16 || strings.Contains(string(got), "EHLO") {
		t.Errorf("the client said %q", got)
	}
}

// A reset at each step is the failure of that step.
func TestSMTPResetAtEachStep(t *testing.T) {
	k := SMTP{HeloName: "d", Username: "tim", Password: "tanstaaf", To: "x"}
	plain := encoded("\x00tim\x00tanstaaf")
	steps := []struct{ dialogue, step string }{
		{"S: 220 mx\nC: EHLO d\n", "EHLO"},
		{"S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN " + plain + "\n", "AUTH PLAIN"},
		{"S: 235 ok\nC: MAIL FROM:<>\n", "MAIL FROM"},
		{"S: 250 ok\nC: RCPT TO:<x>\n", "RCPT TO"},
	}
	dialogue := ""
	for _, s := range steps {
		dialogue += s.dialogue
		target := servertest.Serve(t, func(conn net.Conn) {
			script(t, dialogue)(conn)
			reset(conn)
		})
		expectResult(t, of(k, target).Ask(t.Context()), L7RSP, s.step+": connection reset by peer")
	}
	target := servertest.Serve(t, func(conn net.Conn) {
		script(t, dialogue+"S: 250 ok\nC: RSET\n")(conn)
		reset(conn)
	})
	expectResult(t, of(k, target).Ask(t.Context()), L7OK, "220 mx")
	target = servertest.Serve(t, func(conn net.Conn) {
		script(t, offersTLS+goAhead)(conn)
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Error(errors.New("no handshake"))
		}
		reset(conn)
	})
	expectResult(t, of(SMTP{HeloName: "d", Security: StartTLS}, target).Ask(t.Context()), L6RSP, "tls: connection reset by peer")
}
