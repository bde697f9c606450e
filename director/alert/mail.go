package alert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"os"
	"strconv"

	"github.com/wneessen/go-mail"

	"github.com/lvsd/lvsd/config"
)

// mailer sends mail by one server.
type mailer struct {
	config config.MailAlert
	// helo is this host's name.
	helo string
	// roots are the authorities of servers; nil is the system's.
	roots *x509.CertPool
}

func newMailer(c config.MailAlert) *mailer {
	helo, err := os.Hostname()
	if err != nil || helo == "" {
		helo = "localhost"
	}
	return &mailer{config: c, helo: helo}
}

// send sends one mail to all recipients. Where a server refuses one of them for good,
// the others get it all the same.
func (m *mailer) send(ctx context.Context, b batch) error {
	err := m.sendTo(ctx, b, m.config.To)
	if len(m.config.To) == 1 || !refusesRecipient(err) {
		return err
	}
	var errs []error
	delivered := false
	for _, to := range m.config.To {
		err := m.sendTo(ctx, b, []string{to})
		delivered = delivered || err == nil
		if err != nil {
			errs = append(errs, fmt.Errorf("to %s: %w", to, err))
		}
	}
	if err := errors.Join(errs...); err != nil && delivered {
		return refusal{err} // or those who have it would get it again
	}
	return errors.Join(errs...)
}

func refusesRecipient(err error) bool {
	var failed *mail.SendError
	return errors.As(err, &failed) && failed.Reason == mail.ErrSMTPRcptTo
}

func (m *mailer) sendTo(ctx context.Context, b batch, to []string) error {
	message, err := m.message(b, to)
	if err != nil {
		return refusal{fmt.Errorf("mail: %w", err)}
	}
	d := &dialer{tls: m.config.TLS == "tls", config: m.tlsConfig()}
	defer d.close()
	// What hangs ends with the connection.
	defer context.AfterFunc(ctx, d.close)()
	client, err := m.client(d)
	if err != nil {
		return refusal{fmt.Errorf("mail: %w", err)}
	}
	err = client.DialAndSendWithContext(ctx, message)
	if err == nil || message.IsDelivered() { // what comes after is no matter
		return nil
	}
	err = fmt.Errorf("mail: %w", err)
	if isFinal(err) {
		return refusal{err}
	}
	return err
}

// isFinal reports whether the server said no for good: 5xx.
func isFinal(err error) bool {
	var failed *mail.SendError
	if errors.As(err, &failed) {
		return failed.ErrorCode() >= 500
	}
	var answer *textproto.Error
	return errors.As(err, &answer) && answer.Code >= 500
}

func (m *mailer) tlsConfig() *tls.Config {
	host, _, _ := net.SplitHostPort(m.config.Server)
	return &tls.Config{ServerName: host, RootCAs: m.roots, MinVersion: tls.VersionTLS12}
}

func (m *mailer) client(d *dialer) (*mail.Client, error) {
	host, portText, err := net.SplitHostPort(m.config.Server)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", m.config.Server, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("server %q: %w", m.config.Server, err)
	}
	options := []mail.Option{
		mail.WithPort(port), mail.WithHELO(m.helo), mail.WithTimeout(sendTime), mail.WithoutNoop(),
		mail.WithDialContextFunc(d.dial), mail.WithTLSConfig(m.tlsConfig()),
	}
	policy := mail.TLSMandatory
	if m.config.TLS != "starttls" {
		policy = mail.NoTLS // there is TLS already, or there is to be none
	}
	options = append(options, mail.WithTLSPolicy(policy))
	if m.config.User != "" {
		mechanisms := []mail.SMTPAuthType{
			mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1, mail.SMTPAuthPlain, mail.SMTPAuthLogin, mail.SMTPAuthCramMD5,
		}
		if m.config.TLS == "none" { // which the configuration has only on this host
			mechanisms[2], mechanisms[3] = mail.SMTPAuthPlainNoEnc, mail.SMTPAuthLoginNoEnc
		}
		options = append(options, mail.WithUsername(m.config.User), mail.WithPassword(string(m.config.Password)),
			mail.WithOpportunisticSMTPAuth(mechanisms...))
	}
	return mail.NewClient(host, options...)
}
