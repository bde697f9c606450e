package director

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHoldFile(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "state", "lvsd")
	f := HoldFile{Path: filepath.Join(directory, "holds.json")}
	if held, err := f.Load(); err != nil || len(held) != 0 {
		t.Fatalf("no file: %v, %v", held, err)
	}
	for _, want := range [][]string{{"a", "b"}, {"b"}, nil} {
		if err := f.Save(want); err != nil {
			t.Fatal(err)
		}
		held, err := f.Load()
		if diff := cmp.Diff(want, held); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
	for _, damaged := range []string{"", "{", `["a"]`} {
		if err := os.WriteFile(f.Path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if held, err := f.Load(); err == nil {
			t.Errorf("%q was read as %v", damaged, held)
		}
	}
}

func TestHoldFileThatCannotBeWritten(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (HoldFile{Path: filepath.Join(blocked, "holds.json")}).Save([]string{"a"}); err == nil {
		t.Error("it was saved below a file")
	}
}
