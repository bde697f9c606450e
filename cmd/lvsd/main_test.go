package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const example = "../../examples/mail-relay/lvsd.toml"

// lvsd runs one command line.
func lvsd(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), arguments, &out, &errs)
	return code, out.String(), errs.String()
}

func TestExitCodes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.toml")
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.NewReplacer(`"wlc"`, `"wlcc"`, "vrid = 11", "vrid = 300").Replace(string(text))
	if err := os.WriteFile(bad, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	absent := filepath.Join(t.TempDir(), "absent")
	for _, test := range []struct {
		name      string
		arguments []string
		code      int
		stdout    []string
		stderr    []string
	}{
		{"valid file", []string{"check", "-c", example}, exitOK, []string{"valid; VRRP instances: 1, virtual services: 1"}, nil},
		{
			"every problem of an invalid file",
			[]string{"check", "-c", bad},
			exitFailed, nil,
			[]string{"bad.toml:12:8: vrrp.vrid", "bad.toml:27:13: virtual_service.scheduler", `nearest is "wlc"`},
		},
		{"no file", []string{"check", "-c", absent}, exitFailed, nil, []string{absent}},
		{"daemon without a file", []string{"run", "-c", absent, "--run-dir", absent}, exitFailed, nil, []string{absent}},
		{"no daemon", []string{"status", "--run-dir", absent}, exitNotRunning, nil, []string{"not running"}},
		{"unknown flag", []string{"check", "--absent"}, exitUsage, nil, []string{"--absent", "Usage:"}},
		{"unknown command", []string{"chekc"}, exitUsage, nil, []string{`"chekc"`, `nearest is "check"`}},
		{"superfluous argument", []string{"check", "file"}, exitUsage, nil, []string{"takes no arguments"}},
		{
			"unknown log format",
			[]string{"run", "-c", example, "--run-dir", absent, "--log-format", "xml"},
			exitUsage, nil,
			[]string{`"xml"`, "auto, text, json or journald"},
		},
		{"help", nil, exitOK, []string{"Operate:", "See:", "run", "check", "list", "status"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := lvsd(t, test.arguments...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			mustContain(t, "standard output", stdout, test.stdout)
			mustContain(t, "standard error", stderr, test.stderr)
		})
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("a refused daemon left its run directory")
	}
}

func mustContain(t *testing.T, where, text string, parts []string) {
	t.Helper()
	if len(parts) == 0 && text != "" {
		t.Errorf("%s: %q, want nothing", where, text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s lacks %q:\n%s", where, part, text)
		}
	}
}

// TestSecondDaemonIsKeptOut: the lock goes with its holder, not with the file.
func TestSecondDaemonIsKeptOut(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "run")
	unlock, err := lockRunDirectory(directory)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockRunDirectory(directory); err == nil || !strings.Contains(err.Error(), "another lvsd") {
		t.Errorf("second lock: %v", err)
	}
	unlock()
	again, err := lockRunDirectory(directory)
	if err != nil {
		t.Fatalf("after the first is gone: %v", err)
	}
	again()
}
