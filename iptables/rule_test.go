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
		{
			Redirect{netip.MustParseAddr("2001:db8::1"), "tcp", 25, true},
			"-d 2001:db8::1/128 -p tcp -m tcp --dport 25 --syn -m comment --comment lvsd -j REDIRECT",
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
		{Redirect{netip.MustParseAddr("2001:db8::1"), "tcp", 25, true}, ""},
		{Redirect{netip.Addr{}, "tcp", 25, true}, `redirect "invalid IP": not an IPv4 or IPv6 address`},
		{Redirect{netip.MustParseAddr("fe80::1%eth0"), "tcp", 25, true}, `redirect "fe80::1%eth0": not an IPv4 or IPv6 address`},
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

// TestParseTable reads chains as iptables printed them: see testdata/chain.
func TestParseTable(t *testing.T) {
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
			for _, rule := range parseTable(strings.Split(string(recorded), "\n"), chainsOf(file)) {
				fmt.Fprintf(&got, "%-8s %s\n", word(rule.Rule != nil), strings.Join(rule.Spec, "|"))
				if rule.Rule != nil {
					fmt.Fprintf(&got, "%9s%s\n", "", rule.Rule)
				}
				fmt.Fprintf(&got, "%9s%s\n", "", rule.Deletion())
			}
			golden(t, strings.TrimSuffix(file, ".txt")+".want", got.String())
		})
	}
}

// chainsOf returns the chains of the table that a file of testdata/chain names:
// "ip6-mangle-nft-1.8.9.txt".
func chainsOf(file string) []Chain {
	family, rest, _ := strings.Cut(filepath.Base(file), "-")
	table, _, _ := strings.Cut(rest, "-")
	return slices.DeleteFunc(Chains(), func(c Chain) bool { return c.IPv6 != (family == "ip6") || c.Table != table })
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

// TestParseRuleRefuses has rules that bear the tag and are not of Add's form:
// each must be listed as unknown, or lvsd would believe that it is in place.
func TestParseRuleRefuses(t *testing.T) {
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
		if r := parseRule(smtp.Chain(), strings.Fields(text)); r != nil {
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

// drawRule draws any rule that can be written.
func drawRule(t *rapid.T) Rule {
	protocols := []string{"tcp", "udp", "sctp"}
	port := rapid.Uint16Range(1, 65535)
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		r := Redirect{
			VIP:      drawVIP(t),
			Protocol: rapid.SampledFrom(protocols[:2]).Draw(t, "protocol"),
			Port:     rapid.Uint16().Draw(t, "port"),
		}
		r.NewOnly = r.Protocol == "tcp" && rapid.Bool().Draw(t, "new only")
		return r
	case 1:
		m := Mark{VIP: drawVIP(t), Mark: rapid.Uint32Range(1, 1<<32-1).Draw(t, "mark")}
		if rapid.Bool().Draw(t, "has protocol") {
			m.Protocol = rapid.SampledFrom(protocols).Draw(t, "protocol")
			if rapid.Bool().Draw(t, "has ports") {
				m.First = port.Draw(t, "first")
				m.Last = rapid.Uint16Range(m.First, 65535).Draw(t, "last")
			}
		}
		return m
	case 2:
		s := SNAT{VIP: drawVIP(t), Protocol: rapid.SampledFrom(protocols).Draw(t, "protocol")}
		if rapid.Bool().Draw(t, "has port") {
			s.Port = port.Draw(t, "port")
		}
		if rapid.Bool().Draw(t, "has source") {
			s.Source = s.VIP.Next()
			if !s.Source.IsValid() {
				s.Source = s.VIP.Prev()
			}
		}
		return s
	case 3:
		return Mute{drawVIP(t)}
	default:
		return Hold{IPv6: rapid.Bool().Draw(t, "ipv6")}
	}
}

func drawVIP(t *rapid.T) netip.Addr {
	if rapid.Bool().Draw(t, "ipv6") {
		a := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "vip"))
		a[0] = 0x20
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "vip")))
}

// printed is the rule's spec as iptables prints it.
func printed(r Rule) []string {
	text := strings.Join(r.spec(), "\x00")
	switch r := r.(type) {
	case Redirect:
		text = strings.ReplaceAll(text, "--syn", "--tcp-flags\x00FIN,SYN,RST,ACK\x00SYN")
	case Mark:
		text = strings.ReplaceAll(text, fmt.Sprintf("--set-mark\x00%d", r.Mark), fmt.Sprintf("--set-xmark\x00%#x/0xffffffff", r.Mark))
	case SNAT:
		text = strings.ReplaceAll(text, wholeLength(r.VIP), r.VIP.String())
		text = strings.ReplaceAll(text, "masq", "MASQ")
	}
	return strings.Split(text, "\x00")
}

// TestSpecRoundTrip: what Add writes is recognised as what was wanted, as it is
// written and as iptables prints it.
func TestSpecRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRule(t)
		if err := want.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, spec := range [][]string{want.spec(), printed(want)} {
			if got := parseRule(want.Chain(), spec); got != want {
				t.Fatalf("%s is read as %v", spec, got)
			}
		}
	})
}

// TestParseRefusesMore: a rule of lvsd's with anything more, less or else is not
// taken for one.
func TestParseRefusesMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := drawRule(t)
		spec := printed(rule)
		at := rapid.IntRange(0, len(spec)).Draw(t, "at")
		extra := rapid.SampledFrom([]string{
			"!", "-m socket", "-i eth0", "--dport 1", "--vport 1", "-s 192.0.2.1/32", "--to-source 192.0.2.1", "-d 192.0.2.1/32",
			"--set-mark 1", "--syn", "-j ACCEPT", "--ctstate NEW", "-p tcp",
		}).Draw(t, "extra")
		more := slices.Insert(slices.Clone(spec), at, strings.Fields(extra)...)
		if got := parseRule(rule.Chain(), more); got == rule {
			t.Fatalf("%s is taken for %s", more, rule)
		}
		if at < len(spec) {
			less := slices.Delete(slices.Clone(spec), at, at+1)
			if got := parseRule(rule.Chain(), less); got == rule {
				t.Fatalf("%s is taken for %s", less, rule)
			}
		}
		for _, c := range Chains() {
			if _, hold := rule.(Hold); hold && c.Table+c.Name == rule.Chain().Table+rule.Chain().Name {
				continue // it says nothing of a family
			}
			if c != rule.Chain() && parseRule(c, spec) != nil {
				t.Fatalf("%s is taken for a rule of %s", spec, c)
			}
		}
	})
}

// FuzzParseTable feeds any text to the parser. Every rule that it takes for
// lvsd's must be tagged, and must say exactly what its Rule says.
func FuzzParseTable(f *testing.F) {
	files, _ := filepath.Glob("testdata/chain/*.txt")
	for _, file := range files {
		recorded, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(recorded))
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		for _, c := range Chains() {
			for _, rule := range parseTable(lines, []Chain{c}) {
				if !slices.Contains(rule.Spec, tag) && !slices.Contains(rule.Spec, holdTag) {
					t.Errorf("untagged rule %q listed", rule.Spec)
				}
				if rule.Rule == nil {
					continue
				}
				if again := parseRule(c, rule.Rule.spec()); again != rule.Rule {
					t.Errorf("%q is read as %v, which is written so that it is read as %v", rule.Spec, rule.Rule, again)
				}
			}
		}
	})
}
