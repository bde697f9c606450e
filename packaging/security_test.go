package packaging

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestExposure: the unit is no more exposed than the documents say, by systemd's
// own measure from 0 to 10; nor is it without root.
func TestExposure(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		lab.Missing(t, "systemd-analyze", err)
	}
	unit, err := os.ReadFile("systemd/lvsd.service")
	if err != nil {
		t.Fatal(err)
	}
	dropIn, err := os.ReadFile("systemd/unprivileged.conf")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, unit string
		most       float64
	}{
		{"lvsd.service", string(unit), 3.0},
		// A later [Service] adds to the one before, as a drop-in does.
		{"unprivileged.conf", string(unit) + "\n" + string(dropIn), 2.4},
	} {
		got := exposure(t, test.unit)
		if got > test.most {
			t.Errorf("%s: exposure %.1f, want at most %.1f", test.name, got, test.most)
		}
		row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(test.name) + "` \\| " + strconv.FormatFloat(got, 'f', 1, 64) + " \\|")
		if !row.Match(document) {
			t.Errorf("docs/security.md does not say that %s has %.1f", test.name, got)
		}
	}
}

// exposure is the score of the unit.
func exposure(t *testing.T, unit string) float64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lvsd.service")
	if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(context.WithoutCancel(t.Context()), "systemd-analyze", "security", "--offline=true", "--no-pager", path)
	out, err := command.CombinedOutput()
	found := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindSubmatch(out)
	if found == nil {
		t.Fatalf("systemd-analyze security: %v\n%s", err, out)
	}
	score, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return score
}
