package main

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuildOf(t *testing.T) {
	recorded := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef0123"}, {Key: "vcs.time", Value: "2026-11-20T12:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}
	for _, test := range []struct {
		name, release, module string
		settings              []debug.BuildSetting
		want                  string
	}{
		{"package", "1.2.3", "v1.2.2", recorded, "1.2.3"},
		{"tag", "", "v1.2.2", recorded, "v1.2.2"},
		{"revision", "", "(devel)", recorded, "devel-0123456789ab"},
		{"nothing", "", "", nil, "devel"},
	} {
		got := buildOf(test.release, &debug.BuildInfo{Main: debug.Module{Version: test.module}, Settings: test.settings})
		if got.Version != test.want || got.Modified != (test.settings != nil) || !strings.HasPrefix(got.Go, "go") || !strings.HasPrefix(got.Platform, "linux/") {
			t.Errorf("%s: %+v, want version %s", test.name, got, test.want)
		}
	}
}

func TestVersion(t *testing.T) {
	code, flag, _ := lvsd(t, "--version")
	if want := "lvsd version " + version() + "\n"; code != exitOK || flag != want {
		t.Errorf("--version: %d %q, want %q", code, flag, want)
	}
	code, text, _ := lvsd(t, "version")
	if code != exitOK || !strings.HasPrefix(text, "lvsd "+version()+"\n") || !strings.Contains(text, "built by go1.") {
		t.Errorf("version: %d %q", code, text)
	}
	code, text, _ = lvsd(t, "version", "--json")
	var got build
	if err := json.Unmarshal([]byte(text), &got); code != exitOK || err != nil || got != thisBuild() {
		t.Errorf("version --json: %d %q: %v", code, text, err)
	}
}
