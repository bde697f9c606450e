package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// module writes a module with one package and returns its directory.
func module(t *testing.T, test string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":         "module example.test/m\n\ngo 1.26\n",
		"p/p_test.go":    test,
		"empty/empty.go": "package empty\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// failsOnce is a function that fails a test in its first run.
const failsOnce = `
func once(t *testing.T, name, words string) {
	if os.Mkdir(os.Getenv("FAILED_IN")+"/"+name, 0o755) == nil {
		t.Error("the reason", words)
	}
}
`

func TestResults(t *testing.T) {
	for _, c := range []struct {
		name, test string
		again      int
		counts     string
		fails      bool
		shows      []string
		hides      string
	}{
		{
			name: "pass and skip",
			test: `func TestA(t *testing.T) { t.Log("chatter"); t.Run("sub", func(t *testing.T) {}) }
			func TestB(t *testing.T) { t.SkipNow() }`,
			counts: "1 passed, 0 failed, 1 skipped here",
			shows:  []string{"--- PASS: TestA", "--- SKIP: TestB"},
			hides:  "chatter",
		},
		{
			name: "fail",
			test: `func TestA(t *testing.T) { t.Run("sub", func(t *testing.T) { t.Error("the reason") }) }
			func TestB(t *testing.T) {}`,
			counts: "1 passed, 1 failed",
			fails:  true,
			shows:  []string{"the reason", "--- FAIL: TestA", "--- PASS: TestB", "FAIL\t"},
		},
		{
			name:   "exit",
			test:   `func TestA(t *testing.T) { println("last words"); os.Exit(3) }`,
			counts: "0 passed, 1 failed",
			fails:  true,
			shows:  []string{"last words", "FAIL\t"},
		},
		{
			name:   "panic",
			test:   `func TestA(t *testing.T) { panic("the reason") }`,
			counts: "0 passed, 1 failed",
			fails:  true,
			shows:  []string{"the reason"},
		},
		{
			name:   "fails once",
			test:   failsOnce + `func TestA(t *testing.T) { once(t, "A", "t.Error") }; func TestAB(t *testing.T) {}`,
			again:  1,
			counts: "2 passed, 1 of them when run again, 0 failed",
			shows:  []string{"the reason", "--- FAIL: TestA ", "== again: TestA of ", "--- PASS: TestA "},
		},
		{
			name:   "fails twice",
			test:   `func TestA(t *testing.T) { t.Error("the reason") }; func TestB(t *testing.T) {}`,
			again:  1,
			counts: "1 passed, 1 failed",
			fails:  true,
			shows:  []string{"== again: TestA of "},
		},
		{
			name:   "too many fail once",
			test:   failsOnce + `func TestA(t *testing.T) { once(t, "A", "t.Error") }; func TestB(t *testing.T) { once(t, "B", "t.Error") }`,
			again:  1,
			counts: "0 passed, 2 failed",
			fails:  true,
			hides:  "again",
		},
		{
			name:   "a race once",
			test:   failsOnce + `func TestA(t *testing.T) { once(t, "A", "WARNING: DATA RACE") }`,
			again:  1,
			counts: "0 passed, 1 failed",
			fails:  true,
			hides:  "again",
		},
		{
			name:   "a panic once",
			test:   failsOnce + `func TestA(t *testing.T) { defer func() { if t.Failed() { panic("and worse") } }(); once(t, "A", "") }`,
			again:  1,
			counts: "0 passed, 1 failed",
			fails:  true,
			hides:  "again",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := module(t, "package p\n\nimport (\"os\"; \"testing\")\n\nvar _ = os.Exit\n\n"+c.test)
			t.Chdir(dir)
			build := exec.Command("go", "test", "-c", "-o", "bin/p.test", "./p")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for way, args := range map[string][]string{
				"test":     {"test", "./p"},
				"binaries": {"binaries", "bin", "./p", "./empty"},
			} {
				t.Setenv("FAILED_IN", t.TempDir())
				var out strings.Builder
				file := filepath.Join(dir, way)
				if err := run(&out, file, c.again, selection{}, args); (err != nil) != c.fails {
					t.Errorf("%s: error %v, want one: %t", way, err, c.fails)
				}
				for _, want := range append(c.shows, c.counts+"\n") {
					if !strings.Contains(out.String(), want) {
						t.Errorf("%s: no %q in:\n%s", way, want, &out)
					}
				}
				if c.hides != "" && strings.Contains(out.String(), c.hides) {
					t.Errorf("%s: %q in:\n%s", way, c.hides, &out)
				}
			}
		})
	}
}

func TestBuildFailureIsShown(t *testing.T) {
	t.Chdir(module(t, "package p\n\nvar x int = nonsense\n"))
	var out strings.Builder
	if err := run(&out, "", 0, selection{}, []string{"test", "./p"}); err == nil {
		t.Error("no error")
	}
	if !strings.Contains(out.String(), "undefined: nonsense") || !strings.Contains(out.String(), "0 passed, 1 failed") {
		t.Errorf("printed:\n%s", &out)
	}
}

func TestTotal(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, c counts) string {
		path := filepath.Join(dir, name)
		if err := c.write(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := file("unit", counts{Passed: 3, Skipped: 1}), file("host", counts{Passed: 2, Failed: 1})
	for _, c := range []struct {
		files []string
		last  string
		fails bool
	}{
		{[]string{good}, "3 passed, 0 failed", false},
		{[]string{good, bad}, "5 passed, 1 failed", true},
		{[]string{good, filepath.Join(dir, "vm")}, "3 passed, 1 failed", true},
	} {
		var out strings.Builder
		if err := total(&out, c.files); (err != nil) != c.fails {
			t.Errorf("%v: error %v, want one: %t", c.files, err, c.fails)
		}
		if !strings.HasSuffix(out.String(), "\n"+c.last+"\n") {
			t.Errorf("%v: printed:\n%swant last: %s", c.files, &out, c.last)
		}
	}
}

func TestSelection(t *testing.T) {
	t.Chdir(module(t, "package p\n\nimport \"testing\"\n\nfunc TestA(*testing.T) {}\nfunc TestB(*testing.T) {}\nfunc TestAB(*testing.T) {}\n"))
	if out, err := exec.Command("go", "test", "-c", "-o", "bin/p.test", "./p").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for pick, want := range map[selection]string{
		{}:                      "3 passed",
		{run: "^TestA$"}:        "1 passed",
		{skip: "^TestA$"}:       "2 passed",
		{run: "A", skip: "B"}:   "1 passed",
		{run: "^TestNoSuch.*$"}: "0 passed",
	} {
		var out strings.Builder
		if err := run(&out, "", 0, pick, []string{"binaries", "bin", "./p"}); err != nil {
			t.Errorf("%+v: %v", pick, err)
		}
		if !strings.Contains(out.String(), want+", 0 failed\n") {
			t.Errorf("%+v: no %q in:\n%s", pick, want, &out)
		}
	}
}
