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
	// had is the Seq of the last event that each recipient has had, or that was refused
	// for him, while some have had more than others; nil otherwise.
	had map[string]uint64
}

func newMailer(c config.MailAlert) *mailer {
	helo, err := os.Hostname()
	if err != nil || helo == "" {
		helo = "localhost"
	}
	return &mailer{config: c, helo: helo}
}

// send sends one mail to all recipients. Where a server refuses one of them, the others
// get it all the same, and he gets it later unless it is for good.
func (m *mailer) send(ctx context.Context, b batch) error {
	if m.had == nil {
		err := m.sendTo(ctx, b, m.config.To)
		if len(m.config.To) == 1 || !refusesRecipient(err) {
			return err
		}
	}
	return m.sendEach(ctx, b)
}

// sendEach sends each recipient a mail of what he has not had.
func (m *mailer) sendEach(ctx context.Context, b batch) error {
	had := map[string]uint64{}
	last := b.Events[len(b.Events)-1].Seq
	var refused, failed []error
	for _, to := range m.config.To {
		had[to] = last
		rest := b.after(m.had[to])
		if len(rest.Events) == 0 {
			continue
		}
		err := m.sendTo(ctx, rest, []string{to})
		var final refusal
		switch {
		case err == nil:
		case errors.As(err, &final):
			refused = append(refused, fmt.Errorf("to %s: %w", to, final.error))
		default:
			failed = append(failed, fmt.Errorf("to %s: %w", to, err))
			had[to] = m.had[to]
		}
	}
	if len(failed) > 0 {
		m.had = had
		// A refusal among them would be one of all.
		return errors.Join(append(failed, textOnly(refused)...)...)
	}
	m.had = nil
	if len(refused) > 0 {
		return refusal{errors.Join(refused...)}
	}
	return nil
}

// textOnly are the errors' texts, of no kind.
func textOnly(errs []error) []error {
	var all []error
	for _, err := range errs {
		all = append(all, errors.New(err.Error()))
	}
	return all
}

// after is the part of the batch with greater Seq.
func (b batch) after(seq uint64) batch {
	for len(b.Events) > 0 && b.Events[0].Seq <= seq {
		b.Events, b.LeftOut = b.Events[1:], 0
	}
	return b
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
