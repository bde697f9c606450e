package probe

import (
	"bufio"
	"errors"
	"io"
	"net"
)

// smtpClient is this end of an SMTP connection.
type smtpClient struct {
	conn    net.Conn
	replies *bufio.Reader
	said    *transcript
	// name is what this host calls itself.
	name string
	// offers is what the server said in its last answer to EHLO.
	offers extensions
	// mail tells that MAIL FROM was said.
	mail bool
}

// errLastReply is the error of a reply that passes although nothing can be asked
// after it.
var errLastReply = errors.New("last reply")

// over goes on over conn. What was received on another one is forgotten.
func (c *smtpClient) over(conn net.Conn) {
	c.conn, c.replies, c.offers = conn, bufio.NewReaderSize(conn, maxSMTPLine), extensions{}
}

// secure begins to speak TLS.
func (c *smtpClient) secure(d dialer, o TLS, server string) (warning string, err error) {
	conn, warning, err := d.startTLS(c.conn, o, server)
	if err != nil {
		return "", err
	}
	c.over(conn)
	return warning, nil
}

// startTLS asks for TLS and begins to speak it. What came after the reply came
// in the clear, from whoever is on the way: it must not be taken for an answer
// that TLS protects.
func (c *smtpClient) startTLS(d dialer, o TLS, server string) (warning string, err error) {
	if !c.offers.startTLS {
		return "", &failure{L7STS, "STARTTLS: not offered by the server"}
	}
	if _, err := c.command("STARTTLS", "STARTTLS", "220"); err != nil {
		return "", err
	}
	if c.replies.Buffered() > 0 {
		return "", &failure{L7RSP, "STARTTLS: the server went on in the clear after its reply"}
	}
	return c.secure(d, o, server)
}

// hello introduces this host. A permanent refusal of EHLO (RFC 5321 3.2) is
// followed by HELO, and that answer counts.
func (c *smtpClient) hello(codes string) error {
	if err := c.say("EHLO " + c.name); err != nil {
		return err
	}
	r, err := c.hear("EHLO")
	if err != nil {
		return err
	}
	if r.code/100 == 2 {
		c.offers = parseExtensions(r.rest)
	}
	err = r.require("EHLO", codes)
	if err == nil || errors.Is(err, errLastReply) || r.code/100 != 5 {
		return err
	}
	_, err = c.command("HELO "+c.name, "HELO", codes)
	return err
}

// quit says QUIT if the server still speaks SMTP, and after success waits for
// the reply, so that the server does not see a connection lost. Nobody's
// verdict depends on it.
func (c *smtpClient) quit(err error) {
	var f *failure
	if errors.As(err, &f) && f.code != L7STS {
		return
	}
	if err == nil && c.mail {
		if c.say("RSET") != nil {
			return
		}
		if _, err := c.hear("RSET"); err != nil {
			return
		}
	}
	if c.say("QUIT") == nil && err == nil {
		_, _ = c.hear("QUIT")
	}
}

// command says line and expects one of the codes in answer.
func (c *smtpClient) command(line, step, codes string) (smtpReply, error) {
	if err := c.say(line); err != nil {
		return smtpReply{}, err
	}
	return c.expect(step, codes)
}

func (c *smtpClient) say(line string) error { return c.sayAs(line, line, line) }

// sayAs says line in a step, and shows another one.
func (c *smtpClient) sayAs(step, line, shown string) error {
	c.said.sent(shown)
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		return dialogueFailed(step, err)
	}
	return nil
}

func (c *smtpClient) hear(step string) (smtpReply, error) {
	r, err := readSMTPReply(c.replies, c.said.received)
	if err != nil {
		return r, dialogueFailed(step, err)
	}
	return r, nil
}

func (c *smtpClient) expect(step, codes string) (smtpReply, error) {
	r, err := c.hear(step)
	if err != nil {
		return r, err
	}
	return r, r.require(step, codes)
}

// require is nil if the codes, in the form of a [StatusSet], hold the reply's,
// and the dialogue can go on.
func (r smtpReply) require(step, codes string) error {
	set, err := ParseStatus(codes)
	switch {
	case err != nil:
		return &failure{SOCKERR, step + ": " + err.Error()}
	case !set.Contains(r.code):
		return &failure{L7STS, step + ": " + r.line}
	case r.code >= 400:
		return errLastReply
	}
	return nil
}
