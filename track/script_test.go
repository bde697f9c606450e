package track

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

func TestScriptOutcomes(t *testing.T) {
	for body, want := range map[string]outcome{
		"exit 0":                         {true, "exit status 0"},
		"echo all; echo is well":         {true, "exit status 0: is well"},
		"echo refused >&2; exit 2":       {false, "exit status 2: refused"},
		"kill -SEGV $$":                  {false, "signal: segmentation fault"},
		"read line || echo no; exit 1":   {false, "exit status 1: no"},
		"printf 'a\\033[2Jb'; exit 1":    {false, "exit status 1: a?[2Jb"},
		"seq 1 100000; sleep 0":          {true, "exit status 0: 100000"},
		`echo "[$HOME]"`:                 {true, "exit status 0: []"},
		"pwd; echo \"$LVSD_TRACKER\" ok": {true, "exit status 0: my db ok"},
	} {
		spec := scriptSpec("my db", writeScript(t, t.TempDir(), body))
		got := execute(t.Context(), spec)
		if got.ok != want.ok || strings.TrimSuffix(got.reason, " (core dumped)") != want.reason {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}

func TestScriptEnvironment(t *testing.T) {
	got := environment([]string{"PATH=/bin", "LANG=C.UTF-8", "HOME=/root", "LD_PRELOAD=x", "LC_ALL=C"}, "db")
	if diff := cmp.Diff([]string{"LVSD_TRACKER=db", "PATH=/bin", "LANG=C.UTF-8"}, got); diff != "" {
		t.Error(diff)
	}
}

// A script that is missing or insecure is down, and up once it is put right.
func TestScriptIsCheckedAtEveryRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "check")
	spec := scriptSpec("db", path)
	spec.Script.Interval = 10 * time.Millisecond
	r := newRig(t, spec)
	r.run()
	if c := r.next(); c.To.State != Down || !strings.Contains(c.To.Reason, "no such file") {
		t.Errorf("missing: %+v", c)
	}
	writeScript(t, filepath.Dir(path), "exit 0")
	if c := r.next(); c.To.State != Up {
		t.Errorf("written: %+v", c)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if c := r.next(); c.To.State != Down || !strings.Contains(c.To.Reason, "insecure") {
		t.Errorf("insecure: %+v", c)
	}
}

func TestScriptAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Missing(t, "root", errors.New("not root"))
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	spec := scriptSpec("db", writeScript(t, dir, "echo $(id -u) $(id -G)"))
	for user, want := range map[string]outcome{
		"nobody":  {true, "exit status 0: 65534 65534"},
		"1234:99": {true, "exit status 0: 1234 99"},
	} {
		spec.Script.User = user
		if got := execute(t.Context(), spec); got != want {
			t.Errorf("user %s: %+v, want %+v", user, got, want)
		}
	}
	spec.Script.User = "no-such-user"
	if got := execute(t.Context(), spec); got.ok || !strings.Contains(got.reason, "no-such-user") {
		t.Errorf("unknown user: %+v", got)
	}
}

// hanging is a script that tells its number and that of a child in its process
// group, and then waits. Neither heeds SIGTERM.
func hanging(t *testing.T) (spec Spec, fifo string) {
	t.Helper()
	dir := t.TempDir()
	fifo = filepath.Join(dir, "started")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	return scriptSpec("db", writeScript(t, dir, fmt.Sprintf(
		"trap '' TERM; sleep 100000 & echo thinking; echo $$ $! > %s; wait", fifo))), fifo
}

// started returns the processes of a hanging script.
func started(t *testing.T, fifo string) []int {
	t.Helper()
	text, err := os.ReadFile(fifo)
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, field := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// waitGone returns when no process of pids runs.
func waitGone(t *testing.T, pids []int) {
	t.Helper()
	runs := func(pid int) bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return false
		}
		s, err := parseStat(line)
		return err == nil && s.runs
	}
	for deadline := time.Now().Add(eventually); slices.ContainsFunc(pids, runs); <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("processes %d still run", pids)
		}
	}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	spec, fifo := hanging(t)
	spec.Script.Timeout = 2 * time.Second
	r := newRig(t, spec)
	r.run()
	pids := started(t, fifo)
	if c := r.next(); c.To.State != Down || !strings.HasPrefix(c.To.Reason, "timed out after 2s") {
		t.Errorf("change %+v", c)
	}
	waitGone(t, pids)
	r.update()
}

func TestEndKillsTheGroup(t *testing.T) {
	spec, fifo := hanging(t)
	r := newRig(t, spec)
	stop := r.run()
	pids := started(t, fifo)
	stop()
	waitGone(t, pids)
	// The script itself was reaped: no zombie is left.
	if err := unix.Kill(pids[0], 0); !errors.Is(err, unix.ESRCH) {
		t.Errorf("script %d is still there: %v", pids[0], err)
	}
	r.expectChanges()
}

func TestRemovalKillsTheGroup(t *testing.T) {
	spec, fifo := hanging(t)
	r := newRig(t, spec)
	r.run()
	pids := started(t, fifo)
	r.update()
	waitGone(t, pids)
	r.expectChanges()
}

func TestBackgroundChildIsKilled(t *testing.T) {
	dir := t.TempDir()
	path := writeScript(t, dir, "sleep 100000 & echo $!")
	got := execute(t.Context(), scriptSpec("db", path))
	number, ok := strings.CutPrefix(got.reason, "exit status 0: ")
	pid, err := strconv.Atoi(number)
	if !ok || err != nil {
		t.Fatalf("got %+v", got)
	}
	waitGone(t, []int{pid})
}
