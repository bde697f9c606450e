package healthcheck

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
)

// dialogueSMTP hears the greeting, says EHLO, or HELO to a server that does not
// know EHLO, and takes its leave. What it returns is the greeting.
func dialogueSMTP(ctx context.Context, d dialer, s Spec) (string, error) {
	conn, err := d.dial(ctx, s.Target)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	c := smtpClient{conn: conn, replies: bufio.NewReaderSize(conn, maxSMTPLine)}
	greeting, err := c.expect("greeting", 220)
	if err == nil {
		err = c.hello(heloName(s.SMTP, conn.LocalAddr()))
	}
	c.quit(err)
	return greeting.line, err
}

// heloName is the name to say: the configured one, or the address literal of
// the own end.
func heloName(o SMTPOptions, local net.Addr) string {
	if o.HeloName != "" {
		return o.HeloName
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
