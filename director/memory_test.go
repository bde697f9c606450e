package director

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvsd/lvsd/director/ipvs"
)

// TestMemoryIsTwoFiles: what is owned and what changes all the time are written
// and read apart.
func TestMemoryIsTwoFiles(t *testing.T) {
	directory := t.TempDir()
	file := MemoryFile{filepath.Join(directory, "state.json")}
	m := Memory{
		Instances: map[string]InstanceMemory{"relay": {Master: true, LastAdvert: 5}},
		Services:  []ipvs.ServiceKey{farm(1, 1).Services[0].IPVS.ServiceKey},
		Daemons:   true,
		Sysctls:   map[string]string{"net.ipv4.vs.sync_threshold": "3 50"},
	}
	load := func(want Memory, fails bool) {
		t.Helper()
		got, err := file.Load()
		if (err != nil) != fails {
			t.Errorf("error %v, want one: %v", err, fails)
		}
		if diff := cmp.Diff(want, got, compareStates, cmpopts.IgnoreFields(Memory{}, "Boot")); diff != "" {
			t.Errorf("memory (-want +got):\n%s", diff)
		}
	}
	load(Memory{}, false)
	if err := file.Save(m); err != nil {
		t.Fatal(err)
	}
	load(m, false)

	m.Instances["relay"] = InstanceMemory{LastAdvert: 6}
	old := m.Services
	m.Services = nil
	if err := file.saveRest(m); err != nil {
		t.Fatal(err)
	}
	m.Services = old
	load(m, false)

	if err := os.WriteFile(file.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	load(Memory{}, true)

	if err := file.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(directory); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// BenchmarkRemember is the renewal of the state file with 5,000 services.
func BenchmarkRemember(b *testing.B) {
	s := newSteps(b, farm(5000, 1))
	s.Memory = MemoryFile{filepath.Join(b.TempDir(), "state.json")}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.remember(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRememberWritesWhatIsOwnedOnce: it is large, and renewed only when it
// changed.
func TestRememberWritesWhatIsOwnedOnce(t *testing.T) {
	c := farm(2, 1)
	s := newSteps(t, c)
	s.Memory = MemoryFile{filepath.Join(t.TempDir(), "state.json")}
	remember := func() {
		t.Helper()
		if err := s.remember(); err != nil {
			t.Fatal(err)
		}
	}
	remember()
	if err := os.Remove(s.Memory.ownedPath()); err != nil {
		t.Fatal(err)
	}
	remember()
	if _, err := os.Stat(s.Memory.ownedPath()); err == nil {
		t.Error("written again although nothing changed")
	}
	s.configure(farm(3, 1))
	remember()
	m, err := s.Memory.Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(m.Services); got != 3 {
		t.Errorf("%d services are remembered, want 3", got)
	}
}
