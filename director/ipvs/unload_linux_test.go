package ipvs

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernelUnloaded unloads ip_vs under the client and loads it again, which
// takes a kernel where nobody else uses it.
func TestKernelUnloaded(t *testing.T) {
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25"), Scheduler: "rr"}, Destination{Weight: 1})
	write(t, c, e)
	fatal(t, c.Flush())
	before := c.family
	unload(t)
	t.Cleanup(func() { fatal(t, exec.Command(modprobePath(), "-a", "ip_vs", "ip_vs_rr").Run()) })

	c.family = before
	if _, err := c.socket.lookup(familyName); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("lookup after unloading: error %v, want ErrUnavailable", err)
	}
	if err := one(c, AddService, e.Service, Destination{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("change while unloaded: error %v, want ErrUnavailable", err)
	}
	write(t, c, e) // loads it
	if c.family == before {
		t.Errorf("family %d as before", before)
	}
	wantTable(t, c, e)

	fatal(t, c.Flush())
	stale := c.family
	unload(t)
	fatal(t, exec.Command(modprobePath(), "ip_vs").Run())
	write(t, c, e) // finds it
	wantTable(t, c, e)
	if c.family == stale {
		t.Errorf("family %d as before", stale)
	}
	fatal(t, c.Flush())
}

// unloaded says that ip_vs has been unloaded in the life of this process.
// moby/ipvs looks the family up once, and reads nothing from then on.
var unloaded bool

// unload removes ip_vs and all modules that use it.
func unload(t *testing.T) {
	t.Helper()
	unloaded = true
	var err error
	waitFor(t, "ip_vs to be unloaded", func() bool {
		for _, holder := range holders(t, "ip_vs") {
			_ = unix.DeleteModule(holder, unix.O_NONBLOCK)
		}
		err = unix.DeleteModule("ip_vs", unix.O_NONBLOCK)
		return err == nil
	})
}

func holders(t *testing.T, module string) []string {
	t.Helper()
	paths, err := filepath.Glob("/sys/module/" + module + "/holders/*")
	fatal(t, err)
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}
