package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// webAddress is where the page is unless the file says otherwise.
var webAddress = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 9467)

// maxBcryptCost bounds the work for each login: 16 takes seconds.
const maxBcryptCost = 16

// bcryptForm is the whole of a hash; the library looks at its head only.
var bcryptForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)
})

// readWeb reads [web] for the node of the table.
func readWeb(t *table) (Web, listener) {
	t = t.forNode()
	defer t.close()
	w := Web{
		Listen:      read(t, "listen", listenAddress()).or(webAddress),
		Allow:       readAllow(t),
		Names:       readNames(t),
		Users:       readUsers(t),
		Admin:       read(t, "admin", boolean()).or(false),
		Certificate: read(t, "certificate", filePath()).orElse("", "none: plain HTTP"),
		Key:         read(t, "key", filePath()).orElse("", "required with certificate"),
	}
	insecure := read(t, "insecure", boolean()).or(false)
	w.check(t, insecure)
	return w, listener{t, "[web]", t.at("listen"), w.Listen}
}

// check reports what does not go together.
func (w Web) check(t *table, insecure bool) {
	switch {
	case t.has("certificate") && !t.has("key"):
		t.missing("key", "the file of the certificate's private key")
	case t.has("key") && !t.has("certificate"):
		t.missing("certificate", "the file of the certificate that the key is for")
	}
	if w.Admin && !t.has("users") {
		t.fail(t.at("admin"), "lets users change things and there are none, expected [%s]", t.path().key("users").name())
	}
	if w.Listen.IsValid() && !w.Listen.Addr().IsLoopback() && t.has("users") && !t.has("certificate") && !insecure {
		t.fail(t.at("listen"), "passwords would cross the network in clear, expected certificate and key, a loopback address, or insecure = true")
	}
}

// readNames reads the host names that the page is known by beside the node's own.
func readNames(t *table) []string {
	names, whole := readList(t, "names", pageName(), "the node's own only")
	wantElements(t, "names", names, whole)
	checkDistinct(t, names)
	return plain(names)
}

// pageName is a host name as browsers send it.
func pageName() kind[string] {
	return text("host names in lower case", "a host name", func(s string) error {
		if !pageNameForm().MatchString(s) || len(s) > 253 {
			return fmt.Errorf(`%q is not a host name, expected one in lower case without a port, such as "lb.example.org"`, s)
		}
		return nil
	})
}

// pageNameForm is of names in DNS, with the underscore that some have.
var pageNameForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$`)
})

// readUsers reads the users' password hashes by name.
func readUsers(t *table) map[string]Secret {
	return readSecrets(t, "users", "names, with bcrypt hashes", func(at path, name, hash string) error {
		if !isWord(name) || strings.Contains(name, ":") || len(name) > 64 {
			t.failKey(at, "%q is not a user's name, expected 1..64 printable characters without spaces and colons", name)
		}
		return checkBcrypt(hash)
	})
}

// checkBcrypt never shows the text: it may be a password that was meant to be
// hashed.
func checkBcrypt(hash string) error {
	if !bcryptForm().MatchString(hash) {
		return errors.New(`is not a bcrypt hash, expected one such as "htpasswd -nB NAME" prints after the colon, "$2y$..."`)
	}
	cost, err := bcrypt.Cost([]byte(hash))
	switch {
	case err != nil:
		return fmt.Errorf("is not a bcrypt hash: %w", err)
	case cost > maxBcryptCost:
		return fmt.Errorf("is a bcrypt hash of cost %d, expected at most %d: each login would take too long", cost, maxBcryptCost)
	}
	return nil
}

// readSecrets reads a table of names and secrets. Check reports what is wrong with
// a name itself, and returns what is wrong with its secret.
func readSecrets(t *table, key, allowed string, check func(at path, name, secret string) error) map[string]Secret {
	sub := t.sub(key)
	t.describe(key, "table of strings", allowed, "none")
	if sub == nil {
		return nil
	}
	secrets := make(map[string]Secret)
	for n := len(sub.layers) - 1; n >= 0; n-- {
		for name, raw := range sub.layers[n].values {
			at := sub.layers[n].path.key(name)
			text, ok := raw.(string)
			err := errors.New("is not a string, expected one")
			if ok {
				err = check(at, name, text)
			}
			if err != nil {
				t.fail(at, "%s", err)
			}
			secrets[name] = Secret(text)
		}
	}
	return secrets
}
