package vrrp

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// RFC.md names tests and scenarios that exist.
func TestRFCTable(t *testing.T) {
	table, err := os.ReadFile("RFC.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(b)
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(table), -1)
	if len(names) < 50 {
		t.Errorf("%d tests in the table", len(names))
	}
	for _, n := range names {
		if !strings.Contains(tests.String(), "func "+n[1]+"(") {
			t.Errorf("%s: no such test", n[1])
		}
	}
	for _, s := range regexp.MustCompile("scenarios? ((?:`[a-z-*]+`(?:, )?)+)").FindAllStringSubmatch(string(table), -1) {
		for name := range strings.SplitSeq(s[1], ", ") {
			found, err := filepath.Glob("testdata/scenario/" + strings.Trim(name, "`") + ".txt")
			if err != nil || len(found) == 0 {
				t.Errorf("scenario %s: not there", name)
			}
		}
	}
}
