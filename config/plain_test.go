package config

import (
	"reflect"
	"testing"

	"github.com/BurntSushi/toml"
)

// plainTexts are texts and whether their lines are plain. Those that are not
// may be TOML.
var plainTexts = []struct {
	text  string
	plain bool
}{
	{"", true},
	{"\n \t\r\n# a\tb\n  # \u20ac\n", true},
	{"a = 1", true},
	{"\ta_-9=-0 # x\r\n", true},
	{"a = 999999999999999999\n", true},
	{"a = true\nb = false#\n", true},
	{"a = \"\"\nb = \"x # \u20ac\ty\"\n", true},
	{"a = []\nb = [ 1, \"]\" ,true,] # x\n", true},
	{"a = 1\n[b]\na = 1\n[b.c] # x\nd = 2\n[[e]]\n[[e.f]]\n[[e.f]]\ng = 1\n[e.f.h]\n[[e]]\n[e.f]\n", true},
	{"a = 1\na = 2\n", false},
	{"a = 9999999999999999999\n", false},
	{"a = 01\n", false},
	{"a = +1\n", false},
	{"a = 1_0\n", false},
	{"a = 0x1\n", false},
	{"a = 1.5\n", false},
	{"a = -\n", false},
	{"a = 1979-05-27\n", false},
	{"a = truer\n", false},
	{"a = \"\\n\"\n", false},
	{"a = \"x\n", false},
	{"a = \"x\x01\"\n", false},
	{"a = \"x\x7f\"\n", false},
	{"a = \"x\xff\"\n", false},
	{"a = 1 # \xff\n", false},
	{"a = \"\"\"\nb\"\"\"\n", false},
	{"a = \"\"\"\"\"\"\n", false},
	{"a = \"x\"\"y\"\n", false},
	{"a = 'x'\n", false},
	{"a = [\n1]\n", false},
	{"a = [1 2]\n", false},
	{"a = [,]\n", false},
	{"a = [1\n", false},
	{"a = [[1]]\n", false},
	{"a = {b = 1}\n", false},
	{"a.b = 1\n", false},
	{"\"a\" = 1\n", false},
	{"\u00e4 = 1\n", false},
	{"= 1\n", false},
	{"a =\n", false},
	{"a\n", false},
	{"a = 1\r", false},
	{"a = 1\rb = 2\n", false},
	{"[a\n", false},
	{"[]\n", false},
	{"[a] b\n", false},
	{"[a.]\n", false},
	{"[.a]\n", false},
	{"[ a ]\n", false},
	{"[\"a\"]\n", false},
	{"[[a]\n", false},
	{"[[a] ]\n", false},
	{"[a.b]\n[a]\n", false},
	{"[a]\n[a]\n", false},
	{"[a]\n[[a]]\n", false},
	{"[[a]]\n[a]\n", false},
	{"a = []\n[[a]]\n", false},
	{"a = 1\n[a.b]\n", false},
	{"\ufeffa = 1\n", false},
}

func TestPlain(t *testing.T) {
	for _, tt := range plainTexts {
		if plain := wantSameAsLibrary(t, tt.text); plain != tt.plain {
			t.Errorf("%q: plain %t, want %t", tt.text, plain, tt.plain)
		}
	}
	if _, ok := decodePlain(largeDocument(3)); !ok {
		t.Error("a generated file is not plain")
	}
}

// FuzzPlain checks that what passes for plain lines gives what the library
// gives.
func FuzzPlain(f *testing.F) {
	documents(f)
	for _, tt := range plainTexts {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) { wantSameAsLibrary(t, text) })
}

// wantSameAsLibrary reports whether the text is plain.
func wantSameAsLibrary(t *testing.T, text string) bool {
	t.Helper()
	got, plain := decodePlain(text)
	if !plain {
		return false
	}
	want := make(map[string]any)
	if _, err := toml.Decode(text, &want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%q: %#v, want %#v, %v", text, got, want, err)
	}
	return true
}
