package alert

import (
	"context"
	"errors"
	"mime"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// mailerTo is a mailer to the server.
func mailerTo(s *smtpServer, mode string) *mailer {
	m := newMailer(config.MailAlert{
		Server: s.listener.Addr().String(), TLS: mode, From: "lvsd <lvsd@relay1.example.org>",
		To: []string{"ops@example.org"},
	})
	m.helo, m.roots = "relay1.example.org", s.roots
	return m
}

func news() batch {
	at := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	return batch{Events: []director.Event{
		{Seq: 1, At: at, Kind: director.EventServerDown, Severity: "warning", Node: "relay1", Text: "server smtp/192.0.2.11:25 down"},
		{
			Seq: 2, At: at, Kind: director.EventQuorumDown, Severity: "error", Node: "relay1",
			Text: "service smtp has lost its quorum\r\nBcc: x@example.org \x1b[31mß",
		},
		{Seq: 3, At: at, Kind: director.EventServerUp, Severity: "info", Node: "relay1", Text: "server smtp/192.0.2.11:25 up"},
	}}
}

// TestMailOverTLS of each kind, with AUTH, as a mail reader sees it.
func TestMailOverTLS(t *testing.T) {
	for _, mode := range []string{"starttls", "tls", "none"} {
		t.Run(mode, func(t *testing.T) {
			s := newSMTPServer(t, func(s *smtpServer) { s.whole, s.starttls = mode == "tls", mode != "tls" })
			m := mailerTo(s, mode)
			m.config.User, m.config.Password = "lvsd", "secret"
			if err := m.send(t.Context(), news()); err != nil {
				t.Fatal(err)
			}
			if used := s.count("STARTTLS") == 1; used != (mode == "starttls") {
				t.Errorf("STARTTLS: %v", used)
			}
			if s.count("AUTH PLAIN") != 1 || s.count("EHLO relay1.example.org") == 0 {
				t.Errorf("said %q", s.said())
			}
			if len(s.taken()) != 1 {
				t.Fatalf("%d mails", len(s.taken()))
			}
			checkMail(t, s.taken()[0])
		})
	}
}

func checkMail(t *testing.T, text string) {
	t.Helper()
	got, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil {
		t.Error(err)
	}
	want := "[lvsd relay1] error: service smtp has lost its quorum  Bcc: x@example.org  [31mß (and 2 more)"
	if subject != want {
		t.Errorf("subject %q\nwant    %q", subject, want)
	}
	for name, part := range map[string]string{
		"Auto-Submitted": "auto-generated", "From": "lvsd@relay1.example.org", "To": "ops@example.org",
		"Message-Id": "@relay1.example.org>", "Content-Type": "text/plain",
	} {
		if !strings.Contains(got.Header.Get(name), part) {
			t.Errorf("%s: %q, want one with %q", name, got.Header.Get(name), part)
		}
	}
	if date, err := got.Header.Date(); err != nil || time.Since(date) > time.Hour {
		t.Errorf("date %v, %v", date, err)
	}
	if got.Header.Get("Bcc") != "" {
		t.Error("the reason of an event made a header")
	}
	if !strings.Contains(text, "2026-02-03T04:05:06Z  warning  server smtp/192.0.2.11:25 down") {
		t.Errorf("body:\n%s", text)
	}
}

// TestMailFaults: what is tried again and what is not.
func TestMailFaults(t *testing.T) {
	for _, test := range []struct {
		name, command, answer string
		final                 bool
	}{
		{"greylisted", "RCPT", "451 4.7.1 greylisted", false},
		{"unknown recipient", "RCPT", "550 5.1.1 no such user", true},
		{"too busy", "", "421 too many connections", false},
		{"banned", "", "554 no service for you", true},
		{"full", ".", "452 4.3.1 no space", false},
		{"refused text", ".", "554 5.7.1 spam", true},
		{"bad sender", "MAIL", "553 5.1.8 who", true},
		{"bad password", "AUTH", "535 5.7.8 no", true},
		{"no TLS now", "STARTTLS", "454 4.7.0 later", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSMTPServer(t, func(s *smtpServer) { s.starttls = true })
			s.when(test.command, test.answer)
			m := mailerTo(s, "starttls")
			m.config.User, m.config.Password = "lvsd", "secret"
			err := m.send(t.Context(), news())
			var refused refusal
			if err == nil || errors.As(err, &refused) != test.final {
				t.Errorf("error %v, final is %v", err, test.final)
			}
			if err := m.send(t.Context(), news()); err != nil || len(s.taken()) != 1 {
				t.Errorf("the second time: %v, %d mails", err, len(s.taken()))
			}
		})
	}
}

// TestMailNeedsItsTLS: a server without STARTTLS, or of whom nobody vouches, gets
// neither password nor mail, and is tried again.
func TestMailNeedsItsTLS(t *testing.T) {
	for _, unknown := range []bool{true, false} {
		s := newSMTPServer(t, func(s *smtpServer) { s.starttls = unknown })
		m := mailerTo(s, "starttls")
		m.config.User, m.config.Password = "lvsd", "secret"
		if unknown {
			m.roots = nil
		}
		var refused refusal
		if err := m.send(t.Context(), news()); err == nil || errors.As(err, &refused) {
			t.Errorf("error %v", err)
		}
		if s.count("AUTH")+s.count("MAIL") > 0 {
			t.Errorf("said %q", s.said())
		}
	}
}

// TestMailOfSeveralRecipients: one that is refused keeps the others from nothing.
func TestMailOfSeveralRecipients(t *testing.T) {
	s := newSMTPServer(t, func(s *smtpServer) { s.answers["RCPT TO:<gone@example.org>"] = "!550 5.1.1 no such user" })
	m := mailerTo(s, "none")
	m.config.To = []string{"gone@example.org", "ops@example.org"}
	err := m.send(t.Context(), news())
	var refused refusal
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "gone@example.org") || strings.Contains(err.Error(), "to ops@") {
		t.Errorf("error %v", err)
	}
	if len(s.taken()) != 1 {
		t.Errorf("%d mails, want one to the other", len(s.taken()))
	}
}

// TestMailLaterForOne: one who is to wait gets what he missed, and the others get
// nothing twice.
func TestMailLaterForOne(t *testing.T) {
	s := newSMTPServer(t, func(s *smtpServer) {
		s.answers["RCPT TO:<gone@example.org>"] = "!550 5.1.1 no such user"
		s.answers["RCPT TO:<grey@example.org>"] = "!451 4.7.1 greylisted"
	})
	m := mailerTo(s, "none")
	m.config.To = []string{"grey@example.org", "gone@example.org", "ops@example.org"}
	b := news()
	var refused refusal
	for range 2 {
		err := m.send(t.Context(), b)
		if err == nil || errors.As(err, &refused) || !strings.Contains(err.Error(), "to grey@example.org") {
			t.Errorf("error %v", err)
		}
	}
	if len(s.taken()) != 1 {
		t.Errorf("%d mails, want one to ops@", len(s.taken()))
	}
	// Meanwhile there is more, which is for all.
	b.Events = append(b.Events, director.Event{Seq: 4, Kind: director.EventServerUp, Severity: "info", Node: "relay1", Text: "up"})
	s.when("RCPT TO:<grey@example.org>", "250 ok")
	if err := m.send(t.Context(), b); !errors.As(err, &refused) || !strings.Contains(err.Error(), "to gone@") {
		t.Errorf("error %v", err)
	}
	mails := s.taken()
	if len(mails) != 3 {
		t.Fatalf("%d mails, want one more to each", len(mails))
	}
	for i, want := range []bool{true, true, false} { // ops@ at first, then grey@, then ops@
		if got := strings.Contains(mails[i], "192.0.2.11:25 down"); got != want {
			t.Errorf("mail %d tells of the first event: %v\n%s", i, got, mails[i])
		}
	}
}

// TestMailServerTalks: a reply without an end is not gathered.
func TestMailServerTalks(t *testing.T) {
	for _, mode := range []string{"tls", "none"} {
		for _, endless := range []string{strings.Repeat("x", 2*maxHeard), strings.Repeat("250-more\r\n", maxHeard/8)} {
			s := newSMTPServer(t, func(s *smtpServer) { s.whole = mode == "tls" })
			s.when("EHLO", endless)
			s.when("HELO", endless)
			err := mailerTo(s, mode).send(t.Context(), news())
			if err == nil || !strings.Contains(err.Error(), "said more than") {
				t.Errorf("%s: %.200v", mode, err)
			}
		}
	}
}

// TestMailServerHangs at any point: the context ends it.
func TestMailServerHangs(t *testing.T) {
	for _, command := range []string{"EHLO", "STARTTLS", "RCPT", "DATA"} {
		s := newSMTPServer(t, func(s *smtpServer) { s.starttls = true })
		s.when(command, "hang")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- mailerTo(s, "starttls").send(ctx, news()) }()
		for s.count(command) == 0 && len(done) == 0 {
			<-time.After(time.Millisecond)
		}
		cancel()
		var refused refusal
		if err := <-done; err == nil || errors.As(err, &refused) {
			t.Errorf("%s: error %v", command, err)
		}
	}
}
