package director

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzFiles reads any text as each of the files that a daemon leaves for the
// next one. What is taken in can be written and read again.
func FuzzFiles(f *testing.F) {
	boot, err := bootIdentity()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"held":["mail","web"]}`)
	f.Add(`{"boot":"` + boot + `","instances":{"mail":{"role":"master"}}}`)
	f.Add(`{"boot":"` + boot + `","services":[{"protocol":"tcp","address":"192.0.2.1:25"}]}`)
	f.Add(`{"overrides":[{"target":{"node":"a"},"state":"drain","node":"a","at":"2026-01-01T12:00:00Z"}],"latest":"2026-01-01T12:00:00Z"}`)
	f.Add(`{"boot":null,"held":null,"overrides":null}`)
	path := filepath.Join(f.TempDir(), "file")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		again := filepath.Join(t.TempDir(), "again")
		if m, err := (MemoryFile{Path: path}).Load(); err == nil {
			file := MemoryFile{Path: again + ".memory"}
			if err := file.Save(m); err != nil {
				t.Fatal(err)
			}
			if _, err := file.Load(); err != nil {
				t.Fatal(err)
			}
		}
		if held, err := (HoldFile{Path: path}).Load(); err == nil {
			file := HoldFile{Path: again + ".holds"}
			if err := file.Save(held); err != nil {
				t.Fatal(err)
			}
			if _, err := file.Load(); err != nil {
				t.Fatal(err)
			}
		}
		if o, err := overrideFile(path).load(); err == nil {
			file := overrideFile(again + ".overrides")
			if err := file.save(o); err != nil {
				t.Fatal(err)
			}
			if _, err := file.load(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
