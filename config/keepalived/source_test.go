package keepalived

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// texts are the lines that a text becomes.
func texts(o Options, text string) (lines []string, n *notebook) {
	n = new(notebook)
	for _, l := range readLines(File{Name: "dir/test.conf", Text: []byte(text)}, o.withDefaults(), n) {
		lines = append(lines, l.text)
	}
	return lines, n
}

func TestLines(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"comments", "a # b\n! c\nd !e\n\tf\\#g \\!h\ni \"# j ! k\" # l", `a|d|f#g !h|i "# j ! k"`},
		{"escapes in quotes", "x \"\\# y \\\" z\" # w", `x "\# y \" z"`},
		{"carriage returns", "a\r\nb\r\n", "a|b"},
		{"a line that goes on", "a \\\n b \\\n c\nd", "a b c|d"},
		{"conditions", "@main a\n@other b\n@^main c\n@^other d\n@!other e\n@\n@main", "a|d|e"},
		{"a condition from a definition", "$ON=@main\n$OFF=@other\n$ON a\n$OFF b", "a"},
		{"late replacement", "$B=10.2.${S}\n$S=0\n${B}.1\n$S=10\n${B}.1", "10.2.0.1|10.2.10.1"},
		{"where a name ends", "$V=x\n$V a\n$Va\n${V}a\n$V,$V)\n-$V", "x a|$Va|xa|x,x)|-x"},
		{"what is not defined", "$HOME ${NOBODY} $1 $", "$HOME ${NOBODY} $1 $"},
		{"an empty value", "$V=\na $V\n${V}b", "a|b"},
		{"several lines", "$V= \\\n a { \\\n\\\n b \\\n }\n$V\nc", "a {|b|}|c"},
		{"several lines in several", "$I= \\\n i ${N} \\\n j\n$O= \\\n $N=1 \\\n $I \\\n $N=2 \\\n $I\n$O", "i 1|j|i 2|j"},
		{"a value of itself", "$V=a $V\n$W=b", ""},
		{"sequence", "~SEQ(N, 0, 3) a${N}", "a0|a1|a2|a3"},
		{"sequence to", "~SEQ(N, 3) a${N}\n~SEQ(N, -2) b${N}", "a1|a2|a3|b-1|b-2"},
		{"sequence with steps", "~SEQ(N, 0, 5, 12) ${N}\n~SEQ(N, 4, -2, 1) ${N}", "0|5|10|4|2"},
		{"hexadecimal", "~SEQx(N, 144, 16, 192) ${N}\n~SEQx(N, 0x0b, 0x0a) ${N}", "90|a0|b0|c0|b|a"},
		{"sequences", "~SEQ(A, 1, 2) ~SEQ(B, 7, 8) ${A}.${B}", "1.7|1.8|2.7|2.8"},
		{"sequence of several lines", "$V= \\\n x${N} \\\n y${N}\n~SEQ(N, 1, 2) $V", "x1|y1|x2|y2"},
		{"list", "~LST(N, a, b c) ${N}", "a|b c"},
		{"list of groups", "~LST({A, B}, {1,2},{3,4}) ${A}.${B}", "1.2|3.4"},
		{"predefined", "${_INSTANCE} ${_HASH} ${_BANG} ${_ENV USER} ${_RANDOM 7 9}", "main # ! jo 7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, n := texts(Options{ConfigID: "main", Getenv: func(name string) string {
				return map[string]string{"USER": "jo"}[name]
			}}, test.text)
			if strings.Join(got, "|") != test.want && test.want != "" {
				t.Errorf("%q, want %q; notes %v", got, test.want, n.notes)
			}
		})
	}
}

// TestBounds: what would never end, or fill the memory, ends with a note.
func TestBounds(t *testing.T) {
	loop := func(string) ([]byte, error) { return []byte("include other.conf\n"), nil }
	for name, text := range map[string]string{
		"sequences":           strings.Repeat("~SEQ(N, 1, 2000000000) ", 3) + "x",
		"doubling":            "$A=" + strings.Repeat("x", 100) + "${B}${B}\n$B=${A}${A}\n${A}",
		"lines in lines":      "$A= \\\n $A \\\n $A\n$A",
		"include cycle":       "include a.conf",
		"braces of a pattern": "include " + strings.Repeat("{a,b}", 40),
		"deep blocks":         strings.Repeat("a {\n", 100_000),
		"a long line":         strings.Repeat("a", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			o := Options{ReadFile: loop, Glob: func(p string) ([]string, error) { return []string{p + "x"}, nil }, mostLines: 5000}.withDefaults()
			_, _, n := importOne(File{Name: "test.conf", Text: []byte(text)}, o)
			if len(n.notes) == 0 {
				t.Error("no note")
			}
			if len(n.notes) > 20_000 {
				t.Errorf("%d notes", len(n.notes))
			}
		})
	}
}

func TestTree(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a b {\n c\n}", "a b[c]"},
		{"a b\n{\n c\n}\nd", "a b[c] d"},
		{"a { b { c } d }", "a[b[c] d]"},
		{"a {b}{c}", "a[b] {[c]"},
		{`a "{ b }" {` + "\n}", "a { b }[]"},
		{"a\n{\n", "a[]"},
		{"}\na", "a"},
	} {
		lines, n := texts(Options{}, test.text)
		var all []line
		for i, l := range lines {
			all = append(all, line{l, "f", i + 1})
		}
		if got := spellTree(parse(all, n)); got != test.want {
			t.Errorf("%q is %q, want %q", test.text, got, test.want)
		}
	}
}

func spellTree(all []*Statement) string {
	var parts []string
	for _, s := range all {
		text := strings.Join(s.Words, " ")
		if s.HasBlock {
			text += "[" + spellTree(s.Block) + "]"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

func TestWords(t *testing.T) {
	for _, test := range []struct{ text, plain, escaped string }{
		{`notify "/bin/a b" c`, "notify|/bin/a b|c", "notify|/bin/a b|c"},
		{`regex \d+\\n`, `regex|\d+\\n`, `regex|d+\n`},
		{`x 'a b' "c"`, "x|'a|b'|c", "x|a b|c"},
		{`x "a\"b\x41\101\t\cA"`, `x|a\|b\x41\101\t\cA"`, "x|a\"bAA\t\x01"},
	} {
		s := Statement{Words: words(test.text), text: test.text}
		if got := strings.Join(s.Words, "|"); got != test.plain {
			t.Errorf("words of %s: %q, want %q", test.text, got, test.plain)
		}
		if got := strings.Join(s.escaped(), "|"); got != test.escaped {
			t.Errorf("escaped words of %s: %q, want %q", test.text, got, test.escaped)
		}
	}
}

func TestAddressRange(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1":             "192.0.2.1 192.0.2.1 true",
		"192.0.2.1-9":           "192.0.2.1 192.0.2.9 true",
		"192.0.2.250-192.0.3.4": "192.0.2.250 192.0.3.4 true",
		"192.0.2.8/29":          "192.0.2.8 192.0.2.15 true",
		"2001:db8::2-9":         "2001:db8::2 2001:db8::9 true",
		"2001:db8::/126":        "2001:db8:: 2001:db8::3 true",
	} {
		first, last, ok := addressRange(text)
		if got := fmt.Sprint(first, last, ok); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "x", "192.0.2.9-1", "192.0.2.9/29", "192.0.2.1-2001:db8::1", "192.0.2.1-", "1-2"} {
		if first, last, ok := addressRange(text); ok {
			t.Errorf("%q is %v to %v", text, first, last)
		}
	}
}

// TestVocabulary: each keyword says exactly one of what it is, what to do without
// it, and why it needs nothing.
func TestVocabulary(t *testing.T) {
	checkVocabulary(t, "the file", topVocabulary())
	checkVocabulary(t, "global_defs", globalVocabulary())
	checkVocabulary(t, "vrrp_instance", instanceVocabulary())
	checkVocabulary(t, "virtual_server", serviceVocabulary())
	checkVocabulary(t, "real_server", serverVocabulary())
	for kind, v := range checkers {
		checkVocabulary(t, kind, v())
	}
	checkVocabulary(t, "url", urlVocabulary())
}

func checkVocabulary[T any](t *testing.T, where string, v vocabulary[T]) {
	t.Helper()
	for word, e := range v {
		says := []bool{e.read != nil, e.none != "", e.lost != ""}
		if slices.Index(says, true) < 0 || strings.Count(fmt.Sprint(says), "true") != 1 {
			t.Errorf("%s in %s says %v", word, where, says)
		}
	}
}
