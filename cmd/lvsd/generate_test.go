package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGenerate: every command that people see has its man page, and every shell its
// file.
func TestGenerate(t *testing.T) {
	directory := t.TempDir()
	if code, _, stderr := lvsd(t, "generate", directory, "--reference", "../../docs/configuration.md"); code != exitOK {
		t.Fatalf("%d: %s", code, stderr)
	}
	has := func(name string, words ...string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(directory, name))
		if err != nil {
			t.Error(err)
			return
		}
		for _, word := range words {
			if !strings.Contains(string(text), word) {
				t.Errorf("%s has no %q", name, word)
			}
		}
	}
	root := newRoot()
	for _, command := range root.Commands() {
		if command.IsAvailableCommand() {
			has("man/lvsd-"+command.Name()+".8", "lvsd-"+command.Name(), "SYNOPSIS")
		}
	}
	has("man/lvsd.8", ".TH", "SEE ALSO", "lvsd-status(8)")
	has("man/lvsd.toml.5", `.TH "lvsd.toml" "5"`, ".SH NAME\n", `lvsd.toml \- the configuration file`, "advert_interval", "virtual_service")
	has("completion/lvsd.bash", "complete -o default")
	has("completion/_lvsd", "#compdef lvsd")
	has("completion/lvsd.fish", "complete -c lvsd")
	if _, err := os.Stat(filepath.Join(directory, "man/lvsd-generate.8")); err == nil {
		t.Error("a hidden command has a man page")
	}
}
