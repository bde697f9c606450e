package probe

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/healthcheck/servertest"
)

// The examples of the manual: the exchanges are those of the protocols' own
// documents.
func TestBanner(t *testing.T) {
	for name, test := range map[string]struct {
		steps    []Step
		dialogue string
		code     Code
		reason   string
	}{
		"IMAP": {
			[]Step{{Expect: `^\* OK`}, {Send: "a1 NOOP\r\n", Expect: `^a1 OK`}, {Send: "a2 LOGOUT\r\n", Expect: `^a2 OK`}},
			"S: * OK [CAPABILITY IMAP4rev1] ready\nC: a1 NOOP\nS: a1 OK done\nC: a2 LOGOUT\nS: * BYE\nS: a2 OK bye",
			L7OK, "a2 OK bye",
		},
		"POP3": {
			[]Step{{Expect: `^\+OK`}, {Send: "QUIT\r\n", Expect: `^\+OK`}},
			"S: +OK ready <1@mx>\nC: QUIT\nS: +OK bye", L7OK, "+OK bye",
		},
		"FTP, greeting of lines": {
			[]Step{{Expect: `^220 `}, {Send: "QUIT\r\n", Expect: `^221 `}},
			"S: 220-welcome\nS: 220-220 users\nS: 220 ready\nC: QUIT\nS: 221 bye", L7OK, "221 bye",
		},
		"Redis": {
			[]Step{{Send: "PING\r\n", Expect: `^\+PONG\r\n`}}, "C: PING\nS: +PONG", L7OK, "+PONG",
		},
		"Redis wants a password": {
			[]Step{{Send: "PING\r\n", Expect: `^(\+PONG|-NOAUTH)`}}, "C: PING\nS: -NOAUTH Authentication required.", L7OK, "-NOAUTH Authentication required.",
		},
		"no is not awaited for ever": {
			[]Step{{Expect: `^\+OK`}}, "S: -ERR busy", L7RSP, `step 1: closed by the server, received "-ERR busy\r\n"`,
		},
		"nothing":         {[]Step{{Expect: `^\+OK`}}, "", L7RSP, "step 1: closed by the server, nothing was received"},
		"second step":     {[]Step{{Expect: `^\+OK`}, {Send: "STAT\r\n", Expect: `^\+OK`}}, "S: +OK\nC: STAT\nS: -ERR", L7RSP, `step 2: closed by the server, received "-ERR\r\n"`},
		"only send":       {[]Step{{Send: "QUIT\r\n"}}, "C: QUIT", L4OK, "connected"},
		"last step sends": {[]Step{{Expect: "^220"}, {Send: "QUIT\r\n"}}, "S: 220 mx\nC: QUIT", L7OK, "220 mx"},
		"two expressions for one answer": {
			[]Step{{Expect: "^220 (mx)"}, {Expect: "ESMTP"}}, "S: 220 mx ESMTP", L7OK, "ESMTP",
		},
		"answer once, wanted twice": {
			[]Step{{Expect: "OK"}, {Expect: "OK"}}, "S: OK", L7RSP, `step 2: closed by the server, nothing was received`,
		},
		"answer said too early is there": {[]Step{{Expect: "^a"}, {Expect: "^b"}}, "S: a\nS: b", L7OK, "b"},
		"control characters":             {[]Step{{Expect: "^mx"}}, "S: mx \x1b[2J", L7OK, "mx ?[2J"},
	} {
		t.Run(name, func(t *testing.T) {
			k := Banner{Steps: ListOf(test.steps...)}
			if err := k.Validate(); err != nil {
				t.Fatal(err)
			}
			expectResult(t, of(k, servertest.Serve(t, script(t, test.dialogue))).Ask(t.Context()), test.code, test.reason)
		})
	}
	k := Banner{Steps: ListOf(Step{Expect: "x"})}
	expectResult(t, of(k, servertest.Refusing(t)).Ask(t.Context()), L4CON, "connect: connection refused")
}

// The anonymous bind of LDAP (RFC 4511), and its answer with a length in the
// short form, as slapd writes, and in the long one, as Active Directory does.
func TestBannerOfBytes(t *testing.T) {
	const bind = "\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"
	const success = `(?s)^\x30.{1,5}\x02\x01\x01\x61.{1,5}\x0a\x01\x00`
	k := Banner{Steps: ListOf(Step{Send: bind, Expect: success})}
	for answer, code := range map[string]Code{
		"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00":                                 L7OK,
		"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x00\x04\x00\x04\x00": L7OK,
		"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x30\x04\x00\x04\x00":                                 L7RSP, // inappropriateAuthentication
	} {
		target := servertest.Serve(t, func(conn net.Conn) {
			heard := make([]byte, len(bind))
			if _, err := io.ReadFull(conn, heard); err != nil || string(heard) != bind {
				t.Errorf("client says %q, %v", heard, err)
			}
			_, _ = io.WriteString(conn, answer)
		})
		if r := of(k, target).Ask(t.Context()); r.Code != code {
			t.Errorf("%q: %s %q, want %s", answer, r.Code, r.Reason, code)
		}
	}
}

// In whichever pieces an answer comes, the result is the same.
func TestBannerInPieces(t *testing.T) {
	const said = "+OK first\r\n+OK second\r\n-ERR third\r\n"
	k := Banner{Steps: ListOf(Step{Expect: `^\+OK`}, Step{Expect: `^\+OK`}, Step{Expect: `^-ERR third\r\n`})}
	for size := 1; size <= len(said); size++ {
		target := servertest.Serve(t, func(conn net.Conn) {
			for rest := said; rest != ""; rest = rest[min(size, len(rest)):] {
				_, _ = io.WriteString(conn, rest[:min(size, len(rest))])
			}
			servertest.Silent(conn)
		})
		expectResult(t, of(k, target).Ask(t.Context()), L7OK, "-ERR third")
	}
}

func TestBannerOverTLS(t *testing.T) {
	k := Banner{Steps: ListOf(Step{Expect: `^\* OK`}, Step{Send: "a LOGOUT\r\n", Expect: `^a OK`}), Security: Implicit}
	const dialogue = "S: * OK ready\nC: a LOGOUT\nS: a OK bye"
	expectResult(t, trusting(t).ask(t.Context(), of(k, servertest.Serve(t, secured(t, "", dialogue)))), L7OK, "a OK bye")
	k.TLS.ExpiryWarning = 100 * 365 * 24 * 3600e9
	if r := trusting(t).ask(t.Context(), of(k, servertest.Serve(t, secured(t, "", dialogue)))); !r.OK || r.Warning == "" {
		t.Errorf("got %+v, want a warning", r)
	}
	expectResult(t, trusting(t).ask(t.Context(), of(k, servertest.Serve(t, script(t, "S: * OK ready\nS: x")))), L6RSP, "tls: ")
}

func TestBannerHostile(t *testing.T) {
	k := Banner{Steps: ListOf(Step{Expect: `^\+OK\r\n`})}
	for name, test := range map[string]struct {
		handle func(net.Conn)
		reason string
	}{
		"endless line":  {servertest.Flood(strings.Repeat("+", 4096)), `step 1: no match in 65536 bytes, received "` + strings.Repeat("+", maxQuoted) + `"...`},
		"endless lines": {servertest.Flood("+OK \r\n"), `step 1: no match in 65536 bytes, received "+OK \r\n`},
		"garbage":       {servertest.Flood("\x00\xff\x16\x03\x01"), `step 1: no match in 65536 bytes, received "\x00\xff\x16\x03\x01`},
	} {
		t.Run(name, func(t *testing.T) {
			expectResult(t, of(k, servertest.Serve(t, test.handle)).Ask(t.Context()), L7RSP, test.reason)
		})
	}
	reset := servertest.Serve(t, func(conn net.Conn) {
		script(t, "S: +OK\nC: PING")(conn)
		reset(conn)
	})
	k.Steps = ListOf(Step{Expect: `^\+OK\r\n`}, Step{Send: "PING\r\n", Expect: "x"})
	expectResult(t, of(k, reset).Ask(t.Context()), L7RSP, "step 2: connection reset by peer, nothing was received")
}

// pieces is a connection on which one byte comes at a time, for ever.
type pieces struct {
	net.Conn
	read int
}

func (p *pieces) Read(b []byte) (int, error) {
	p.read++
	b[0] = 'x'
	return 1, nil
}

// A server that says little at a time does not make this host work without
// bound.
func TestBannerInManyPieces(t *testing.T) {
	conn := &pieces{}
	c := bannerClient{conn: conn, said: &transcript{}}
	_, err := c.carryOut("step 1", Step{Expect: "y"})
	if err == nil || !strings.Contains(err.Error(), "that came in small pieces, received") {
		t.Errorf("error %v", err)
	}
	if conn.read*conn.read/2 > 2*maxMatched {
		t.Errorf("matched %d times", conn.read)
	}
}

func TestBannerSecret(t *testing.T) {
	k := Banner{Steps: ListOf(
		Step{Expect: `^\+OK`},
		Step{Send: "USER tim\r\n", Expect: `^\+OK`},
		Step{Send: "PASS hunter2\r\n", Expect: `^\+OK`, Secret: true},
	)}
	r := of(k, servertest.Serve(t, script(t, "S: +OK\nC: USER tim\nS: +OK\nC: PASS hunter2\nS: -ERR no such password: hunter2"))).Ask(t.Context())
	expectResult(t, r, L7RSP, `step 3: closed by the server, received "-ERR no such password: ...\r\n"`)
	expectHidden(t, r, "hunter2")
	if !strings.Contains(r.Transcript, "> USER tim\n< +OK\n> ...\n< -ERR no such password: ...\n") {
		t.Errorf("transcript\n%s", r.Transcript)
	}
}

func TestBannerTranscript(t *testing.T) {
	k := Banner{Steps: ListOf(Step{Expect: "^220 "}, Step{Send: "NOOP\r\nQUIT\r\n", Expect: "^221 b"})}
	r := of(k, servertest.Serve(t, script(t, "S: 220-mx\nS: 220 go\nC: NOOP\nC: QUIT\nS: 200 ok\nS: 221 bye"))).Ask(t.Context())
	expectResult(t, r, L7OK, "221 bye")
	if !strings.HasPrefix(r.Transcript[strings.Index(r.Transcript, "<"):], "< 220-mx\n< 220 go\n> NOOP\n> QUIT\n") {
		t.Errorf("transcript\n%s", r.Transcript)
	}
}

func TestBannerValidate(t *testing.T) {
	step := Step{Expect: "x"}
	for name, test := range map[string]struct {
		kind Banner
		want string
	}{
		"no steps":   {Banner{}, "no steps, expected at least one with send or expect"},
		"empty step": {Banner{Steps: ListOf(step, Step{Secret: true})}, "step 2: does nothing, expected send or expect"},
		"STARTTLS":   {Banner{Steps: ListOf(step), Security: StartTLS}, `security "starttls" must be "tls" or empty`},
		"TLS":        {Banner{Steps: ListOf(step), Security: Implicit, TLS: TLS{MinVersion: "0.9"}}, "0.9"},
		"expression": {Banner{Steps: ListOf(Step{Expect: "+OK"})}, `step 1: expect "+OK" is not a regular expression (RE2): missing argument to repetition operator`},
		"bracket":    {Banner{Steps: ListOf(Step{Expect: "a)(b"})}, `step 1: expect "a)(b" is not a regular expression (RE2): unexpected )`},
		"end":        {Banner{Steps: ListOf(Step{Expect: `^\+OK$`})}, `step 1: expect "^\\+OK$" asks for the end of what is still coming`},
		"end, again": {Banner{Steps: ListOf(Step{Expect: `(a|b\z)c?`})}, "asks for the end of what is still coming"},
		"anything":   {Banner{Steps: ListOf(Step{Expect: ".*"})}, `step 1: expect ".*" matches before anything is received`},
		"beginning":  {Banner{Steps: ListOf(Step{Expect: "^"})}, "matches before anything is received"},
	} {
		if err := test.kind.Validate(); err == nil || !strings.HasPrefix(err.Error(), test.want) && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
	}
	for _, expect := range []string{`^\+OK\r\n`, `\$`, `[$]`, "é", "\xff", `\xff`, `(?i)ok`, `(?-m)^x`, `^\s*\d+`} {
		if err := (Banner{Steps: ListOf(Step{Expect: expect})}).Validate(); err != nil {
			t.Errorf("%q: %v", expect, err)
		}
	}
}

func TestMatcher(t *testing.T) {
	for _, test := range []struct {
		expect, text string
		start, end   int
	}{
		{"b", "abc", 1, 2},
		{"^b", "abc", -1, 0},
		{"^b", "a\nbc", 2, 3},
		{"(?-m)^b", "a\nbc", -1, 0},
		{"a.c", "a\nc", -1, 0},
		{"(?s)a.c", "a\nc", 0, 3},
		{"a.c", "a\xffc", 0, 3},
		{"a.c", "aéc", -1, 0},
		{"aéc", "aéc", 0, 4},
		{`\xff`, "\xff", 0, 1},
		{"\xff", "\xff", 0, 1},
		{`\xe9`, "é", -1, 0},
		{`\xc3\xa9`, "é", 0, 2},
		{`\x00\x80`, "\x01\x00\x80", 1, 3},
		{`[^\x00-\x7f]`, "a\x80", 1, 2},
		{"a+", "baac", 1, 3},
	} {
		m, err := newMatcher(test.expect)
		if err != nil {
			t.Error(err)
			continue
		}
		start, end, ok := m.find([]byte(test.text))
		if ok != (test.start >= 0) || ok && (start != test.start || end != test.end) {
			t.Errorf("%q in %q: %d..%d %v, want %d..%d", test.expect, test.text, start, end, ok, test.start, test.end)
		}
	}
}

func FuzzMatcher(f *testing.F) {
	f.Add(`^\+OK`, []byte("+OK\r\n"))
	f.Add(`(?s)^\x30.{1,5}\x02`, []byte("\x30\x0c\x02"))
	f.Add("é|\xff|$", []byte("é\xff"))
	f.Add(`(?i)a**|\pL|\b`, []byte("\x00\n"))
	f.Fuzz(func(t *testing.T, expect string, text []byte) {
		m, err := newMatcher(expect)
		if err != nil || len(text) > 4096 {
			return
		}
		start, end, ok := m.find(text)
		if !ok {
			return
		}
		if start < 0 || end < start || end > len(text) || len(text) == 0 {
			t.Fatalf("%q in %q: %d..%d", expect, text, start, end)
		}
		// A client with this text takes it off, and shows whole lines.
		c := bannerClient{said: &transcript{}, received: text}
		shown := c.consume(start, end)
		if !bytes.Contains(text, []byte(shown)) || !strings.Contains(shown, string(text[start:end])) {
			t.Errorf("%q in %q: shows %q", expect, text, shown)
		}
		if !bytes.Equal(c.received, text[end:]) || c.shown < 0 || c.shown > len(c.received) {
			t.Errorf("%q in %q: keeps %q, %d shown", expect, text, c.received, c.shown)
		}
	})
}
