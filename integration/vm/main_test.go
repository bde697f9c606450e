package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	o, program, err := parse([]string{"-timeout", "1m", "-memory", "512", "--", "ls", "-l"})
	if err != nil {
		t.Fatal(err)
	}
	if o.timeout != time.Minute || o.memory != 512 || o.direct != "auto" || !slices.Equal(program, []string{"ls", "-l"}) {
		t.Errorf("options %+v, program %q", o, program)
	}
	for args, want := range map[string]string{
		"":                     "no program",
		"-direct sometimes ls": "want auto, always or never",
		"-publish 0 ls":        "want a port",
		"-publish 65536 ls":    "want a port",
	} {
		if _, _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", args, err, want)
		}
	}
}

func TestField(t *testing.T) {
	const control = "Package: p\nVersion: 1.2-3\nDepends: linux-image-6.1.0-1-amd64 (= 6.1), x\n"
	if got := field(control, "Version"); got != "1.2-3" {
		t.Errorf("Version is %q", got)
	}
	if got := field(control, "Pre-Depends"); got != "" {
		t.Errorf("a field that is not there is %q", got)
	}
}
