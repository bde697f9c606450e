package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPermissions wants a file that everyone may write to be refused, and one
// that everyone may read to be reported if there is a secret in it.
func TestPermissions(t *testing.T) {
	const plain = "[[vrrp]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 1\nvips = [\"192.0.2.80\"]\n"
	secrets := map[string]string{
		"plain":         plain,
		"only comments": "# password = \"x\"\n" + plain,
		"a path":        plain + "[web]\nlisten = \"127.0.0.1:80\"\ncertificate = \"/a\"\nkey = \"/b\"\n",
		"password":      plain + "version = 2\nauth = { type = \"pass\", password = \"hunter2\" }\n",
		"users":         plain + "[web.users]\nbob = \"$2b$05$JoJF9f5R5l5rT1g1lwP1EO2rLkbzT3nUFgT1ZJ4VnVg7SBPm1hdO6\"\n",
		"headers":       plain + "[[alerts.webhook]]\nurl = \"https://192.0.2.9/\"\nheaders = { Authorization = \"Bearer x\" }\n",
		"key":           plain + "auth.type = \"hmac-sha256\"\nauth.active_key = 1\n[[vrrp.auth.keys]]\nid = 1\nsecret = \"0123456789abcdef0123456789abcdef\"\n",
	}
	for name, text := range secrets {
		for _, mode := range []fs.FileMode{0o600, 0o640, 0o644, 0o664, 0o646, 0o666, 0o602} {
			path := filepath.Join(t.TempDir(), "lvsd.toml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			c, err := Load(path, "relay1")
			if refused := mode&othersWrite != 0; refused || err != nil {
				if !refused || err == nil || !strings.Contains(err.Error(), "may be written by everyone") {
					t.Errorf("%s, mode %o: %v", name, mode, err)
				}
				continue
			}
			secret := name != "plain" && name != "only comments" && name != "a path"
			if warned := len(c.Warnings) > 0; warned != (secret && mode&othersRead != 0) {
				t.Errorf("%s, mode %o: warnings %q", name, mode, c.Warnings)
			}
		}
	}
}

// TestHugeFile: the memory of a reload is bounded.
func TestHugeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lvsd.toml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxConfiguration+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path, "relay1"); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
}
