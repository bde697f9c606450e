package hook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/command"
	"github.com/lvsd/lvsd/integration/lab"
)

func TestExactArguments(t *testing.T) {
	path := script(t, t.TempDir(), "notify", `printf '<%s>' "$0" "$@"`)
	argv := []string{path, "two words", "", "$HOME;*", "'\"\\"}
	r := runOne(t, Commands{Any: argv})
	want := "<" + strings.Join(append(argv, "INSTANCE", "relay", "MASTER", "150"), "><") + ">"
	if r.Output != want || r.Exit != 0 || r.Err != nil {
		t.Errorf("got %+v, want output %q", r, want)
	}
	if len(argv) != 5 || len(r.Command) != 9 {
		t.Errorf("command %q", r.Command)
	}
}

func TestExactEnvironment(t *testing.T) {
	env, err := exec.LookPath("env")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value) // restores it
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"HOME": "/root", "LANG": "C.UTF-8", "LC_TIME": "C", "TZ": "UTC", "PATH": "/bin:.",
		"LD_PRELOAD": "/evil.so", "IFS": "x", "NOTIFY_SOCKET": "/run/systemd/notify", "SECRET": "s",
	} {
		t.Setenv(name, value)
	}
	e := event(Master)
	e.Reason = "peer said\x00 \x1b[2J"
	b := newBench(t, Commands{
		Master:      []string{env},
		Environment: map[string]string{"QUEUE": "/var/spool/a b", "TZ": "Europe/Berlin", "LVSD_STATE": "BACKUP"},
	})
	b.Notify(e)
	r := <-b.results
	const want = `HOME=/root
LANG=C.UTF-8
LC_TIME=C
LVSD_INSTANCE=relay
LVSD_INTERFACE=eth0
LVSD_PREVIOUS_STATE=BACKUP
LVSD_PRIORITY=150
LVSD_REASON=peer said? ?[2J
LVSD_ROUTER_ID=mx1
LVSD_STATE=MASTER
LVSD_VIPS=192.0.2.100 192.0.2.101
LVSD_VRID=51
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
QUEUE=/var/spool/a b
TZ=Europe/Berlin`
	if r.Output != want {
		t.Errorf("environment\n%s\nwant\n%s\n(%v)", r.Output, want, r.Err)
	}
}

func TestUser(t *testing.T) {
	if os.Geteuid() != 0 {
		lab.Missing(t, "root", errors.New("not root"))
	}
	t.Setenv("HOME", "/root")
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := script(t, dir, "notify", `echo $(id -u) $(id -G) home=$HOME $(sed -n 's/^CapEff:.0*//p' /proc/self/status).`)
	b := newBench(t, Commands{Master: []string{path}, User: "nobody"})
	for user, want := range map[string]string{"nobody": "65534 65534 home= .", "1234:99": "1234 99 home= ."} {
		b.SetCommands(Commands{Master: []string{path}, User: user})
		b.Notify(event(Master))
		if r := <-b.results; r.Err != nil || r.Output != want {
			t.Errorf("user %s: %q, %v, want %q", user, r.Output, r.Err, want)
		}
	}
	b.SetCommands(Commands{Master: []string{path}, User: "no-such-user"})
	b.Notify(event(Master))
	if r := <-b.results; r.Err == nil || r.Exit != -1 || r.Output != "" {
		t.Errorf("unknown user: %+v", r)
	}
}

func TestFilesAndGroup(t *testing.T) {
	// stat field 5 is the process group; ls itself opens descriptor 3.
	path := script(t, t.TempDir(), "notify", `readlink /proc/self/fd/0; pwd
set -- $(cat /proc/$$/stat); test "$5" = $$ && echo leader
exec ls -x /proc/self/fd`)
	closeInheritedOnExec(t)
	kept, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = kept.Close() }()
	r := runOne(t, Commands{Master: []string{path}})
	if want := "/dev/null\n/\nleader\n0  1  2  3"; r.Output != want {
		t.Errorf("got %q, want %q (%v)", r.Output, want, r.Err)
	}
}

// closeInheritedOnExec keeps what this process was started with, by whoever runs
// the tests, from its children.
func closeInheritedOnExec(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}

func TestNoDescriptorsLeak(t *testing.T) {
	b := newBench(t, Commands{Master: []string{"/bin/true"}, Any: []string{"/nonexistent"}})
	count := func() int {
		b.Notify(event(Master))
		<-b.results
		<-b.results
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count()
	for range 20 {
		if after := count(); after > before {
			t.Fatalf("%d descriptors, before %d", after, before)
		}
	}
}

func TestTimeoutKillsTheGroup(t *testing.T) {
	dir := t.TempDir()
	pids := filepath.Join(dir, "pids")
	path := script(t, dir, "notify", fmt.Sprintf(
		"trap '' TERM; sleep 100000 & echo $$ $! > %s.new; mv %s.new %s; echo working; wait", pids, pids, pids))
	// The script must have come as far as its child before the timeout.
	for timeout := 100 * time.Millisecond; timeout < eventually; timeout *= 2 {
		r := runOne(t, Commands{Master: []string{path}, Timeout: timeout})
		if !errors.Is(r.Err, context.DeadlineExceeded) || r.Exit != -1 {
			t.Fatalf("got %+v", r)
		}
		text, err := os.ReadFile(pids)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		for _, pid := range strings.Fields(string(text)) {
			waitGone(t, pid)
		}
		return
	}
	t.Fatal("the script never started its child")
}

func TestHangEndsOnSIGTERM(t *testing.T) {
	path := script(t, t.TempDir(), "notify", "exec sleep 100000")
	b := newBench(t, Commands{Master: []string{path}, Any: []string{"/bin/true"}, Timeout: 50 * time.Millisecond})
	b.Notify(event(Master))
	if r := <-b.results; !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("got %+v", r)
	}
	if r := <-b.results; len(r.Command) != 5 {
		t.Errorf("the general command did not follow: %+v", r)
	}
}

func TestCleanupOnSIGTERM(t *testing.T) {
	dir := t.TempDir()
	started, tidied := fifo(t, dir, "started"), filepath.Join(dir, "tidied")
	path := script(t, dir, "notify", fmt.Sprintf(
		"sleep 100000 & trap 'kill $!; : > %s; exit 0' TERM; echo > %s; wait", tidied, started))
	b := newBench(t, Commands{Master: []string{path}})
	b.Notify(event(Master))
	receive(t, started)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = b.Finish(ctx)
	if r := <-b.results; !errors.Is(r.Err, ErrAbandoned) || r.Exit != -1 {
		t.Errorf("got %+v", r)
	}
	if _, err := os.Stat(tidied); err != nil {
		t.Errorf("the script could not tidy up: %v", err)
	}
}

func TestBackgroundChildDoesNotBlock(t *testing.T) {
	dir := t.TempDir()
	pid := filepath.Join(dir, "pid")
	path := script(t, dir, "notify", "sleep 100000 & echo $! > "+pid+"; echo done; echo oops >&2; exit 3")
	r := runOne(t, Commands{Master: []string{path}})
	var exit *exec.ExitError
	if r.Exit != 3 || !errors.As(r.Err, &exit) || r.Output != "done\noops" {
		t.Errorf("got %+v", r)
	}
	text, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	child := strings.TrimSpace(string(text))
	stat, err := os.ReadFile("/proc/" + child + "/stat")
	if err != nil || !strings.Contains(string(stat), "(sleep)") && !strings.Contains(string(stat), "(notify)") {
		t.Errorf("what a hook started in the background should go on: %s, %v", stat, err)
	}
	if out, err := exec.Command("kill", "-KILL", child).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	waitGone(t, child)
}

func TestFloodIsBounded(t *testing.T) {
	path := script(t, t.TempDir(), "notify", "head -c 3000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2")
	r := runOne(t, Commands{Master: []string{path}})
	if r.Err != nil || r.Output != strings.Repeat("x", command.MaxOutput) {
		t.Errorf("exit %d, %v, %d bytes of output", r.Exit, r.Err, len(r.Output))
	}
}

func TestRefused(t *testing.T) {
	const mark = "ran"
	dir := t.TempDir()
	harmless := script(t, dir, "harmless", "echo "+mark)
	worse := func(name string, mode fs.FileMode) string {
		path := script(t, dir, name, "echo "+mark)
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(target string) string {
		path := target + ".link"
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	group, others := worse("group", 0o775), worse("others", 0o757)
	plain := worse("plain", 0o644)
	missing := filepath.Join(dir, "missing")
	for _, test := range []struct {
		path string
		want error // nil if any is right
	}{
		{group, command.ErrInsecure},
		{others, command.ErrInsecure},
		{link(others), command.ErrInsecure},
		{"harmless", command.ErrInsecure},
		{missing, fs.ErrNotExist},
		{link(missing), fs.ErrNotExist},
		{plain, fs.ErrPermission},
		{dir, nil},
		{fifo(t, dir, "fifo"), nil}, // opening it would wait for ever
		{"/dev/null", nil},
	} {
		r := runOne(t, Commands{Master: []string{test.path}})
		if r.Err == nil || r.Exit != -1 || r.Output != "" {
			t.Errorf("%s: %+v", test.path, r)
		}
		if test.want != nil && !errors.Is(r.Err, test.want) {
			t.Errorf("%s: %v, want %v", test.path, r.Err, test.want)
		}
	}
	for _, path := range []string{harmless, link(harmless)} {
		if r := runOne(t, Commands{Master: []string{path}}); r.Err != nil || r.Output != mark {
			t.Errorf("%s: %+v", path, r)
		}
	}
}
