package track

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func fileSpec(path string) Spec { return Spec{Name: "weight", File: &File{Path: path}} }

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replace writes a file as those should that must not be seen half written.
func replace(t *testing.T, path, text string) {
	t.Helper()
	write(t, path+".new", text)
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) expectFound(state State, value int, reason string) {
	r.t.Helper()
	c := r.next()
	if c.To.State != state || c.To.Value != value || c.To.Reason != reason {
		r.t.Errorf("change %+v, want %v %d %q", c, state, value, reason)
	}
}

func TestFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dir")
	path := filepath.Join(dir, "weight")
	r := newRig(t, fileSpec(path))
	r.run()
	r.expectFound(Up, 0, "no file") // nor directory
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, path, "-20\n")
	r.expectFound(Up, -20, "value -20")
	replace(t, path, " +7 ")
	r.expectFound(Up, 7, "value 7")
	replace(t, path, "maintenance")
	r.expectFound(Down, 0, `"maintenance" is not a number`)
	replace(t, path, "")
	r.expectFound(Up, 0, "empty")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	r.await("removed", func(s Status) bool { return s.State == Up && s.Reason == "no file" })
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	r.expectFound(Down, 0, path+": not a regular file")
}

// Another directory in place of the one that is watched, with another file.
func TestFileInReplacedDirectory(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "dir")
	path := filepath.Join(dir, "weight")
	for i, d := range []string{"dir", "next"} {
		if err := os.Mkdir(filepath.Join(top, d), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(top, d, "weight"), fmt.Sprint(i+1))
	}
	r := newRig(t, fileSpec(path))
	r.run()
	r.expectFound(Up, 1, "value 1")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(top, "next"), dir); err != nil {
		t.Fatal(err)
	}
	for r.All()["weight"].Value != 2 {
		r.next()
	}
	write(t, path, "3")
	for r.All()["weight"].Value != 3 {
		r.next()
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	write(t, large, strings.Repeat(" ", 100)+"1")
	loop := filepath.Join(dir, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:  fifo + ": not a regular file",
		large: "longer than 64 bytes",
		loop:  "open " + loop + ": too many levels of symbolic links",
	} {
		if got := readFile(path); got.state != Down || got.reason != want {
			t.Errorf("got %+v, want %q", got, want)
		}
	}
}

func TestParseValue(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "\n": 0, "0": 0, "-20": -20, "+5\n": 5, "007": 7, "1000000": maxValue, "-1000000": -maxValue,
	} {
		if got, err := parseValue(text); got != want || err != nil {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"1000001": "out of range", "-1000001": "out of range", "99999999999999999999": "out of range",
		"1 2": "not a number", "0x10": "not a number", "1.5": "not a number", "-": "not a number", "\x00": "not a number",
		strings.Repeat("0", 65): "longer",
	} {
		if got, err := parseValue(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d, %v, want %s", text, got, err, want)
		}
	}
}

func FuzzParseValue(f *testing.F) {
	for _, seed := range []string{"", " -20\n", "+5", "1000001", "99999999999999999999", "1e3", "\x1b[2J"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value, err := parseValue(text)
		if err != nil {
			if value != 0 || strings.ContainsAny(err.Error(), "\x00\x1b") {
				t.Errorf("value %d, error %q", value, err)
			}
			return
		}
		if value < -maxValue || value > maxValue {
			t.Errorf("%d is out of range", value)
		}
		if again, err := parseValue(fmt.Sprint(value)); again != value || err != nil {
			t.Errorf("%d reads as %d, %v", value, again, err)
		}
	})
}
