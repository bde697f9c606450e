package probe

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
)

// SMTP speaks with a mail server (RFC 5321). Nothing is ever sent: it leaves
// before DATA.
//
// A reply of 400 and above that is listed as one that passes ends the dialogue
// with a success: no more can be asked after it.
type SMTP struct {
	// HeloName is the name said in EHLO and HELO; empty is the address literal
	// of the connection's own end (RFC 5321 4.1.3).
	HeloName string
	// Security is when TLS begins; with StartTLS the server must offer it.
	Security Security
	TLS      TLS
	// Username and Password are for AUTH, by the first of PLAIN, LOGIN and
	// CRAM-MD5 that the server offers; empty leaves it out. They are said over
	// TLS only, except to this host itself.
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

// ask hears the greeting, says EHLO, or HELO to a server that does not know
// EHLO, goes on as far as the options say, and takes its leave. What it saw is
// the greeting.
func (k SMTP) ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error) {
	if err := k.validateTarget(to); err != nil {
		return answer{}, &failure{SOCKERR, err.Error()}
	}
	d.said.conceal(k.secrets()...)
	conn, err := d.dial(ctx, to)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	c := &smtpClient{name: k.heloName(conn.LocalAddr()), said: d.said}
	c.over(conn)
	found, err := k.converse(c, d, to.Addr().String())
	if errors.Is(err, errLastReply) {
		err = nil
	}
	c.quit(err)
	return found, err
}

// converse is the dialogue up to the leave; server is who the other end is.
func (k SMTP) converse(c *smtpClient, d dialer, server string) (found answer, err error) {
	if k.Security == Implicit {
		if found.warning, err = c.secure(d, k.TLS, server); err != nil {
			return found, err
		}
	}
	greeting, err := c.expect("greeting", cmp.Or(k.Greeting, "220"))
	found.seen = greeting.line
	if err != nil {
		return found, err
	}
	if err := c.hello(k.hello()); err != nil {
		return found, err
	}
	if k.Security == StartTLS {
		if found.warning, err = c.startTLS(d, k.TLS, server); err != nil {
			return found, err
		}
		if err := c.hello(k.hello()); err != nil {
			return found, err
		}
	}
	if k.Username != "" {
		if err := c.authenticate(k.Username, k.Password); err != nil {
			return found, err
		}
	}
	if k.To == "" {
		return found, nil
	}
	return found, k.transaction(c)
}

func (k SMTP) hello() string { return cmp.Or(k.Hello, "250") }

// transaction begins to send a mail.
func (k SMTP) transaction(c *smtpClient) error {
	c.mail = true
	if _, err := c.command("MAIL FROM:<"+k.From+">", "MAIL FROM", cmp.Or(k.Mail, "250")); err != nil {
		return err
	}
	_, err := c.command("RCPT TO:<"+k.To+">", "RCPT TO", cmp.Or(k.Recipient, "250-251"))
	return err
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
