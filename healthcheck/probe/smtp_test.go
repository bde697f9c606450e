package probe

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

func TestSMTP(t *testing.T) {
	for name, test := range map[string]struct {
		dialogue string
		code     Code
		reason   string
	}{
		"greeting, EHLO and QUIT": {
			"S: 220 mx ESMTP\nC: EHLO director.example\nS: 250-mx\nS: 250 PIPELINING\nC: QUIT\nS: 221 bye",
			L7OK, "220 mx ESMTP",
		},
		"greeting of several lines": {
			"S: 220-mx\nS: 220-a moment\nS: 220 go\nC: EHLO director.example\nS: 250 mx\nC: QUIT\nS: 221 bye",
			L7OK, "220-mx",
		},
		"greeting without text": {
			"S: 220\nC: EHLO director.example\nS: 250 mx\nC: QUIT\nS: 221 bye",
			L7OK, "220",
		},
		"EHLO refused, HELO accepted": {
			"S: 220 mx\nC: EHLO director.example\nS: 502 what?\nC: HELO director.example\nS: 250 mx\nC: QUIT\nS: 221 bye",
			L7OK, "220 mx",
		},
		"EHLO and HELO refused": {
			"S: 220 mx\nC: EHLO director.example\nS: 500 what?\nC: HELO director.example\nS: 550 no\nC: QUIT",
			L7STS, "HELO: 550 no",
		},
		"EHLO refused for now": {
			"S: 220 mx\nC: EHLO director.example\nS: 421 4.3.2 closing\nC: QUIT",
			L7STS, "EHLO: 421 4.3.2 closing",
		},
		"EHLO answered with another success": {
			"S: 220 mx\nC: EHLO director.example\nS: 220 mx\nC: QUIT",
			L7STS, "EHLO: 220 mx",
		},
		"greeting says no": {
			"S: 554 5.7.1 go away\nC: QUIT",
			L7STS, "greeting: 554 5.7.1 go away",
		},
		"greeting says not now, in lines": {
			"S: 421-busy\nS: 421 later\nC: QUIT",
			L7STS, "greeting: 421-busy",
		},
		"QUIT not answered": {
			"S: 220 mx\nC: EHLO director.example\nS: 250 mx\nC: QUIT",
			L7OK, "220 mx",
		},
		"QUIT answered with garbage": {
			"S: 220 mx\nC: EHLO director.example\nS: 250 mx\nC: QUIT\nS: what?",
			L7OK, "220 mx",
		},
		"banner with control characters": {
			"S: 220 \x1b[2J\x1b]0;mx\a\x00\u202e\nC: EHLO director.example\nS: 250 mx\nC: QUIT\nS: 221 bye",
			L7OK, "220 ?[2J?]0;mx???",
		},
		"EHLO refused, HELO says not now": {
			"S: 220 mx\nC: EHLO director.example\nS: 550 no\nC: HELO director.example\nS: 421 later\nC: QUIT",
			L7STS, "HELO: 421 later",
		},
		"closed before the greeting": {"", L7RSP, "greeting: closed by the server"},
		"closed within the greeting": {"S: 220-mx", L7RSP, "greeting: closed by the server"},
		"closed after EHLO": {
			"S: 220 mx\nC: EHLO director.example",
			L7RSP, "EHLO: closed by the server",
		},
		"not SMTP":   {"S: SSH-2.0-OpenSSH_9.2p1", L7RSP, `greeting: not an SMTP reply: "SSH-2.0-OpenSSH_9.2p1"`},
		"mixed code": {"S: 220-mx\nS: 554 no", L7RSP, `greeting: not an SMTP reply: "554 no"`},
	} {
		t.Run(name, func(t *testing.T) {
			target := servertest.Serve(t, script(t, test.dialogue))
			expectResult(t, of(mail, target).Ask(t.Context()), test.code, test.reason)
		})
	}
}

func TestSMTPHostile(t *testing.T) {
	for name, test := range map[string]struct {
		handle func(net.Conn)
		reason string
	}{
		"reset": {func(c net.Conn) {
			script(t, "S: 220 mx\nC: EHLO director.example")(c)
			reset(c)
		}, "EHLO: connection reset by peer"},
		"endless line":        {servertest.Flood(strings.Repeat("2", 4096)), "greeting: line of more than 1024 bytes"},
		"endless greeting":    {servertest.Flood("220-mx\r\n"), "greeting: reply of more than 100 lines"},
		"random bytes":        {servertest.Flood("\x00\xff\n\x16\x03\x01"), "greeting: not an SMTP reply"},
		"long banner is kept": {servertest.Flood("x" + strings.Repeat("\x07", 900) + "\n"), `greeting: not an SMTP reply: "x\a\a\a\a`},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(mail, servertest.Serve(t, test.handle)).Ask(t.Context())
			expectResult(t, r, L7RSP, test.reason)
			if len(r.Reason) > maxReason {
				t.Errorf("reason of %d bytes", len(r.Reason))
			}
		})
	}
	expectResult(t, of(mail, servertest.Refusing(t)).Ask(t.Context()), L4CON, "connect: connection refused")
}

func TestSMTPWithoutName(t *testing.T) {
	target := servertest.Serve(t, script(t, "S: 220 mx\nC: EHLO [127.0.0.1]\nS: 250 mx\nC: QUIT\nS: 221 bye"))
	expectResult(t, of(SMTP{}, target).Ask(t.Context()), L7OK, "220 mx")
}

func TestHeloName(t *testing.T) {
	for local, want := range map[string]string{
		"192.0.2.7:40000":          "[192.0.2.7]",
		"[::ffff:192.0.2.7]:40000": "[192.0.2.7]",
		"[2001:db8::7]:40000":      "[IPv6:2001:db8::7]",
	} {
		addr, err := net.ResolveTCPAddr("tcp", local)
		if err != nil {
			t.Fatal(err)
		}
		if got := (SMTP{}).heloName(addr); got != want {
			t.Errorf("%s: name %q, want %q", local, got, want)
		}
	}
	pipe, _ := net.Pipe()
	if got := (SMTP{}).heloName(pipe.LocalAddr()); got != "localhost" {
		t.Errorf("no address: name %q, want localhost", got)
	}
}

// postscreen greets with a part of its greeting, and with the rest of it when
// the client has kept quiet.
func TestSMTPTeaser(t *testing.T) {
	spoke := make(chan error, 1)
	target := servertest.Serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220-mx.example ESMTP\r\n")
		_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, err := conn.Read(make([]byte, 1))
		spoke <- err
		_ = conn.SetReadDeadline(time.Time{})
		script(t, "S: 220 mx.example ESMTP\nC: EHLO director.example\nS: 250-mx\nS: 250 SMTPUTF8\nC: QUIT\nS: 221 bye")(conn)
	})
	expectResult(t, of(mail, target).Ask(t.Context()), L7OK, "220-mx.example ESMTP")
	if err := <-spoke; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client did not wait for the end of the greeting: %v", err)
	}
}

func TestSMTPTransaction(t *testing.T) {
	const begin = "S: 220 mx\nC: EHLO director.example\nS: 250 mx\n"
	const end = "\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye"
	to := SMTP{HeloName: "director.example", To: "postmaster@example.org"}
	from, greylisted := to, to
	from.From = "probe@example.org"
	greylisted.Recipient = "250-251, 450"
	for name, test := range map[string]struct {
		kind     SMTP
		dialogue string
		code     Code
		reason   string
	}{
		"null reverse-path": {to, begin + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>\nS: 250 ok" + end, L7OK, "220 mx"},
		"from":              {from, begin + "C: MAIL FROM:<probe@example.org>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>\nS: 251 elsewhere" + end, L7OK, "220 mx"},
		"RSET not answered": {to, begin + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>\nS: 250 ok\nC: RSET", L7OK, "220 mx"},
		"sender refused":    {from, begin + "C: MAIL FROM:<probe@example.org>\nS: 550 5.7.1 no\nC: QUIT", L7STS, "MAIL FROM: 550 5.7.1 no"},
		"recipient refused": {to, begin + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>\nS: 550 5.1.1 who?\nC: QUIT", L7STS, "RCPT TO: 550 5.1.1 who?"},
		"recipient will be forwarded, perhaps": {
			to, begin + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>\nS: 252 perhaps\nC: QUIT", L7STS, "RCPT TO: 252 perhaps",
		},
		"queue is full":        {to, begin + "C: MAIL FROM:<>\nS: 452 4.3.1 no space\nC: QUIT", L7STS, "MAIL FROM: 452 4.3.1 no space"},
		"greylisted, expected": {greylisted, begin + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>\nS: 450 later" + end, L7OK, "220 mx"},
		"closed after MAIL":    {to, begin + "C: MAIL FROM:<>", L7RSP, "MAIL FROM: closed by the server"},
		"closed after RCPT":    {to, begin + "C: MAIL FROM:<>\nS: 250 ok\nC: RCPT TO:<postmaster@example.org>", L7RSP, "RCPT TO: closed by the server"},
	} {
		t.Run(name, func(t *testing.T) {
			target := servertest.Serve(t, script(t, test.dialogue))
			expectResult(t, of(test.kind, target).Ask(t.Context()), test.code, test.reason)
		})
	}
}

func TestSMTPExpectedCodes(t *testing.T) {
	for name, test := range map[string]struct {
		kind     SMTP
		dialogue string
		code     Code
		reason   string
	}{
		"another greeting": {
			SMTP{HeloName: "d", Greeting: "200-299"}, "S: 221 mx\nC: EHLO d\nS: 250 mx\nC: QUIT\nS: 221 bye", L7OK, "221 mx",
		},
		"greeting not listed": {SMTP{HeloName: "d", Greeting: "221"}, "S: 220 mx\nC: QUIT", L7STS, "greeting: 220 mx"},
		"busy is well":        {SMTP{HeloName: "d", Greeting: "220,421", To: "x"}, "S: 421 busy\nC: QUIT\nS: 221 bye", L7OK, "421 busy"},
		"hello not listed":    {SMTP{HeloName: "d", Hello: "251"}, "S: 220 mx\nC: EHLO d\nS: 250 mx\nC: QUIT", L7STS, "EHLO: 250 mx"},
		"refused hello is well": {
			SMTP{HeloName: "d", Hello: "550"}, "S: 220 mx\nC: EHLO d\nS: 550 not you\nC: QUIT\nS: 221 bye", L7OK, "220 mx",
		},
		"sender refused is well": {
			SMTP{HeloName: "d", To: "x", Mail: "550"},
			"S: 220 mx\nC: EHLO d\nS: 250 mx\nC: MAIL FROM:<>\nS: 550 no\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye", L7OK, "220 mx",
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := servertest.Serve(t, script(t, test.dialogue))
			expectResult(t, of(test.kind, target).Ask(t.Context()), test.code, test.reason)
		})
	}
}

func TestSMTPTranscript(t *testing.T) {
	k := SMTP{HeloName: "d", To: "x@example.org"}
	const dialogue = "S: 220 mx\nC: EHLO d\nS: 250-mx\nS: 250 DSN\nC: MAIL FROM:<>\nS: 250 ok\n" +
		"C: RCPT TO:<x@example.org>\nS: 250 ok\nC: RSET\nS: 250 ok\nC: QUIT\nS: 221 bye\n"
	r := of(k, servertest.Serve(t, script(t, dialogue))).Ask(t.Context())
	want := strings.NewReplacer("S: ", "< ", "C: ", "> ").Replace(dialogue)
	// The connection may be told before.
	if !strings.HasSuffix(r.Transcript, want) {
		t.Errorf("transcript\n%s\nwant\n%s", r.Transcript, want)
	}
}
