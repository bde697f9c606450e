package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// tlsKeys are the keys of checks that speak TLS.
var tlsKeys = []string{
	"tls_verify", "tls_name", "tls_ca", "tls_certificate", "tls_key", "tls_min_version", "tls_expiry_warning",
}

// readTLS reads how a check speaks TLS. Whether the files are there is not
// looked at: the file may be read on another host than it is for.
func readTLS(t *table) probe.TLS {
	o := probe.TLS{
		Insecure:      !read(t, "tls_verify", kinds.boolean).or(true),
		Name:          read(t, "tls_name", kinds.tlsName).orElse("", "host, or the target's address"),
		CA:            read(t, "tls_ca", kinds.file).orElse("", "the system's"),
		Certificate:   read(t, "tls_certificate", kinds.file).orElse("", "none"),
		Key:           read(t, "tls_key", kinds.file).orElse("", "none"),
		MinVersion:    read(t, "tls_min_version", kinds.tlsVersion).or("1.2"),
		ExpiryWarning: read(t, "tls_expiry_warning", kinds.expiry).or(0),
	}
	switch certificate, key := t.has("tls_certificate"), t.has("tls_key"); {
	case certificate && !key:
		t.failKey(t.at("tls_certificate"), "has no key, expected tls_key beside it")
	case key && !certificate:
		t.failKey(t.at("tls_key"), "has no certificate, expected tls_certificate beside it")
	}
	if o.Insecure && o.CA != "" {
		t.failKey(t.at("tls_ca"), "is not looked at, expected tls_verify = true")
	}
	return o
}

// readTLSIf is readTLS where the check speaks TLS, and otherwise reports its
// keys. How is what would turn it on.
func readTLSIf(t *table, on bool, how string) probe.TLS {
	if on {
		return readTLS(t)
	}
	for _, key := range tlsKeys {
		if t.has(key) {
			t.ask(key)
			t.failKey(t.at(key), "is of TLS, expected it only with %s", how)
		}
	}
	return probe.TLS{}
}

// The values of security.
const (
	securityNone     = "none"
	securityStartTLS = "starttls"
	securityTLS      = "tls"
)

// readSecurity reads when a check begins to speak TLS.
func readSecurity(t *table) probe.Security {
	if name := read(t, "security", kinds.security).or(securityNone); name != securityNone {
		return probe.Security(name)
	}
	return probe.Plain
}

// readLogin reads a user's name, by the key for it, and his password, which stands here
// or in a file of its own. Both is what to say where it stands in both.
func readLogin(t *table, key string, user kind[string], both string) (username, password string) {
	name := read(t, key, user)
	inline := read(t, "password", kinds.secret)
	file := read(t, "password_file", kinds.file)
	username = name.orElse("", "none")
	password = inline.orElse("", "required with "+key+", or password_file")
	path := file.orElse("", "required with "+key+", or password")
	switch given := inline.set || file.set; {
	case inline.set && file.set:
		t.failKey(t.at("password_file"), "%s, expected either password or password_file", both)
	case name.set && !given:
		t.missing("password", inline.kind.expected+", or password_file")
	case given && !name.set:
		t.missing(key, "the name that the password is for")
	case path != "" && t.node == t.loading:
		password = readPasswordFile(t, path)
	case path != "":
		password = path // another node's: only its problems count
	}
	return username, password
}

// readPasswordFile reads a password with a newline at its end or without.
func readPasswordFile(t *table, path string) string {
	t.filesRead++
	data, err := t.readFile(path)
	if err == nil {
		password := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		if err = checkSecret(password); err == nil {
			return password
		}
		err = fmt.Errorf("%s %w", path, err)
	}
	t.fail(t.at("password_file"), "%s", err)
	return ""
}

// plainSecret is a password of a check. Messages never show it.
func plainSecret() kind[string] {
	k := kind[string]{name: "string", expected: "a string"}
	k.parse = func(raw any) (string, error) {
		text, ok := raw.(string)
		if !ok {
			return "", errors.New("is not a string, expected one")
		}
		return text, checkSecret(text)
	}
	return k
}

func checkSecret(text string) error {
	switch {
	case text == "":
		return errors.New("is empty, expected at least one character")
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("has control characters, expected a password on one line")
	}
	return nil
}
