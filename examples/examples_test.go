// Package examples has no code: its test holds the examples and the documents
// to what lvsd takes and does.
package examples

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/lvsd/lvsd/config"
)

// root is the top of the repository.
const root = ".."

// files returns the files of the repository with the suffix.
func files(t *testing.T, suffix string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case entry.IsDir() && path != root && (name == "build" || name[0] == '.'):
			return fs.SkipDir
		case !entry.IsDir() && strings.HasSuffix(name, suffix):
			found = append(found, path)
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("files %s: %d, %v", suffix, len(found), err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fence matches a fenced block; its groups are the language and the text.
var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// fences returns the fenced blocks in the language.
func fences(document, language string) []string {
	var texts []string
	for _, match := range fence.FindAllStringSubmatch(document, -1) {
		if match[1] == language {
			texts = append(texts, match[2])
		}
	}
	return texts
}

func TestFilesAreValid(t *testing.T) {
	examples, err := filepath.Glob("*/*.toml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, path := range examples {
		if _, err := config.Load(path, "relay1"); err != nil {
			t.Error(err)
		}
	}
}

// TestDocumentsShowValidFiles leaves docs/configuration.md to the tests of the
// package config, because one of its files is wrong on purpose.
func TestDocumentsShowValidFiles(t *testing.T) {
	shown := 0
	for _, path := range files(t, ".md") {
		if filepath.Base(path) == "configuration.md" {
			continue
		}
		for i, text := range fences(read(t, path), "toml") {
			shown++
			if _, err := config.Parse(fmt.Sprintf("%s, file %d", path, i+1), []byte(text), "relay1"); err != nil {
				t.Error(err)
			}
		}
	}
	if shown == 0 {
		t.Error("no document shows a file")
	}
}

// TestREADMEShowsTheExample: the file that the README walks through says the
// same as the one in the folder, whatever its comments are.
func TestREADMEShowsTheExample(t *testing.T) {
	example, err := config.Load("mail-relay/lvsd.toml", "relay1")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := config.Parse("README", []byte(fences(read(t, "../README.md"), "toml")[0]), "relay1")
	if err != nil {
		t.Fatal(err)
	}
	if !example.Equal(shown) {
		t.Errorf("README.md shows\n%+v\nwant mail-relay/lvsd.toml\n%+v", shown, example)
	}
}

var (
	// inProse and inScript are lvsd with a command and its arguments.
	inProse  = regexp.MustCompile("`lvsd ([a-z][a-z-]*)([^`]*)`")
	inScript = regexp.MustCompile(`(?m)(?:^|[#$] |sbin/|&& |=)lvsd ([a-z][a-z-]*)([^&\n]*)`)
	// flagName is a flag, alone or among arguments.
	flagName = regexp.MustCompile(`(?:^|\s)(--?[a-z][a-z-]*)`)
	// loneFlag is a flag that a document speaks of by itself.
	loneFlag = regexp.MustCompile("`(--?[a-z][a-z-]*)[^`]*`")
)

// TestCommandsExist compares the commands and flags in documents and the unit
// with what the program says of itself.
func TestCommandsExist(t *testing.T) {
	lvsd := filepath.Join(t.TempDir(), "lvsd")
	if out, err := exec.Command("go", "build", "-o", lvsd, "../cmd/lvsd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	help := helpOf(t, lvsd)
	has := func(command, flag string) bool {
		return regexp.MustCompile(`[ ,]` + flag + `\b`).MatchString(help[command])
	}
	for _, path := range append(files(t, ".md"), "../packaging/systemd/lvsd.service") {
		text := read(t, path)
		script := strings.Join(append(fences(text, "sh"), fences(text, "console")...), "")
		if strings.HasSuffix(path, ".service") {
			script = text
		}
		for _, match := range append(inProse.FindAllStringSubmatch(text, -1), inScript.FindAllStringSubmatch(script, -1)...) {
			command := match[1]
			if help[command] == "" {
				t.Errorf("%s: %q: there is no such command", path, strings.TrimSpace(match[0]))
				continue
			}
			for _, flag := range flagName.FindAllStringSubmatch(match[2], -1) {
				if !has(command, flag[1]) {
					t.Errorf("%s: lvsd %s has no flag %s", path, command, flag[1])
				}
			}
		}
		if name := filepath.Base(path); name != "README.md" && name != "operation.md" {
			continue // other documents speak of other programs' flags
		}
		for _, match := range loneFlag.FindAllStringSubmatch(text, -1) {
			if !has("", match[1]) {
				t.Errorf("%s: no command has the flag %s", path, match[1])
			}
		}
	}
}

// helpOf is what the program says of each command and of those below it, by the first
// word, and of all by no word.
func helpOf(t *testing.T, lvsd string) map[string]string {
	t.Helper()
	help := map[string]string{}
	var ask func(words ...string)
	ask = func(words ...string) {
		out, err := exec.Command(lvsd, append(words, "--help")...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), strings.Join(append([]string{"lvsd"}, words...), " ")) {
			t.Fatalf("lvsd %s --help: %v\n%s", words, err, out)
		}
		help[words[0]] += string(out)
		help[""] += string(out)
		for _, below := range commandsBelow(t, lvsd, words...) {
			ask(append(slices.Clone(words), below)...)
		}
	}
	for _, command := range commandsBelow(t, lvsd) {
		ask(command)
	}
	return help
}

// commandsBelow asks the program's own completion, which tells what each command does
// and so tells it from other words.
func commandsBelow(t *testing.T, lvsd string, words ...string) []string {
	t.Helper()
	out, err := exec.Command(lvsd, append(append([]string{"__complete"}, words...), "")...).Output()
	if err != nil {
		t.Fatalf("what is below lvsd %s: %v", words, err)
	}
	var commands []string
	for line := range strings.Lines(string(out)) {
		if name, _, is := strings.Cut(line, "\t"); is && len(words) > 0 && words[0] == "help" {
			continue // lists all of them again
		} else if is {
			commands = append(commands, name)
		}
	}
	return commands
}

// TestNamedTestsExist: a document may name a test, or a part of one, as proof
// only if it is there.
func TestNamedTestsExist(t *testing.T) {
	var tests strings.Builder
	for _, path := range files(t, "_test.go") {
		tests.WriteString(read(t, path))
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)(?:/([^`]+))?`")
	for _, path := range files(t, ".md") {
		for _, match := range named.FindAllStringSubmatch(read(t, path), -1) {
			if !strings.Contains(tests.String(), "func "+match[1]+"(") {
				t.Errorf("%s: there is no test %s", path, match[1])
			}
			if part := match[2]; part != "" && !strings.Contains(tests.String(), fmt.Sprintf("%q", part)) {
				t.Errorf("%s: %s has no part %q", path, match[1], part)
			}
		}
	}
}

func TestLinksResolve(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, path := range files(t, ".md") {
		text := fence.ReplaceAllString(read(t, path), "")
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target := match[1]
			if strings.Contains(target, "://") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			where := path
			if file != "" {
				where = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(where); err != nil {
				t.Errorf("%s: link to %s: %v", path, target, err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, where)), anchor) {
				t.Errorf("%s: link to %s: there is no such heading", path, target)
			}
		}
	}
}

// anchors are the names of the document's headings in links.
func anchors(document string) []string {
	var names []string
	for line := range strings.Lines(fence.ReplaceAllString(document, "")) {
		heading := strings.TrimLeft(line, "#")
		if heading == line {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(heading)))
	}
	return names
}
