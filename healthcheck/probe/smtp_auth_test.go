package probe

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// login is a check with a password, of a server on loopback.
var login = SMTP{HeloName: "d", Username: "tim", Password: "tanstaaftanstaaf"}

func TestSMTPAuth(t *testing.T) {
	const end = "C: QUIT\nS: 221 bye"
	plain, user, password := encoded("\x00tim\x00tanstaaftanstaaf"), encoded("tim"), encoded("tanstaaftanstaaf")
	// The example of RFC 2195.
	challenge := encoded("<1896.697170952@postoffice.reston.mci.net>")
	cram := encoded("tim b913a602c7eda7a495b4e6e7334d3890")
	for name, test := range map[string]struct {
		offer, dialogue string
		code            Code
		reason          string
	}{
		"PLAIN":                  {"AUTH PLAIN", "C: AUTH PLAIN " + plain + "\nS: 235 ok\n" + end, L7OK, "220 mx"},
		"LOGIN":                  {"AUTH LOGIN", "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: " + user + "\nS: 334 UGFzc3dvcmQ6\nC: " + password + "\nS: 235 ok\n" + end, L7OK, "220 mx"},
		"LOGIN with odd prompts": {"auth login", "C: AUTH LOGIN\nS: 334 User Name?\nC: " + user + "\nS: 334\nC: " + password + "\nS: 235 ok\n" + end, L7OK, "220 mx"},
		"CRAM-MD5":               {"AUTH GSSAPI CRAM-MD5", "C: AUTH CRAM-MD5\nS: 334 " + challenge + "\nC: " + cram + "\nS: 235 ok\n" + end, L7OK, "220 mx"},
		"the first of several":   {"AUTH=CRAM-MD5 LOGIN PLAIN", "C: AUTH PLAIN " + plain + "\nS: 235 ok\n" + end, L7OK, "220 mx"},
		"nothing offered":        {"PIPELINING", "C: QUIT", L7STS, "AUTH: the server offers no mechanism, expected PLAIN, LOGIN or CRAM-MD5"},
		"nothing known offered":  {"AUTH GSSAPI NTLM", "C: QUIT", L7STS, "AUTH: the server offers GSSAPI NTLM, expected PLAIN"},
		"password refused":       {"AUTH PLAIN", "C: AUTH PLAIN " + plain + "\nS: 535 5.7.8 no\nC: QUIT", L7STS, "AUTH PLAIN: 535 5.7.8 no"},
		"refused at once":        {"AUTH LOGIN", "C: AUTH LOGIN\nS: 454 4.7.0 later\nC: QUIT", L7STS, "AUTH LOGIN: 454 4.7.0 later"},
		"user refused":           {"AUTH LOGIN", "C: AUTH LOGIN\nS: 334 \nC: " + user + "\nS: 535 who?\nC: QUIT", L7STS, "AUTH LOGIN: 535 who?"},
		"accepted unheard":       {"AUTH LOGIN", "C: AUTH LOGIN\nS: 235 welcome\nC: QUIT", L7STS, "AUTH LOGIN: 235 welcome"},
		"asked for more":         {"AUTH PLAIN", "C: AUTH PLAIN " + plain + "\nS: 334 more\nC: QUIT", L7STS, "AUTH PLAIN: 334 more"},
		"challenge is not one":   {"AUTH CRAM-MD5", "C: AUTH CRAM-MD5\nS: 334 ?", L7RSP, "AUTH CRAM-MD5: the challenge is not base64: 334 ?"},
		"challenge without text": {"AUTH CRAM-MD5", "C: AUTH CRAM-MD5\nS: 334\nC: " + encoded(cramMD5Response("tim", "tanstaaftanstaaf", nil)) + "\nS: 535 no\nC: QUIT", L7STS, "AUTH CRAM-MD5: 535 no"},
		"closed after PLAIN":     {"AUTH PLAIN", "C: AUTH PLAIN " + plain, L7RSP, "AUTH PLAIN: closed by the server"},
		"closed within LOGIN":    {"AUTH LOGIN", "C: AUTH LOGIN\nS: 334\nC: " + user, L7RSP, "AUTH LOGIN: closed by the server"},
	} {
		t.Run(name, func(t *testing.T) {
			dialogue := "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250 " + test.offer + "\n" + test.dialogue
			r := of(login, servertest.Serve(t, script(t, dialogue))).Ask(t.Context())
			expectResult(t, r, test.code, test.reason)
			expectHidden(t, r, "tanstaaftanstaaf", plain, password, cram)
		})
	}
}

// expectHidden fails the test if r shows a secret.
func expectHidden(t *testing.T, r Result, hidden ...string) {
	t.Helper()
	for _, secret := range hidden {
		if strings.Contains(r.Transcript+r.Reason+r.Warning, secret) {
			t.Errorf("%q is shown:\n%s%s", secret, r.Transcript, r.Reason)
		}
	}
}

// A server repeats what it was told, in a reply or in something else.
func TestSMTPPasswordRepeated(t *testing.T) {
	plain, password := encoded("\x00tim\x00tanstaaftanstaaf"), encoded("tanstaaftanstaaf")
	for name, test := range map[string]struct{ says, reason string }{
		"command":  {"S: 500 unknown: AUTH PLAIN " + plain, "AUTH PLAIN: 500 unknown: AUTH PLAIN ..."},
		"password": {"S: 535 tim:tanstaaftanstaaf " + password, "AUTH PLAIN: 535 tim:... ..."},
		"garbage":  {"S: AUTH PLAIN " + plain, `AUTH PLAIN: not an SMTP reply: "AUTH PLAIN ..."`},
		"in lines": {"S: 535-no\nS: 535 " + plain + password, "AUTH PLAIN: 535-no"},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(login, servertest.Serve(t, script(t, "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN "+plain+"\n"+test.says))).Ask(t.Context())
			if r.OK || r.Reason != test.reason {
				t.Errorf("got %s %q, want %q", r.Code, r.Reason, test.reason)
			}
			if !strings.Contains(r.Transcript, "> AUTH PLAIN ...\n") {
				t.Errorf("transcript\n%s", r.Transcript)
			}
			expectHidden(t, r, "tanstaaf", plain, password)
		})
	}
}

// A password of a few letters is in ordinary words: "220" may be one.
func TestSMTPShortPassword(t *testing.T) {
	k := login
	k.Password = "220"
	plain := encoded("\x00tim\x00220")
	r := of(k, servertest.Serve(t, script(t, "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN "+plain+"\nS: 235 ok\nC: QUIT\nS: 221 bye"))).Ask(t.Context())
	expectResult(t, r, L7OK, "220 mx")
	if !strings.Contains(r.Transcript, "< 220 mx\n") {
		t.Errorf("transcript\n%s", r.Transcript)
	}
}

// A password is not said to another host in the clear, and the file that wants
// it so is refused.
func TestSMTPPasswordInTheClear(t *testing.T) {
	r := of(login, anywhere)
	const want = `a password is not sent to 192.0.2.1:25 without TLS, expected security "starttls" or "tls"`
	if err := r.Validate(); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	expectResult(t, r.Ask(t.Context()), SOCKERR, want)
	for _, security := range []Security{StartTLS, Implicit} {
		secure := login
		secure.Security = security
		if err := of(secure, anywhere).Validate(); err != nil {
			t.Error(err)
		}
	}
	if err := of(mail, anywhere).Validate(); err != nil {
		t.Error(err)
	}
}
