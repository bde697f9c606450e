package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

// SMTP speaks with a mail server (RFC 5321). Nothing is ever sent: it leaves
// before DATA.
type SMTP struct {
	// HeloName is the name said in EHLO and HELO; empty is the address literal
	// of the connection's own end (RFC 5321 4.1.3).
	HeloName string
	Security Security
	TLS      TLS
	// Username and Password are for AUTH; empty leaves it out.
	Username, Password string
	// From and To are the addresses of MAIL FROM and RCPT TO; an empty To leaves
	// both out, an empty From is the null reverse-path.
	From, To string
	// Greeting, Hello, Mail and Recipient list the reply codes that pass, in the
	// form of a [StatusSet]; empty is 220, 250, 250 and 250-251.
	Greeting, Hello, Mail, Recipient string
}

// Type is "smtp".
func (SMTP) Type() string { return "smtp" }

// Validate returns what is wrong with the options.
func (k SMTP) Validate() error {
	if !isWord(k.HeloName) {
		return fmt.Errorf("helo name %q must be one word of printable ASCII", k.HeloName)
	}
	return nil
}

// ask hears the greeting, says EHLO, or HELO to a server that does not know
// EHLO, and takes its leave. What it saw is the greeting.
func (k SMTP) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	conn, err := d.dial(ctx, to)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	c := smtpClient{conn: conn, replies: bufio.NewReaderSize(conn, maxSMTPLine)}
	greeting, err := c.expect("greeting", 220)
	if err == nil {
		err = c.hello(k.heloName(conn.LocalAddr()))
	}
	c.quit(err)
	return answer{seen: greeting.line}, err
}

// heloName is the name to say: the configured one, or the address literal of
// the own end.
func (k SMTP) heloName(local net.Addr) string {
	if k.HeloName != "" {
		return k.HeloName
	}
	end, err := netip.ParseAddrPort(local.String())
	switch {
	case err != nil:
		return "localhost"
	case end.Addr().Unmap().Is4():
		return "[" + end.Addr().Unmap().String() + "]"
	}
	return "[IPv6:" + end.Addr().WithZone("").String() + "]"
}

// smtpClient is this end of an SMTP connection.
type smtpClient struct {
	conn    io.Writer
	replies *bufio.Reader
}

// hello introduces this host. A permanent refusal of EHLO (RFC 5321 3.2) is
// followed by HELO, and that answer counts.
func (c smtpClient) hello(name string) error {
	if err := c.say("EHLO " + name); err != nil {
		return err
	}
	r, err := c.hear("EHLO")
	if err != nil {
		return err
	}
	if r.code/100 != 5 {
		return r.require("EHLO", 250)
	}
	if err := c.say("HELO " + name); err != nil {
		return err
	}
	_, err = c.expect("HELO", 250)
	return err
}

// quit says QUIT if the server still speaks SMTP, and after success waits for
// the reply, so that the server does not see a connection lost. Nobody's
// verdict depends on it.
func (c smtpClient) quit(err error) {
	var f *failure
	if errors.As(err, &f) && f.code != L7STS {
		return
	}
	if c.say("QUIT") == nil && err == nil {
		_, _ = c.hear("QUIT")
	}
}

func (c smtpClient) say(line string) error {
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return dialogueFailed(line, err)
	}
	return nil
}

func (c smtpClient) hear(step string) (smtpReply, error) {
	r, err := readSMTPReply(c.replies)
	if err != nil {
		return r, dialogueFailed(step, err)
	}
	return r, nil
}

func (c smtpClient) expect(step string, code int) (smtpReply, error) {
	r, err := c.hear(step)
	if err != nil {
		return r, err
	}
	return r, r.require(step, code)
}

func (r smtpReply) require(step string, code int) error {
	if r.code != code {
		return &failure{L7STS, step + ": " + r.line}
	}
	return nil
}
