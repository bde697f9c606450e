package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// writeFile makes a file in a directory of the test.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSecretFile loads configurations from disk that name a key file.
func TestSecretFile(t *testing.T) {
	for _, tt := range []struct{ name, content, want, problem string }{
		{name: "newline", content: "long enough to sign\n", want: "long enough to sign"},
		{name: "CR LF", content: "long enough to sign\r\n", want: "long enough to sign"},
		{name: "no newline", content: "long enough to sign", want: "long enough to sign"},
		{name: "hexadecimal", content: "hex:00ff00ff00ff00ff00ff00ff00ff000a\n", want: "\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\xff\x00\n"},
		{name: "short", content: "short\n", problem: "is 5 bytes long, expected 16..64"},
		{name: "two lines", content: "long enough to sign\nlonger\n", problem: "has characters other than printable ASCII"},
		{name: "too long", content: strings.Repeat("x", maxFile+1), problem: "is longer than 4096 bytes"},
		{name: "empty", problem: "is 0 bytes long, expected 16..64"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, err := Load(writeFile(t, "lvsd.toml", withKeyFile(writeFile(t, "key", tt.content))), "relay1")
			switch {
			case tt.problem != "":
				if err == nil || !strings.Contains(err.Error(), tt.problem) || !strings.Contains(err.Error(), ":6:") {
					t.Errorf("got %v, want %s in line 6", err, tt.problem)
				}
			case err != nil:
				t.Error(err)
			case !bytes.Equal(cfg.VRRP[0].Router.HMAC.Keys[1], []byte(tt.want)):
				t.Errorf("got %q, want %q", cfg.VRRP[0].Router.HMAC.Keys[1], tt.want)
			}
		})
	}
}

// TestSecretFileIsNone wants problems, and none that waits, for paths that are
// not files.
func TestSecretFileIsNone(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		pipe:         "is not a regular file",
		"/dev/zero":  "is not a regular file",
		t.TempDir():  "is not a regular file",
		"/dev/null/": "not a directory",
		"/absent":    "no such file or directory",
	} {
		_, err := Parse("test.toml", []byte(withKeyFile(path)), "relay1")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}
}

func withKeyFile(path string) string {
	return fmt.Sprintf(`[[vrrp]]
name = "web"
interface = "eth0"
vrid = 20
vips = ["192.0.2.80"]
auth = { type = "hmac-sha256", keys = [{ id = 1, secret_file = %q }] }
`, path)
}

// TestSecretsStaySecret wants no message to show a secret, however wrong.
func TestSecretsStaySecret(t *testing.T) {
	for _, auth := range []string{
		`type = "hmac-sha256", keys = [{ id = 1, secret = "Sésame" }]`,
		`type = "hmac-sha256", keys = [{ id = 1, secret = "hex:Sésame" }]`,
		`type = "hmac-sha256", keys = [{ id = 1, secret = ["Sésame"] }]`,
		`type = "hmac-sha256", keys = [{ id = 1, secret = "Sésame, ouvre-toi", secret_file = "/absent" }]`,
		`type = "hmac-sha256", keys = ["Sésame, ouvre-toi"]`,
		`type = "hmac-sha256", keys = "Sésame, ouvre-toi"`,
		`type = "hmac-sha256", keys = "Sésame", password = "Sésame"`,
		`type = "pass", password = "Sésame, ouvre-toi"`,
		`type = "pass", password = ["Sésame"]`,
	} {
		doc := withKeyFile("")
		doc = doc[:strings.Index(doc, "auth")] + "version = 2\nauth = { " + auth + " }\n"
		_, err := Parse("test.toml", []byte(doc), "relay1")
		if err == nil || strings.Contains(err.Error(), "Sésame") {
			t.Errorf("%s: got %v", auth, err)
		}
	}
}

// TestSecretsAroundTheDirector is the same for keys, passwords, hashes and headers of what
// stands around the director, and for valid ones in whatever prints a Config.
func TestSecretsAroundTheDirector(t *testing.T) {
	const sesame = "Sesame, ouvre-toi!"
	const valid = "[[accept]]\nvips = [\"192.0.2.1\"]\n"
	for _, section := range []string{
		`cluster = { key = ["` + sesame + `"] }`,
		`cluster = { key = "` + sesame + `\u0007", nodes = 1 }`,
		`web = { users = { alice = "` + sesame + `" } }`,
		`web = { users = "` + sesame + `" }`,
		`alerts = { mail = [{ password = "` + sesame + `" }] }`,
		`alerts = { mail = [{ password = ["` + sesame + `"] }] }`,
		`alerts = { webhook = [{ url = "` + sesame + `" }] }`,
		`alerts = { webhook = [{ url = "http://a/", headers = { a = "` + sesame + `\n" } }] }`,
		`alerts = { webhook = [{ url = "http://a/", headers = { a = ["` + sesame + `"] } }] }`,
	} {
		_, err := Parse("test.toml", []byte(section+"\n"+valid), "relay1")
		if err == nil || strings.Contains(err.Error(), sesame) {
			t.Errorf("%s: got %v", section, err)
		}
	}
	cfg, err := Parse("test.toml", []byte(`cluster = { key = "`+sesame+`", nodes = { relay1 = "192.0.2.1", relay2 = "192.0.2.2" } }
alerts.mail = [{ server = "mail.example.org", from = "a@b.org", to = ["a@b.org"], user = "a", password = "`+sesame+`" }]
`+valid), "relay1")
	if err != nil {
		t.Fatal(err)
	}
	if string(cfg.Cluster.Key) != sesame || string(cfg.Alerts.Mail[0].Password) != sesame {
		t.Error("the secrets are others")
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", cfg.Alerts, *cfg.Cluster, cfg.Alerts, cfg.Cluster.Key); strings.Contains(shown, sesame) {
		t.Errorf("printed: %s", shown)
	}
}
