package config

import (
	"slices"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

func readSMTP(t *table) probe.SMTP {
	name := t.node
	if !isWord(name) {
		name = "localhost"
	}
	k := probe.SMTP{
		HeloName:  read(t, "helo_name", kinds.word).orElse(name, "the host name"),
		Security:  readSecurity(t),
		From:      read(t, "mail_from", kinds.mailbox).orElse("", "the null reverse-path"),
		To:        read(t, "rcpt_to", kinds.mailbox).orElse("", "none"),
		Greeting:  readCodes(t, "greeting_code", "", "[220]"),
		Hello:     readCodes(t, "helo_code", "", "[250]"),
		Mail:      readCodes(t, "mail_code", "", "[250]"),
		Recipient: readCodes(t, "rcpt_code", "", `["250-251"]`),
	}
	k.Username, k.Password = readLogin(t, "username", kinds.username, "the check has a password too")
	k.TLS = readTLSIf(t, k.Security != probe.Plain, `security = "starttls" or "tls"`)
	if !t.has("rcpt_to") {
		for _, key := range []string{"mail_from", "mail_code", "rcpt_code"} {
			if t.has(key) {
				t.failKey(t.at(key), "is for MAIL FROM and RCPT TO, expected rcpt_to beside it")
			}
		}
	}
	return k
}

// stepKeys are the keys of one step, in the check itself or in one of its tables
// [[step]].
var stepKeys = []string{"send", "send_hex", "expect", "secret"}

func readBanner(t *table) probe.Banner {
	b := probe.Banner{Security: readSecurity(t), Steps: readSteps(t)}
	if b.Security == probe.StartTLS {
		t.fail(t.at("security"), `only SMTP knows "starttls" here, expected "none" or "tls"`)
	}
	b.TLS = readTLSIf(t, b.Security != probe.Plain, `security = "tls"`)
	return b
}

// readSteps reads the tables [[step]], or the one step that the keys of the
// check are.
func readSteps(t *table) probe.List[probe.Step] {
	single := readStep(t)
	steps := readTables(t, "step", func(t *table) probe.Step {
		defer t.close()
		failed := t.failed
		s := readStep(t)
		t.wantStep("expect", "what to send, to expect, or both")
		if t.failed == failed {
			failEach(t, t.path(), probe.Banner{Steps: probe.ListOf(s)}.Validate())
		}
		return s
	})
	if !wantEither(t, "step", stepKeys, len(steps)) {
		t.wantStep("expect", "what to expect or to send, or [["+t.path().key("step").name()+"]]")
		return probe.ListOf(single)
	}
	return probe.ListOf(steps...)
}

// wantStep reports a step that says and hears nothing.
func (t *table) wantStep(key, expected string) {
	if !slices.ContainsFunc([]string{"send", "send_hex", "expect"}, t.has) {
		t.missing(key, expected)
	}
}

func readStep(t *table) probe.Step {
	return probe.Step{
		Send:   readBytes(t, "send"),
		Expect: read(t, "expect", kinds.expectation).orElse("", "anything"),
		Secret: read(t, "secret", kinds.boolean).or(false),
	}
}

// readBytes reads what to send: as text under key, or in hexadecimal under
// key_hex.
func readBytes(t *table, key string) string {
	text := read(t, key, kinds.literal)
	digits := read(t, key+"_hex", kinds.hexadecimal)
	if text.set && digits.set {
		t.failKey(t.at(key+"_hex"), "there is %s too, expected either %s or %s_hex", key, key, key)
	}
	sent, bytes := text.orElse("", "nothing"), digits.orElse("", "nothing")
	if digits.set {
		return bytes
	}
	return sent
}

func readScriptCheck(t *table) probe.Script {
	return probe.Script{
		Command: probe.ListOf(readCommand(t, "command", "required")...),
		User:    read(t, "user", kinds.user).orElse("", "global.script_user"),
		Dynamic: read(t, "dynamic", kinds.boolean).or(false),
	}
}
