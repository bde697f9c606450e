package probe

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// after is a server that plays a dialogue and goes on with then.
func after(t *testing.T, dialogue string, then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		script(t, dialogue)(conn)
		then(conn)
	}
}

// deaf does not read.
func deaf(net.Conn) { <-time.After(time.Hour) }

// Whatever the server does in whichever step of a text dialogue, the probe is
// over at its timeout, to the nanosecond of the test's clock.
func TestTextProbeEndsAtItsTimeout(t *testing.T) {
	const second = time.Second
	const hello, auth = "S: 220 mx\nC: EHLO d\n", "S: 250-mx\nS: 250-STARTTLS\nS: 250 AUTH LOGIN CRAM-MD5\n"
	const credentials = "C: AUTH LOGIN\nS: 334\nC: dGlt\nS: 334\nC: dGFuc3RhYWY=\n"
	user := SMTP{HeloName: "d", Username: "tim", Password: "tanstaaf", Security: Implicit, TLS: TLS{Insecure: true}}
	to := SMTP{HeloName: "d", To: "x"}
	starttls := SMTP{HeloName: "d", Security: StartTLS, TLS: TLS{Insecure: true}}
	implicit := SMTP{HeloName: "d", Security: Implicit, TLS: TLS{Insecure: true}}
	banner := Banner{Steps: ListOf(Step{Expect: `^\+OK\r\n`}, Step{Send: "QUIT\r\n", Expect: "x"})}
	secret := Banner{Steps: ListOf(Step{Expect: "OK"}, Step{Send: "PASS tanstaaf\r\n", Expect: "x", Secret: true})}
	secure := Banner{Steps: banner.Steps, Security: Implicit, TLS: TLS{Insecure: true}}
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
		code   Code
		reason string
	}{
		"smtp drip of EHLO":       {mail, after(t, "S: 220 mx\nC: EHLO director.example", drip(strings.Repeat("250-x\r\n", 50), second)), L7TOUT, "EHLO: timed out"},
		"smtp HELO not answered":  {to, after(t, hello+"S: 500\nC: HELO d", servertest.Silent), L7TOUT, "HELO: timed out"},
		"smtp MAIL not read":      {to, after(t, hello+"S: 250 mx", deaf), L7TOUT, "MAIL FROM:<>: timed out"},
		"smtp MAIL not answered":  {to, after(t, hello+"S: 250 mx\nC: MAIL FROM:<>", servertest.Silent), L7TOUT, "MAIL FROM: timed out"},
		"smtp RCPT drip":          {to, after(t, hello+"S: 250 mx\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<x>", drip(strings.Repeat("2", 100), second)), L7TOUT, "RCPT TO: timed out"},
		"smtp RSET not answered":  {to, after(t, hello+"S: 250 mx\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<x>\nS: 250\nC: RSET", servertest.Silent), L7OK, "220 mx"},
		"smtp RSET not read":      {to, after(t, hello+"S: 250 mx\nC: MAIL FROM:<>\nS: 250\nC: RCPT TO:<x>\nS: 250", deaf), L7OK, "220 mx"},
		"smtp STARTTLS unheard":   {starttls, after(t, hello+auth, deaf), L7TOUT, "STARTTLS: timed out"},
		"smtp STARTTLS silent":    {starttls, after(t, hello+auth+"C: STARTTLS", servertest.Silent), L7TOUT, "STARTTLS: timed out"},
		"smtp STARTTLS stall":     {starttls, after(t, hello+auth+"C: STARTTLS\nS: 220", servertest.Silent), L6TOUT, "tls: timed out"},
		"smtp STARTTLS deaf":      {starttls, after(t, hello+auth+"C: STARTTLS\nS: 220", deaf), L6TOUT, "tls: timed out"},
		"smtp STARTTLS drip":      {starttls, after(t, hello+auth+"C: STARTTLS\nS: 220", drip("\x16\x03\x03\x40\x00"+strings.Repeat("\x02", 1000), second)), L6TOUT, "tls: timed out"},
		"smtp TLS stall":          {implicit, servertest.Silent, L6TOUT, "tls: timed out"},
		"smtp over TLS silent":    {implicit, overTLS(t, servertest.Silent), L7TOUT, "greeting: timed out"},
		"smtp over TLS deaf":      {implicit, overTLS(t, after(t, "S: 220 mx", deaf)), L7TOUT, "EHLO d: timed out"},
		"smtp AUTH not answered":  {user, overTLS(t, after(t, hello+auth+"C: AUTH LOGIN", servertest.Silent)), L7TOUT, "AUTH LOGIN: timed out"},
		"smtp user not read":      {user, overTLS(t, after(t, hello+auth+"C: AUTH LOGIN\nS: 334", deaf)), L7TOUT, "AUTH LOGIN: timed out"},
		"smtp AUTH undecided":     {user, overTLS(t, after(t, hello+auth+credentials, servertest.Silent)), L7TOUT, "AUTH LOGIN: timed out"},
		"banner silent":           {banner, servertest.Silent, L7TOUT, "step 1: timed out, nothing was received"},
		"banner deaf":             {banner, after(t, "S: +OK", deaf), L7TOUT, "step 2: send: timed out"},
		"banner drip":             {banner, drip(strings.Repeat("+", 1000), second/2), L7TOUT, `step 1: timed out, received "++++`},
		"banner half a line":      {banner, drip("+OK\r", second), L7TOUT, `step 1: timed out, received "+OK\r"`},
		"banner half a dialogue":  {banner, after(t, "S: +OK\nC: QUIT", servertest.Silent), L7TOUT, "step 2: timed out, nothing was received"},
		"banner secret repeated":  {secret, after(t, "S: OK\nC: PASS tanstaaf\nS: tanstaaf?", servertest.Silent), L7TOUT, `step 2: timed out, received "...?\r\n"`},
		"banner TLS stall":        {secure, servertest.Silent, L6TOUT, "tls: timed out"},
		"banner over TLS silent":  {secure, overTLS(t, servertest.Silent), L7TOUT, "step 1: timed out, nothing was received"},
		"banner answers the last": {banner, after(t, "S: +OK\nC: QUIT", func(c net.Conn) { _, _ = io.WriteString(c, "y"); servertest.Silent(c) }), L7TOUT, `step 2: timed out, received "y"`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := of(test.kind, anywhere)
				s.Timeout = 30 * second
				r := piped(t, test.handle).ask(t.Context(), s)
				expectResult(t, r, test.code, test.reason)
				if r.Duration != s.Timeout {
					t.Errorf("took %v, want %v", r.Duration, s.Timeout)
				}
				expectHidden(t, r, "tanstaaf", "dGFuc3RhYWY=")
			})
		})
	}
}

// Slow is not wrong.
func TestSlowTextCounts(t *testing.T) {
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
		took   time.Duration
	}{
		"banner drip": {Banner{Steps: ListOf(Step{Expect: `^\+OK\r\n`})}, drip("+OK\r\n", time.Second), 5 * time.Second},
		"STARTTLS": {SMTP{HeloName: "d", Security: StartTLS, TLS: TLS{Insecure: true}}, after(t, "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220", func(conn net.Conn) {
			<-time.After(5 * time.Second)
			overTLS(t, script(t, "C: EHLO d\nS: 250 mx\nC: QUIT\nS: 221 bye"))(conn)
		}), 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := piped(t, test.handle).ask(t.Context(), of(test.kind, anywhere))
				if !r.OK || r.Duration != test.took {
					t.Errorf("got %s %q after %v, want success after %v", r.Code, r.Reason, r.Duration, test.took)
				}
			})
		})
	}
}

// A text dialogue that is abandoned is over at once.
func TestTextAbandonedAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		kind   Kind
		handle func(net.Conn)
	}{
		"banner":        {Banner{Steps: ListOf(Step{Expect: "x"})}, servertest.Silent},
		"banner, drip":  {Banner{Steps: ListOf(Step{Expect: "x"})}, drip(strings.Repeat("y", 1000), 300*time.Millisecond)},
		"banner, write": {Banner{Steps: ListOf(Step{Send: "x"})}, deaf},
		"STARTTLS":      {SMTP{HeloName: "d", Security: StartTLS}, after(t, "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250 STARTTLS\nC: STARTTLS\nS: 220", servertest.Silent)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(700*time.Millisecond, cancel)
				r := piped(t, test.handle).ask(ctx, of(test.kind, anywhere))
				expectResult(t, r, SOCKERR, "abandoned: context canceled")
				if r.Duration != 700*time.Millisecond {
					t.Errorf("took %v, want 700ms", r.Duration)
				}
			})
		})
	}
}
