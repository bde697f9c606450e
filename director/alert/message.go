package alert

import (
	"crypto/rand"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/wneessen/go-mail"

	"github.com/lvsd/lvsd/director"
)

// maxSubject is how many characters of a subject are shown.
const maxSubject = 160

// message is the mail of a batch, as plain text.
func (m *mailer) message(b batch, to []string) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(m.config.From); err != nil {
		return nil, err
	}
	if err := msg.To(to...); err != nil {
		return nil, err
	}
	msg.Subject(subject(b))
	msg.SetDate()
	msg.SetMessageIDWithValue(rand.Text() + "@" + m.helo)
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetUserAgent("lvsd")
	msg.SetBodyString(mail.TypeTextPlain, body(b))
	return msg, nil
}

// subject says the worst, and how much there is beside.
func subject(b batch) string {
	worst := b.Events[0]
	for _, e := range b.Events {
		if rank(e.Severity) >= rank(worst.Severity) { // of two equal ones the later
			worst = e
		}
	}
	text := []rune(fmt.Sprintf("[lvsd %s] %s: %s", oneLine(worst.Node), worst.Severity, oneLine(worst.Text)))
	if len(text) > maxSubject {
		text = append(text[:maxSubject-1], '…')
	}
	if more := len(b.Events) + b.LeftOut - 1; more > 0 {
		return fmt.Sprintf("%s (and %d more)", string(text), more)
	}
	return string(text)
}

func rank(severity string) int {
	switch severity {
	case director.SeverityError:
		return 2
	case director.SeverityWarning:
		return 1
	}
	return 0
}

// body has a line for each event.
func body(b batch) string {
	var text strings.Builder
	if b.LeftOut > 0 {
		fmt.Fprintf(&text, "%d earlier events did not fit.\n\n", b.LeftOut)
	}
	for _, e := range b.Events {
		fmt.Fprintf(&text, "%s  %-7s  %s\n", e.At.Format(time.RFC3339), e.Severity, oneLine(e.Text))
	}
	last := b.Events[len(b.Events)-1]
	fmt.Fprintf(&text, "\n-- \nlvsd on %s, up to event %d; all of them: lvsd events\n", oneLine(last.Node), last.Seq)
	return text.String()
}

// oneLine has no control characters, which somebody else's reply may have brought.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}
