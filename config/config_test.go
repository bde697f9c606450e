package config

import (
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata")

// golden compares got with a file of testdata, or writes the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// keyFile stands for the files that documents name.
func keyFile(path string) ([]byte, error) {
	switch path {
	case "/etc/lvsd/vrrp.key", "/etc/lvsd/cluster.key":
		return []byte("a key of thirty-two bytes or so\n"), nil
	case "/etc/lvsd/check.password", "/etc/lvsd/mail.password":
		return []byte("a password\n"), nil
	case "/etc/lvsd/empty.password":
		return []byte("\n"), nil
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: syscall.ENOENT}
}

// parseFiles is Parse with the files of keyFile.
func parseFiles(name string, data []byte, node string) (*Config, error) {
	doc, err := decode(name, data)
	if err != nil {
		return nil, err
	}
	doc.readFile = keyFile
	return doc.config(node)
}

// parseWhole is parseFiles without decoding services on their own.
func parseWhole(name string, data []byte, node string) (*Config, error) {
	doc := newDocument(name, data)
	doc.readFile = keyFile
	if err := doc.decodeWhole(); err != nil {
		return nil, err
	}
	return doc.config(node)
}

func TestGood(t *testing.T) {
	for _, tt := range []struct{ file, node string }{
		{"reference", "server01.domain.ru"},
		{"reference", "server02"},
		{"reference", "server03.domain.ru"},
		{"firewall-mark", "relay1"},
		{"gateway", "relay1"},
		{"accept", "relay1"},
		{"accept", "relay2"},
		{"group", "relay1"},
		{"ipv6", "relay1"},
		{"sync", "relay1"},
		{"minimal", "relay1"},
		{"path-check", "relay1"},
		{"nodes", "relay1"},
		{"nodes", "relay2.example.org"},
	} {
		t.Run(tt.file+"@"+tt.node, func(t *testing.T) {
			data, err := os.ReadFile(filepath.Join("testdata", "good", tt.file+".toml"))
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := parseFiles(tt.file+".toml", data, tt.node)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(cfg, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", "good", tt.file+"@"+tt.node+".json"), string(got)+"\n")
		})
	}
}

func TestBad(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = parseFiles(filepath.Base(file), data, "relay1")
			if _, ok := errors.AsType[Problems](err); !ok {
				t.Fatalf("got error %v, want Problems", err)
			}
			golden(t, strings.TrimSuffix(file, ".toml")+".want", err.Error()+"\n")
		})
	}
}

func TestLoadMissingFile(t *testing.T) {
	_, err := Load("testdata/absent.toml", "relay1")
	const want = "configuration file: open testdata/absent.toml: no such file or directory"
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEqual(t *testing.T) {
	data, err := os.ReadFile("testdata/good/reference.toml")
	if err != nil {
		t.Fatal(err)
	}
	const node = "server04.domain.ru"
	before, doc := parse(t, string(data), node), string(data)
	if !before.Equal(parse(t, doc+"\n# a comment\n", node)) {
		t.Error("a comment makes a difference")
	}
	for _, tt := range []struct{ name, old, new string }{
		{"global", `resync = "1s"`, `resync = "2s"`},
		{"drift", `on_drift = "repair"`, `on_drift = "report"`},
		{"timeouts", `udp_timeout = "5m"`, `udp_timeout = "6m"`},
		{"parameter", `sloppy_tcp = 0`, `sloppy_tcp = 1`},
		{"synchronisation", `ttl = 1`, `ttl = 2`},
		{"instance", `priority = 100`, `priority = 101`},
		{"environment", `"unix_adm@domain.ru"`, `"root"`},
		{"real server", `weight = 2`, `weight = 3`},
		{"check", `["200-299", 301]`, `["200-299"]`},
		{"tracked", `weight = -20, reverse = false`, `weight = -20, reverse = true`},
		{"tracker", `file = "/etc/lvsd/priority"`, `file = "/run/priority"`},
		{"group", `"gateway is here"`, `"gateway"`},
		{"cluster", `port = 9468`, `port = 9469`},
		{"metrics", `keepalived_names = false`, `keepalived_names = true`},
		{"page", `alice = "$2y$05$J`, `alice = "$2y$05$K`},
		{"alerts", `"Bearer 0123456789"`, `"Bearer 123456789"`},
		{"reload", `settle_within = "30s"`, `settle_within = "31s"`},
		{"rule", `mark = "0x10/0xff"`, `mark = "0x10/0xfe"`},
	} {
		after := parse(t, strings.Replace(doc, tt.old, tt.new, 1), node)
		if before.Equal(after) {
			t.Errorf("%s: no difference", tt.name)
		}
		if got, want := before.VRRP[0].Equal(after.VRRP[0]), !slices.Contains([]string{"instance", "environment", "tracked"}, tt.name); got != want {
			t.Errorf("%s: equal instances %t, want %t", tt.name, got, want)
		}
		if got, want := before.Services[0].Equal(after.Services[0]), tt.name != "real server" && tt.name != "check"; got != want {
			t.Errorf("%s: equal services %t, want %t", tt.name, got, want)
		}
	}
}

func parse(t *testing.T, doc, node string) *Config {
	t.Helper()
	cfg, err := parseFiles("test.toml", []byte(doc), node)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func ip(text string) netip.Addr         { return netip.MustParseAddr(text) }
func ips(text string) []netip.Addr      { return []netip.Addr{ip(text)} }
func sameAddr(a, b netip.Addr) bool     { return a == b }
func samePrefix(a, b netip.Prefix) bool { return a == b }

// TestHash wants a hash of every byte of the file, the same on all nodes.
func TestHash(t *testing.T) {
	read := func(text, node string) *Config {
		cfg, err := Parse("test.toml", []byte(text), node)
		if err != nil {
			t.Fatal(err)
		}
		return cfg
	}
	hash := func(text, node string) string { return read(text, node).Hash }
	// printf '[[accept]]\nvips = ["192.0.2.1"]\n' | sha256sum
	const text, want = "[[accept]]\nvips = [\"192.0.2.1\"]\n", "ab31e28edf3371ac"
	if got := hash(text, "relay1"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if hash(text, "relay2") != want {
		t.Error("it depends on the node")
	}
	if hash(text+"#\n", "relay1") == want || hash("\ufeff"+text, "relay1") == want {
		t.Error("it does not depend on every byte")
	}
	if !read(text, "relay1").Equal(read(text+"#\n", "relay1")) {
		t.Error("a comment makes a difference")
	}
}
