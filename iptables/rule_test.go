package iptables

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// update rewrites the golden files. Commit what it changes only when you know
// why the text is another one.
var update = flag.Bool("update", false, "rewrite the golden files")

var vip = netip.MustParseAddr("10.1.0.100")

func TestRedirectString(t *testing.T) {
	tests := []struct {
		redirect Redirect
		want     string
	}{
		{
			Redirect{vip, "tcp", 25, true},
			"-d 10.1.0.100/32 -p tcp -m tcp --dport 25 --syn -m comment --comment lvsd -j REDIRECT",
		},
		{
			Redirect{vip, "tcp", 25, false},
			"-d 10.1.0.100/32 -p tcp -m tcp --dport 25 -m comment --comment lvsd -j REDIRECT",
		},
		{
			Redirect{vip, "tcp", 0, true},
			"-d 10.1.0.100/32 -p tcp -m tcp --syn -m comment --comment lvsd -j REDIRECT",
		},
		{
			Redirect{vip, "tcp", 0, false},
			"-d 10.1.0.100/32 -p tcp -m comment --comment lvsd -j REDIRECT",
		},
		{
			Redirect{vip, "udp", 53, false},
			"-d 10.1.0.100/32 -p udp -m udp --dport 53 -m comment --comment lvsd -j REDIRECT",
		},
	}
	for _, tt := range tests {
		if got := tt.redirect.String(); got != tt.want {
			t.Errorf("%+v:\n got %s\nwant %s", tt.redirect, got, tt.want)
		}
	}
}

func TestValidate(t *testing.T) {
	tests := []struct {
		redirect Redirect
		want     string
	}{
		{Redirect{vip, "tcp", 25, true}, ""},
		{Redirect{vip, "udp", 0, false}, ""},
		{Redirect{netip.Addr{}, "tcp", 25, true}, `redirect "invalid IP": not an IPv4 address`},
		{Redirect{netip.MustParseAddr("2001:db8::1"), "tcp", 25, true}, `redirect "2001:db8::1": not an IPv4 address`},
		{Redirect{vip, "sctp", 25, false}, `redirect 10.1.0.100: protocol "sctp" is neither tcp nor udp`},
		{Redirect{vip, "udp", 53, true}, "redirect 10.1.0.100: connection requests are TCP's, not udp's"},
	}
	for _, tt := range tests {
		got := ""
		if err := tt.redirect.Validate(); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: got error %q, want %q", tt.redirect, got, tt.want)
		}
	}
}

// TestParseChain reads chains as iptables printed them: see testdata/chain.
func TestParseChain(t *testing.T) {
	files, err := filepath.Glob("testdata/chain/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded chains: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			recorded, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for _, rule := range parseChain(strings.Split(string(recorded), "\n")) {
				fmt.Fprintf(&got, "%2d %-8s %s\n", rule.Position, word(rule.Known), strings.Join(rule.Spec, "|"))
				if rule.Known {
					fmt.Fprintf(&got, "%12s%s\n", "", rule.Redirect)
				}
			}
			golden(t, strings.TrimSuffix(file, ".txt")+".want", got.String())
		})
	}
}

func word(known bool) string {
	if known {
		return "known"
	}
	return "unknown"
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestParseSpecRefuses has rules that bear the tag and are not of Add's form:
// each must be listed as unknown, or lvsd would believe that it is in place.
func TestParseSpecRefuses(t *testing.T) {
	for _, text := range []string{
		"",
		"-d 10.1.0.100/32 -p tcp -j REDIRECT",
		"-d 10.1.0.100/32 -p tcp -m comment --comment lvsd",
		"-d 10.1.0.100/32 -p tcp -m comment --comment lvsd -j",
		"-d 10.1.0.100/32 -p tcp -m comment --comment lvsd -j RETURN",
		"-d 10.1.0.100/32 -p tcp -m comment --comment lvsd -j REDIRECT --to-ports 2525",
		"-d 10.1.0.100/24 -p tcp -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100 -p tcp -m comment --comment lvsd -j REDIRECT",
		"! -d 10.1.0.100/32 -p tcp -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -d 10.1.0.101/32 -p tcp -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -p sctp -m comment --comment lvsd -j REDIRECT",
		"-i eth0 -d 10.1.0.100/32 -p tcp -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -p tcp -m tcp --dport 0 -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -p tcp -m tcp --dport 1:1024 -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -p tcp -m tcp --tcp-flags SYN -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN,ACK -m comment --comment lvsd -j REDIRECT",
		"-d 10.1.0.100/32 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK",
		"-d 10.1.0.100/32 -p tcp -m comment --comment lvsd2 -j REDIRECT",
		"-d 2001:db8::1/128 -p tcp -m comment --comment lvsd -j REDIRECT",
	} {
		if r, ok := parseSpec(strings.Fields(text)); ok {
			t.Errorf("%q is taken for %v", text, r)
		}
	}
}

func TestSplitArguments(t *testing.T) {
	tests := []struct {
		line string
		want []string
		ok   bool
	}{
		{`-j REDIRECT`, []string{"-j", "REDIRECT"}, true},
		{`  -j   REDIRECT `, []string{"-j", "REDIRECT"}, true},
		{`--comment "two words"`, []string{"--comment", "two words"}, true},
		{`--comment "it\'s \"quoted\" \\"`, []string{"--comment", `it's "quoted" \`}, true},
		{`--comment ""`, []string{"--comment", ""}, true},
		{`--comment "open`, []string{"--comment", "open"}, false},
		{``, nil, true},
	}
	for _, tt := range tests {
		got, ok := splitArguments(tt.line)
		if diff := cmp.Diff(tt.want, got); diff != "" || ok != tt.ok {
			t.Errorf("%s: ok %v, want %v (-want +got):\n%s", tt.line, ok, tt.ok, diff)
		}
	}
}

// TestSpecRoundTrip: what Add writes is recognised as what was wanted, whether
// --syn is printed in its short or in its long form.
func TestSpecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Redirect{
			VIP:      netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "vip"))),
			Protocol: rapid.SampledFrom([]string{"tcp", "udp"}).Draw(t, "protocol"),
			Port:     rapid.Uint16().Draw(t, "port"),
		}
		want.NewOnly = want.Protocol == "tcp" && rapid.Bool().Draw(t, "new only")
		printed := strings.ReplaceAll(want.String(), "--syn", "--tcp-flags FIN,SYN,RST,ACK SYN")
		for _, text := range []string{want.String(), printed} {
			if got, ok := parseSpec(strings.Fields(text)); !ok || got != want {
				t.Fatalf("%s is read as %v, %v", text, got, ok)
			}
		}
	})
}

// FuzzParseChain feeds any text to the parser. Every rule that it takes for
// lvsd's must be tagged, and must say exactly what its Redirect says.
func FuzzParseChain(f *testing.F) {
	files, _ := filepath.Glob("testdata/chain/*.txt")
	for _, file := range files {
		recorded, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(recorded))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, rule := range parseChain(strings.Split(text, "\n")) {
			if !slices.Contains(rule.Spec, tag) {
				t.Errorf("untagged rule %q listed", rule.Spec)
			}
			if !rule.Known {
				continue
			}
			again, ok := parseSpec(rule.Redirect.spec())
			if !ok || again != rule.Redirect {
				t.Errorf("%q is read as %v, which is written so that it is read as %v", rule.Spec, rule.Redirect, again)
			}
		}
	})
}
