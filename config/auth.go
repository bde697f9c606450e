package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// The types of authentication.
const (
	authPass = "pass"
	authHMAC = "hmac-sha256"
)

// authOptions are the keys that only some types of authentication have.
var authOptions = options[string]{
	"password":   {authPass},
	"keys":       {authHMAC},
	"active_key": {authHMAC},
	"window":     {authHMAC},
	"mode":       {authHMAC},
}

// readAuth reads [vrrp.auth].
func readAuth(t *table, c *vrrp.Config) {
	defer t.close()
	kind := read(t, "type", choice(authPass, authHMAC)).required()
	switch kind {
	case authPass:
		c.Password = readPassword(t, c.Version)
	case authHMAC:
		c.HMAC = readHMAC(t, c.Interval)
	}
	authOptions.check(t, "authentication", kind)
}

func readPassword(t *table, version vrrp.Version) string {
	password := read(t, "password", password()).required()
	if version == vrrp.V3 {
		t.failKey(t.path(), "version 3 has no passwords, expected version = 2 or type = %q", authHMAC)
	}
	return password
}

// password is a secret of version 2. Messages never show it.
func password() kind[string] {
	k := kind[string]{name: "string", allowed: "1..8 bytes", expected: "a string of 1..8 bytes"}
	k.parse = func(raw any) (string, error) {
		switch s, ok := raw.(string); {
		case !ok:
			return "", errors.New("is not a string, expected " + k.expected)
		case s == "":
			return "", fmt.Errorf("is empty, expected 1..%d bytes", vrrp.MaxPassword)
		case len(s) > vrrp.MaxPassword:
			return "", fmt.Errorf("is %d bytes long, expected at most %d: an advert carries no more, keepalived would cut it", len(s), vrrp.MaxPassword)
		default:
			return s, nil
		}
	}
	return k
}

func readHMAC(t *table, interval time.Duration) vrrp.HMAC {
	keys := readTables(t, "keys", readKey)
	t.describe("keys", "array of tables", "", "required")
	h := vrrp.HMAC{Keys: make(map[uint8][]byte)}
	h.Window = readWindow(t, interval)
	h.Permissive = read(t, "mode", choice("enforce", "permissive")).or("enforce") == "permissive"
	ids := make(seen[uint8])
	for _, k := range keys {
		ids.again(k.table, k.id, k.at("id"), "%d is already the id of a key", k.id)
		h.Keys[k.id] = k.secret
	}
	h.Active = readActive(t, h, keys)
	return h
}

// readActive reads the key to send with. Without one adverts go out unsigned,
// while some nodes do not know any key.
func readActive(t *table, h vrrp.HMAC, keys []key) uint8 {
	active := read(t, "active_key", integer(0, 255))
	id := uint8(active.orElse(0, "the first"))
	elements, listed := elementsOf(t.raw("keys"))
	switch _, known := h.Keys[id]; {
	case !t.has("keys"):
		t.missing("keys", "at least one key")
	case listed && len(elements) == 0:
		t.fail(t.at("keys"), "has no key, expected at least one")
	case len(keys) == 0: // none could be read, reported
	case !active.set:
		return keys[0].id
	case id == 0 && t.raw("active_key") == int64(0) && !h.Permissive:
		t.fail(t.at("active_key"), "0 sends adverts without a signature, expected it only with mode = \"permissive\"")
	case id != 0 && !known:
		t.fail(t.at("active_key"), "%d is the id of no key, expected one of the keys", id)
	}
	return id
}

// readWindow reads how far clocks may be apart: at all, or by what an advert
// needs to arrive.
func readWindow(t *table, interval time.Duration) time.Duration {
	fallback := min(max(3*interval, 5*time.Second), vrrp.MaxWindow)
	window := read(t, "window", duration(0, vrrp.MaxWindow, 1)).orElse(fallback, "3 intervals, but 5s..300s")
	if window > 0 && window < vrrp.MinWindow {
		t.fail(t.at("window"), "%q is out of range, expected 0s or %s..%s", t.raw("window"), formatDuration(vrrp.MinWindow), formatDuration(vrrp.MaxWindow))
	}
	return window
}

// key is a secret of hmac-sha256.
type key struct {
	*table
	id     uint8
	secret []byte
}

func readKey(t *table) key {
	defer t.close()
	k := key{table: t, id: uint8(read(t, "id", integer(1, 255)).required())}
	inline := read(t, "secret", secret())
	file := read(t, "secret_file", filePath())
	k.secret = inline.orElse(nil, "required, or secret_file")
	path := file.orElse("", "required, or secret")
	switch {
	case inline.set && file.set:
		t.failKey(t.at("secret_file"), "the key has a secret too, expected either secret or secret_file")
	case path != "" && t.node == t.loading:
		k.secret = readKeyFile(t, "secret_file", path)
	case !inline.set && !file.set:
		t.missing("secret", inline.kind.expected+", or secret_file")
	}
	return k
}

// readKeyFile reads the secret in a file that key names, with a newline at its
// end or without.
func readKeyFile(t *table, key, path string) []byte {
	data, err := t.readFile(path)
	if err != nil {
		t.fail(t.at(key), "%s", err)
		return nil
	}
	secret, err := parseSecret(strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"))
	if err != nil {
		t.fail(t.at(key), "%s %s", path, err)
	}
	return secret
}

// secret is a key as text, or as bytes after "hex:". Messages never show it.
func secret() kind[[]byte] {
	k := kind[[]byte]{name: "string"}
	k.allowed = fmt.Sprintf("TEXT or hex:DIGITS, %d..%d bytes", vrrp.MinKey, vrrp.MaxKey)
	k.expected = fmt.Sprintf("a string of %d..%d bytes", vrrp.MinKey, vrrp.MaxKey)
	k.parse = func(raw any) ([]byte, error) {
		text, ok := raw.(string)
		if !ok {
			return nil, errors.New("is not a string, expected " + k.expected)
		}
		return parseSecret(text)
	}
	return k
}

func parseSecret(text string) ([]byte, error) {
	secret := []byte(text)
	if digits, ok := strings.CutPrefix(text, "hex:"); ok {
		var err error
		if secret, err = hex.DecodeString(digits); err != nil {
			return nil, errors.New(`is not hexadecimal after "hex:", expected two digits for each byte`)
		}
	} else if !isPrintable(text) {
		return nil, errors.New(`has characters other than printable ASCII, expected "hex:" and digits for those`)
	}
	switch n := len(secret); {
	case n < vrrp.MinKey:
		return nil, fmt.Errorf("is %d bytes long, expected %d..%d, better 32: whoever hears one message can try shorter ones", n, vrrp.MinKey, vrrp.MaxKey)
	case n > vrrp.MaxKey:
		return nil, fmt.Errorf("is %d bytes long, expected %d..%d", n, vrrp.MinKey, vrrp.MaxKey)
	}
	return secret, nil
}

// isPrintable reports whether s is printable ASCII.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
