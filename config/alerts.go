package config

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// How a mail server is spoken to.
const (
	tlsStart = "starttls"
	tlsWhole = "tls"
	tlsNone  = "none"
)

// mailPorts are those of mail servers that the file names without one.
var mailPorts = map[string]uint16{tlsStart: 587, tlsWhole: 465, tlsNone: 25}

// EventKinds are the kinds of events that patterns may mean. They are the
// director's, which this package does not know.
func EventKinds() []string {
	return []string{
		"daemon.started", "daemon.stopping",
		"config.reloaded", "config.refused", "config.rolled_back",
		"instance.state", "instance.notice", "group.state",
		"server.up", "server.down", "service.quorum_up", "service.quorum_down",
		"tracker.state", "checks.notice", "address.conflict",
		"kernel.drift", "kernel.failed", "kernel.recovered",
		"override.set", "override.ended",
		"node.up", "node.down", "node.differs",
	}
}

// readAlerts reads [alerts] for the node of the table.
func readAlerts(t *table) Alerts {
	t = t.forNode()
	defer t.close()
	return Alerts{
		Mail:     readTables(t, "mail", readMail),
		Webhooks: readTables(t, "webhook", readWebhook),
		FIFO:     read(t, "fifo", filePath()).optional(),
	}
}

// readMail reads [[alerts.mail]].
func readMail(t *table) MailAlert {
	defer t.close()
	server := read(t, "server", hostPort()).required()
	a := MailAlert{
		TLS:  read(t, "tls", choice(tlsStart, tlsWhole, tlsNone)).or(tlsStart),
		From: read(t, "from", mailAddress()).required(),
	}
	a.Server = server.text(mailPorts[a.TLS])
	to, _ := readList(t, "to", mailAddress(), "required")
	checkDistinct(t, to)
	a.To = plain(to)
	user, password := readLogin(t, "user", label(), "there is a password too")
	a.User, a.Password = user, Secret(password)
	if a.TLS == tlsNone && a.User != "" && !server.addr.IsLoopback() && server.host != "localhost" {
		t.fail(t.at("tls"), "the password would cross the network in clear, expected %q or %q", tlsStart, tlsWhole)
	}
	a.Events, a.Digest, a.PerHour = readPace(t, 10*time.Second, 30)
	return a
}

// readWebhook reads [[alerts.webhook]].
func readWebhook(t *table) WebhookAlert {
	defer t.close()
	a := WebhookAlert{URL: read(t, "url", webURL()).required()}
	a.Headers = readSecrets(t, "headers", "names of HTTP headers", func(at path, name, value string) error {
		if !isToken(name) {
			t.failKey(at, "%q is not the name of a header, expected letters, digits and -", name)
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			return errors.New("has control characters, expected a value on one line")
		}
		return nil
	})
	a.Events, a.Digest, a.PerHour = readPace(t, time.Second, 600)
	return a
}

// isToken reports whether HTTP takes s as the name of a header (RFC 9110 section
// 5.6.2).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !isBareRune(r) && !strings.ContainsRune("!#$%&'*+.^`|~", r)
	})
}

// readPace reads what is told of, and how often.
func readPace(t *table, gather time.Duration, most int) (events []string, digest time.Duration, perHour int) {
	patterns, whole := readList(t, "events", eventPattern(), "what needs somebody")
	wantElements(t, "events", patterns, whole)
	checkDistinct(t, patterns)
	digest = read(t, "digest", duration(100*time.Millisecond, time.Hour, 1)).or(gather)
	return plain(patterns), digest, read(t, "per_hour", integer(1, 10_000)).or(most)
}

// eventPattern is a kind of event, all of a subject's as in "server.*", or "*".
func eventPattern() kind[string] {
	k := text("kinds, SUBJECT.* or *", `kinds of events in quotes, such as "server.down" or "server.*"`, nil)
	valid := []string{"*"}
	for _, kind := range EventKinds() {
		subject, _, _ := strings.Cut(kind, ".")
		if last := valid[len(valid)-1]; last == "*" || !strings.HasPrefix(last, subject+".") {
			valid = append(valid, subject+".*")
		}
		valid = append(valid, kind)
	}
	k.parse = func(raw any) (string, error) {
		v, ok := raw.(string)
		if !ok {
			return "", k.wrongType(raw)
		}
		for _, name := range valid {
			if v == name {
				return name, nil
			}
		}
		return "", fmt.Errorf("no event is called %q%s", v, expectedName(v, valid))
	}
	return k
}

// mailAddress is an address of mail, with a name before it or without.
func mailAddress() kind[string] {
	k := text("", `an address of mail in quotes, such as "ops@example.org"`, func(s string) error {
		if _, err := mail.ParseAddress(s); err != nil {
			return fmt.Errorf(`%q is not an address of mail, expected one such as "ops@example.org"`, s)
		}
		return nil
	})
	k.name, k.plural = "mail address", "mail addresses"
	return k
}

// webURL is an absolute URL of HTTP. Messages do not show it: some are secrets.
func webURL() kind[string] {
	k := kind[string]{name: "string", allowed: "http:// or https://", expected: "a URL in quotes"}
	k.parse = func(raw any) (string, error) {
		text, ok := raw.(string)
		if !ok {
			return "", errors.New("is not a string, expected " + k.expected)
		}
		u, err := url.Parse(text)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Fragment != "" {
			return "", errors.New(`is not a URL of HTTP, expected one such as "https://example.org/hook"`)
		}
		return text, nil
	}
	return k
}
