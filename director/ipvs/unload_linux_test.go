package ipvs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernelUnloaded unloads ip_vs under the client and loads it again. It runs
// only where the kernel is there for these tests.
func TestKernelUnloaded(t *testing.T) {
	if !strings.Contains(os.Getenv("LVSD_TEST_REQUIRE"), "ipvs") {
		t.Skip("unloads ip_vs, so only where LVSD_TEST_REQUIRE promises ipvs")
	}
	c := openInNamespace(t)
	e := entry(Service{ServiceKey: key(TCP, "192.0.2.1:25"), Scheduler: "rr"}, Destination{Weight: 1})
	write(t, c, e)
	fatal(t, c.Flush())
	first := c.family
	refuse, allow := moduleLoading(t)
	// Whatever becomes of this test, others need the module.
	t.Cleanup(func() {
		allow()
		fatal(t, exec.Command(modprobePath(), "-a", "ip_vs", "ip_vs_rr").Run())
	})
	refuse()
	unload(t)
	for range 2 {
		if err := one(c, AddService, e.Service, Destination{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("change while unloaded: error %v, want ErrUnavailable", err)
		}
		if _, err := c.Services(); !errors.Is(err, ErrUnavailable) {
			t.Errorf("list while unloaded: error %v, want ErrUnavailable", err)
		}
	}
	allow()
	write(t, c, e) // loads it
	wantTable(t, c, e)

	fatal(t, c.Flush())
	second := c.family
	unload(t)
	fatal(t, exec.Command(modprobePath(), "ip_vs").Run())
	wantTable(t, c) // finds it
	write(t, c, e)
	wantTable(t, c, e)
	if c.family == second || second == first {
		t.Errorf("families %d, %d and %d, want another each time", first, second, c.family)
	}
	fatal(t, c.Flush())
}

// moduleLoading are functions that make the kernel and modprobe refuse to load
// ip_vs, and let them again.
func moduleLoading(t *testing.T) (refuse, allow func()) {
	t.Helper()
	const loader = "/proc/sys/kernel/modprobe"
	before, err := os.ReadFile(loader)
	fatal(t, err)
	dir := t.TempDir()
	fatal(t, os.WriteFile(filepath.Join(dir, "refuse.conf"), []byte("install ip_vs /bin/false\n"), 0o600))
	const options = "MODPROBE_OPTIONS"
	refuse = func() {
		fatal(t, os.WriteFile(loader, []byte("/bin/false"), 0o600))
		fatal(t, os.Setenv(options, "-C "+dir))
	}
	allow = func() {
		fatal(t, os.WriteFile(loader, before, 0o600))
		fatal(t, os.Unsetenv(options))
	}
	return refuse, allow
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
