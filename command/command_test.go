package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// What hooks need of a command, package hook shows: arguments, descriptors, how
// a group is killed.

// nobody is a user and a group that own nothing.
const nobody = 65534

// script writes an executable shell script and returns its path.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		lab.Missing(t, "root", errors.New("not root"))
	}
}

// openDir returns a directory that every user may pass through.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKillRest(t *testing.T) {
	// The child keeps the pipe, whose end shows its own.
	dir := t.TempDir()
	fifo := filepath.Join(dir, "alive")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	path := script(t, dir, "check", fmt.Sprintf("sleep 100000 > %s & exit 3", fifo))
	ended := make(chan error, 1)
	go func() {
		_, err := os.ReadFile(fifo)
		ended <- err
	}()
	// Opened for writing here too, so that a child that is killed before it has
	// come that far does not leave the reader waiting.
	keep, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := Command{Argv: []string{path}, KillRest: true}.Run(t.Context())
	_ = keep.Close()
	if r.Exit != 3 {
		t.Errorf("got %+v", r)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestLastLine(t *testing.T) {
	for body, want := range map[string]string{
		"echo first; echo last; echo": "last",
		"printf 'one\\033'":           "one?",
		":":                           "",
		"head -c 300000 /dev/zero | tr '\\0' '\\n'; echo  end": "end",
		"head -c 300000 /dev/zero | tr '\\0' x":                strings.Repeat("x", MaxLine),
		"seq 100000":                                           "100000",
	} {
		path := script(t, t.TempDir(), "check", body)
		if r := (Command{Argv: []string{path}, Env: []string{"PATH=" + DefaultPath}}).Run(t.Context()); r.LastLine != want || r.Err != nil {
			t.Errorf("%s: last line %q, want %q (%v)", body, r.LastLine, want, r.Err)
		}
	}
}

func TestUser(t *testing.T) {
	needRoot(t)
	dir := openDir(t)
	path := script(t, dir, "check", `echo $(id -u) $(id -g) $(id -G)`)
	for user, want := range map[string]string{
		"":        "0 0 0",
		"root":    "0 0 0",
		"0":       "0 0 0",
		"nobody":  "65534 65534 65534",
		"65534":   "65534 65534 65534",
		"12345:7": "12345 7 7",
	} {
		r := Command{Argv: []string{path}, Env: []string{"PATH=" + DefaultPath}, User: user}.Run(t.Context())
		// What this process's own groups are is not our business.
		got, want := strings.Fields(r.Output), strings.Fields(want)
		if user == "" {
			got = got[:min(2, len(got))]
			want = want[:2]
		}
		if r.Err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("user %q: %+v, want %s", user, r, want)
		}
	}
	if r := (Command{Argv: []string{path}, User: "no-such-user"}).Run(t.Context()); r.Err == nil || r.Exit != -1 || r.Output != "" {
		t.Errorf("unknown user: %+v", r)
	}
}

func TestGroupsOfUser(t *testing.T) {
	// The first user who has more groups than his own.
	text, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) != 4 || fields[3] == "" {
			continue
		}
		gid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		who, err := lookUp(strings.Split(fields[3], ",")[0])
		if err != nil {
			t.Error(err)
			return
		}
		for _, group := range who.credential.Groups {
			if group == uint32(gid) {
				return
			}
		}
		t.Errorf("%q is not among the groups %d", line, who.credential.Groups)
		return
	}
}

func TestParseUser(t *testing.T) {
	for _, good := range []string{"nobody", "65534", "65534:65534", "0:0", "_user-1.x"} {
		if err := ParseUser(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a b", "nobody:nogroup", "1:", ":1", "1:2:3", "-1:1", "4294967296:1"} {
		if err := ParseUser(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestRefusesForeignOwner(t *testing.T) {
	needRoot(t)
	path := script(t, openDir(t), "check", "id -u")
	if err := os.Chown(path, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + DefaultPath}
	if r := (Command{Argv: []string{path}, Env: env}).Run(t.Context()); !errors.Is(r.Err, ErrInsecure) || r.Output != "" {
		t.Errorf("somebody else's file was run: %+v", r)
	}
	if r := (Command{Argv: []string{path}, Env: env, User: "nobody"}).Run(t.Context()); r.Err != nil || r.Output != "65534" {
		t.Errorf("one's own file: %+v", r)
	}
}

// TestRefusesInsecureDirectory: whoever may write to a directory above the file
// may put another one in its place.
func TestRefusesInsecureDirectory(t *testing.T) {
	for _, test := range []struct {
		name string
		mode fs.FileMode
		want error
	}{
		{"private", 0o700, nil},
		{"usual", 0o755, nil},
		{"sticky", 0o777 | fs.ModeSticky, nil},
		{"others", 0o757, ErrInsecure},
		{"group", 0o775, ErrInsecure},
	} {
		t.Run(test.name, func(t *testing.T) {
			top := t.TempDir()
			upper := filepath.Join(top, "upper")
			lower := filepath.Join(upper, "lower")
			if err := os.MkdirAll(lower, 0o755); err != nil {
				t.Fatal(err)
			}
			path := script(t, lower, "check", "echo ran")
			if err := os.Chmod(upper, test.mode); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(top, "link")
			if err := os.Symlink("upper/lower/../lower/check", link); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{path, link} {
				if r := (Command{Argv: []string{name}}).Run(t.Context()); !errors.Is(r.Err, test.want) {
					t.Errorf("%s: %+v, want %v", name, r, test.want)
				}
			}
		})
	}
}

func TestLinksThroughInsecureDirectory(t *testing.T) {
	top := t.TempDir()
	path := script(t, top, "check", "echo ran")
	open := filepath.Join(top, "open")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	link := func(target, name string) string {
		name = filepath.Join(top, name)
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
		return name
	}
	link(path, "open/second")
	if r := (Command{Argv: []string{link("open/second", "first")}}).Run(t.Context()); !errors.Is(r.Err, ErrInsecure) {
		t.Errorf("the link in the middle can be replaced: %+v", r)
	}
	if r := (Command{Argv: []string{link("loop", "loop")}}).Run(t.Context()); r.Err == nil {
		t.Error("a loop of links was run")
	}
}

func TestNotRunAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := (Command{Argv: []string{"/bin/true"}}).Run(ctx); !errors.Is(r.Err, context.Canceled) || r.Exit != -1 {
		t.Errorf("got %+v", r)
	}
}

func TestInheritedPath(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin:/bin": "/usr/bin:/bin",
		"":              DefaultPath,
		"/bin:":         DefaultPath,
		"bin:/bin":      DefaultPath,
	} {
		if got := Inherited([]string{"PATH=" + path})["PATH"]; got != want {
			t.Errorf("PATH=%s: got %s, want %s", path, got, want)
		}
	}
}
