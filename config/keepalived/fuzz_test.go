package keepalived

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/config"
)

// absent are options that read no file of the host.
func absent() Options {
	return Options{
		ConfigID: "main",
		ReadFile: func(string) ([]byte, error) { return nil, os.ErrNotExist },
		Glob:     func(string) ([]string, error) { return []string{"a.conf"}, nil },
		Getenv:   func(string) string { return "value" },

		mostLines: 1000,
	}
}

// valid fails unless the import ends with a result that lvsd accepts, or with
// nothing to import, and nothing is lost in silence.
func valid(t testing.TB, text string) {
	t.Helper()
	r, err := Import([]File{{Name: "fuzz.conf", Text: []byte(text)}}, absent())
	switch {
	case errors.Is(err, ErrNothing):
	case err != nil:
		t.Fatalf("%v\n%s", err, text)
	default:
		if _, err := config.Parse("lvsd.toml", r.TOML, "localhost"); err != nil {
			t.Fatalf("%v\n%s\n%s", err, text, r.TOML)
		}
	}
	lines := map[int]bool{}
	for _, n := range r.Notes {
		lines[n.Line] = true
	}
	for _, s := range r.Statements {
		around := s
		for around.fate == Reported && !lines[around.Line] && around.parent != nil {
			around = around.parent
		}
		if s.fate == unread || s.fate == Reported && !lines[around.Line] {
			t.Fatalf("line %d: %q is lost in silence\n%s", s.Line, s.text, text)
		}
	}
}

func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.conf")
	if err != nil || len(files) == 0 {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, test := range faithful {
		f.Add(test.text)
	}
	f.Add(rich)
	f.Add("vrrp_instance\nvirtual_ipaddress\nvirtual_server 192.0.2.1 80\nreal_server 192.0.2.2 80\nTCP_CHECK\n}\nurl {\n}\n}")
	f.Fuzz(func(t *testing.T, text string) { valid(t, text) })
}

// keywordsOf are the keywords of a block with values that may fit.
func keywordsOf[T any](v vocabulary[T]) []string { return keys(v) }

// TestEveryKeyword makes files of all known keywords in the blocks where they
// belong, with values that fit and values that do not.
func TestEveryKeyword(t *testing.T) {
	values := []string{
		"", "1", "0", "3", "255", "-1", "1.5", "70000", "on", "off", "eth0", "192.0.2.1", "192.0.2.1/24", "2001:db8::1", "192.0.2.11 80",
		"TCP", "udp", "rr", "sh", "NAT", "DR", "TUN type gue port 6080", "name", `"/bin/a b"`, `"a && b"`, "MASTER", "fwmark 7", "group g",
		"a b c", "weight 10 reverse", "192.0.2.1 dev eth1 label eth1:a", "200-299 404", "é\u00a0x", `"`, "'", `\`,
	}
	blocks := map[string][]string{
		"global_defs": keywordsOf(globalVocabulary()), "vrrp_instance VI_1": keywordsOf(instanceVocabulary()),
		"virtual_server 192.0.2.1 80": keywordsOf(serviceVocabulary()), "real_server 192.0.2.11 80": keywordsOf(serverVocabulary()),
		"url": keywordsOf(urlVocabulary()), "vrrp_script s": {"script", "interval", "weight", "rise", "fall", "user", "timeout"},
		"track_process p": {"process", "quorum", "delay", "weight"}, "track_file f": {"file", "weight"},
		"vrrp_sync_group G": {"group", "track_script", "notify", "smtp_alert"}, "virtual_ipaddress": {"192.0.2.1", "192.0.2.2/24", "2001:db8::2"},
		"virtual_server_group g": {"192.0.2.1-3 80", "fwmark 3", "192.0.2.2"}, "track_script": {"s", "s weight 2", "p"},
		"virtual_routes": {"default via 192.0.2.254", "blackhole 10.0.0.0/8"}, "virtual_rules": {"from 10.0.0.0/8 table 1"},
		"unicast_peer": {"192.0.2.8", "2001:db8::8"}, "authentication": {"auth_type PASS", "auth_pass x"}, "track_interface": {"eth0", "eth1 weight 3"},
	}
	for kind, v := range checkers {
		blocks[kind] = keywordsOf(v())
	}
	names := func() (all []string) {
		for name := range blocks {
			all = append(all, name)
		}
		return all
	}()
	inside := map[string][]string{
		"vrrp_instance VI_1":          {"virtual_ipaddress", "track_script", "virtual_routes", "virtual_rules", "unicast_peer", "authentication", "track_interface"},
		"virtual_server 192.0.2.1 80": {"real_server 192.0.2.11 80"}, "real_server 192.0.2.11 80": keywordsOf(vocabulary[Checker]{"TCP_CHECK": {}, "HTTP_GET": {}, "SMTP_CHECK": {}, "MISC_CHECK": {}, "UDP_CHECK": {}, "DNS_CHECK": {}}),
		"HTTP_GET": {"url"}, "SMTP_CHECK": {"TCP_CHECK"},
	}
	rapid.Check(t, func(r *rapid.T) {
		var b strings.Builder
		var write func(name string, depth int)
		write = func(name string, depth int) {
			b.WriteString(name + " {\n")
			for range rapid.IntRange(0, 8).Draw(r, "settings") {
				b.WriteString(rapid.SampledFrom(blocks[name]).Draw(r, "keyword") + " " + rapid.SampledFrom(values).Draw(r, "value") + "\n")
			}
			if more := inside[name]; depth < 4 && len(more) > 0 {
				for range rapid.IntRange(0, 3).Draw(r, "blocks") {
					write(rapid.SampledFrom(more).Draw(r, "block"), depth+1)
				}
			}
			b.WriteString("}\n")
		}
		b.WriteString("vrrp_instance base {\n interface eth0\n virtual_router_id 9\n virtual_ipaddress { 192.0.2.1 }\n}\n")
		for range rapid.IntRange(0, 6).Draw(r, "top") {
			write(rapid.SampledFrom(names).Draw(r, "block"), 0)
		}
		valid(t, b.String())
	})
}
