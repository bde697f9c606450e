package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"
)

// parrot is a connection to a server that says a text, whatever it hears.
type parrot struct {
	net.Conn
	says io.Reader
}

func (p parrot) Read(b []byte) (int, error)  { return p.says.Read(b) }
func (p parrot) Write(b []byte) (int, error) { return len(b), nil }
func (p parrot) Close() error                { return nil }
func (p parrot) LocalAddr() net.Addr         { return &net.TCPAddr{} }
func (p parrot) SetDeadline(time.Time) error { return nil }

// answeredBy asks a server that says the text.
func answeredBy(k Kind, text string) Result {
	d := dialer{connect: func(context.Context, netip.AddrPort) (net.Conn, error) {
		return parrot{says: strings.NewReader(text)}, nil
	}}
	return d.ask(context.Background(), of(k, netip.MustParseAddrPort("127.0.0.1:25")))
}

// expectUnseen fails the test if r shows a secret, as it is or as it is printed.
func expectUnseen(t rapid.TB, r Result, hidden ...string) {
	t.Helper()
	for _, secret := range hidden {
		for _, text := range []string{secret, sanitise(secret), strings.ToUpper(secret)} {
			if strings.Contains(r.Reason+"\n"+r.Warning+"\n"+r.Transcript, text) {
				t.Errorf("%q is shown:\n%s %s\n%s", text, r.Code, r.Reason, r.Transcript)
			}
		}
	}
}

// secretCall is a request that proves who it is from, and what it must not show.
func secretCall(version, user, password string) (HTTP, []string) {
	k := HTTP{
		Version: version, Host: "www.example", Username: user, Password: password, Follow: 2,
		Requests: ListOf(HTTPRequest{Path: "/", Status: "200", Contains: "welcome", Headers: ListOf("X-Token: tok-" + user + "-en")}),
	}
	return k, []string{password, encoded(user + ":" + password), "tok-" + user + "-en"}
}

// What a server says of the credentials comes into the reason by many ways.
func TestSecretsInReplies(t *testing.T) {
	const secret = "hunter2secret"
	k, hidden := secretCall("", "tim", secret)
	for name, reply := range map[string]string{
		"header without colon":  "HTTP/1.1 200 OK\r\nAuth " + secret + "\r\n\r\n",
		"no HTTP":               secret + "\r\n\r\n",
		"status":                "HTTP/1.1 " + secret + " OK\r\n\r\n",
		"version":               secret + " 200 OK\r\n\r\n",
		"length":                "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"transfer encoding":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"redirect to the path":  "HTTP/1.1 302 Found\r\nLocation: /login?t=" + secret + "\r\n\r\n",
		"redirect elsewhere":    "HTTP/1.1 302 Found\r\nLocation: http://" + secret + "/\r\n\r\n",
		"redirect to no URL":    "HTTP/1.1 302 Found\r\nLocation: :" + secret + "\r\n\r\n",
		"credentials, repeated": "HTTP/1.1 200 OK\r\nBasic " + encoded("tim:"+secret) + "\r\n\r\n",
	} {
		t.Run("HTTP/1 "+name, func(t *testing.T) {
			r := answeredBy(k, reply)
			expectUnseen(t, r, hidden...)
			if r.OK || !strings.Contains(r.Transcript, "Authorization: Basic ...\n") {
				t.Errorf("%s %s\n%s", r.Code, r.Reason, r.Transcript)
			}
		})
	}
	k.Version = "2"
	for name, reply := range map[string]string{
		"goodbye": settings() + frames(func(f *http2.Framer) { _ = f.WriteGoAway(1, http2.ErrCodeEnhanceYourCalm, []byte(secret)) }),
		"status":  settings() + head(true, ":status", secret),
	} {
		t.Run("HTTP/2 "+name, func(t *testing.T) {
			r := answeredBy(k, reply)
			expectUnseen(t, r, hidden...)
			if r.OK || !strings.Contains(r.Reason, "...") {
				t.Errorf("%s %s", r.Code, r.Reason)
			}
		})
	}
}

// Whatever a server makes of the credentials that it knows, it does not bring
// them into a reason or a transcript.
func TestSecretsStaySecret(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		user := rapid.SampledFrom([]string{"tim", "director@example.org"}).Draw(t, "user")
		password := rapid.SampledFrom([]string{
			"hunter2secret", "open sesame", `quo"ted\ back`, "pässwörd", "a%20b+c&d=e", "tab\tbed", "nul\x00nul", "\xff\xfe\xfd\xfc", "HTTP", "220 mx",
		}).Draw(t, "password")
		plain := encoded("\x00" + user + "\x00" + password)
		known := []string{password, encoded(user + ":" + password), encoded(password), plain, user + ":" + password}
		// wicked is made of the credentials and what replies are made of.
		wicked := func(name string, parts ...string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(parts, known...)), 1, 12).Draw(t, name), "")
		}
		for _, version := range []string{"1.0", ""} {
			k, hidden := secretCall(version, user, password)
			begin := rapid.SampledFrom([]string{"", "HTTP/1.1 ", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 302 Found\r\nLocation: /", "HTTP/1.1 200 OK\r\n\r\n"}).Draw(t, "begin")
			reply := begin + wicked("reply", "\r\n", ": ", " ", "200", "Location: ", "Content-Length: ", "/?x=", "\r\n\r\n") + "\r\n\r\n"
			expectUnseen(t, answeredBy(k, reply), hidden...)
		}
		k, hidden := secretCall("2", user, password)
		text := wicked("text of HTTP/2", " ", "/")
		reply := rapid.SampledFrom([]string{
			text,
			settings() + text,
			settings() + frames(func(f *http2.Framer) { _ = f.WriteGoAway(0, http2.ErrCodeProtocol, []byte(text)) }),
			settings() + head(true, ":status", text),
			settings() + head(true, ":status", "200", text, "x"),
			settings() + head(true, ":status", "302", "location", text),
			settings() + head(true, ":status", "302", "location", "/"+text),
			settings() + head(false, ":status", "200") + data(true, text),
		}).Draw(t, "reply of HTTP/2")
		expectUnseen(t, answeredBy(k, reply), hidden...)

		for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", password} {
			replies := []string{"220 mx\r\n", "250 AUTH " + mechanism + "\r\n", "334 \r\n", "334 \r\n", "235 ok\r\n"}
			at := rapid.IntRange(0, len(replies)-1).Draw(t, "which reply")
			begin := rapid.SampledFrom([]string{"", "220 ", "250-", "250 AUTH ", "334 ", "535 ", "535-"}).Draw(t, "code")
			replies[at] = begin + wicked("reply of SMTP", " ", "\r\n", "\r\n535 ") + "\r\n"
			k := SMTP{HeloName: "d", Username: user, Password: password}
			expectUnseen(t, answeredBy(k, strings.Join(replies, "")), password, encoded(password), plain)
		}

		words := strings.FieldsFunc(password, func(r rune) bool { return r <= ' ' || r == '"' })
		steps := Banner{Steps: ListOf(Step{Expect: "ready"}, Step{Send: "LOGIN " + user + " " + password + "\n", Secret: true, Expect: "^OK"})}
		says := rapid.SampledFrom([]string{"ready\n", "ready " + password + "\n", password}).Draw(t, "greeting") + wicked("banner", " ", "\n", "OK") + "\n"
		shown := answeredBy(steps, says)
		for _, word := range words {
			if len(word) >= minSecret {
				expectUnseen(t, shown, word)
			}
		}
	})
}

// What is shorter than a secret can be is in ordinary words.
func TestSecretsOf(t *testing.T) {
	for _, test := range []struct {
		texts      []string
		text, want string
	}{
		{nil, "status 200", "status 200"},
		{[]string{"", "200"}, "status 200", "status 200"},
		{[]string{"2000"}, "status 2000", "status ..."},
		{[]string{"open", "open sesame"}, "open sesame, open", "..., ..."},
		{[]string{"mixed"}, "AUTH MIXED mixed", "AUTH ... ..."},
		{[]string{`a"b\c`}, fmt.Sprintf("%q", `x a"b\c`), `"x ..."`},
		{[]string{"a b/c"}, "/a%20b/c /a%20b%2Fc ?a+b%2Fc", "/... /... ?..."},
	} {
		if got := secretsOf(test.texts...).hide(test.text); got != test.want {
			t.Errorf("%q of %q: %q, want %q", test.text, test.texts, got, test.want)
		}
	}
}
