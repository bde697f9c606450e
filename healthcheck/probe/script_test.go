package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// program writes an executable shell script and returns the check that runs it.
func program(t *testing.T, body string, arguments ...string) Script {
	t.Helper()
	path := filepath.Join(t.TempDir(), "check")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Script{Command: ListOf(append([]string{path}, arguments...)...)}
}

func TestScript(t *testing.T) {
	for name, test := range map[string]struct {
		body    string
		dynamic bool
		code    Code
		reason  string
		weight  Weight
	}{
		"success":            {"exit 0", false, PROCOK, "exit status 0", Weight{}},
		"last words":         {"echo one; echo two >&2", false, PROCOK, "exit status 0: two", Weight{}},
		"failure":            {"exit 1", false, PROCERR, "exit status 1", Weight{}},
		"failure, last word": {"echo queue is full; exit 75", false, PROCERR, "exit status 75: queue is full", Weight{}},
		"signal":             {"echo ow; kill -9 $$", false, PROCERR, "signal: killed: ow", Weight{}},
		"signal, dynamic":    {"kill -9 $$", true, PROCERR, "signal: killed", Weight{}},
		"dynamic 0":          {"exit 0", true, PROCOK, "exit status 0", Weight{}},
		"dynamic 1":          {"exit 1", true, PROCERR, "exit status 1", Weight{}},
		"dynamic 2":          {"echo drain; exit 2", true, PROCOK, "weight 0: drain", Weight{true, 0}},
		"dynamic 102":        {"exit 102", true, PROCOK, "weight 100", Weight{true, 100}},
		"dynamic 255":        {"exit 255", true, PROCOK, "weight 253", Weight{true, 253}},
		"not dynamic":        {"exit 102", false, PROCERR, "exit status 102", Weight{}},
		"control characters": {`printf 'a\033[2J\n'`, false, PROCOK, "exit status 0: a?[2J", Weight{}},
	} {
		t.Run(name, func(t *testing.T) {
			k := program(t, test.body)
			k.Dynamic = test.dynamic
			r := of(k, anywhere).Ask(t.Context())
			if r.Code != test.code || r.Reason != test.reason || r.Weight != test.weight || r.OK != test.code.OK() || !r.Conclusive() {
				t.Errorf("got %s %q %v, want %v", r.Code, r.Reason, r.Weight, test)
			}
		})
	}
}

func TestScriptTranscript(t *testing.T) {
	k := program(t, "echo $1; echo $2", "a b", "c")
	r := of(k, anywhere).Ask(t.Context())
	if want := "* run " + strings.Join(k.Command.Values(), " ") + "\n< a b\n< c\n"; r.Transcript != want {
		t.Errorf("transcript\n%s\nwant\n%s", r.Transcript, want)
	}
}

// A script gets to know the target and no more of this process than it needs.
func TestScriptEnvironment(t *testing.T) {
	t.Setenv("LD_PRELOAD", "")
	t.Setenv("NOTIFY_SOCKET", "/x")
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("PATH", "/usr/bin:/bin")
	k := program(t, "env | grep -v ^PWD= | grep -v ^_= | grep -v ^SHLVL= | sort | tr '\\n' ' '")
	r := of(k, anywhere).Ask(t.Context())
	want := "exit status 0: LANG=C.UTF-8 LVSD_ADDRESS=192.0.2.1 LVSD_PORT=25 LVSD_TARGET=192.0.2.1:25 PATH=/usr/bin:/bin"
	if r.Reason != want {
		t.Errorf("got %q, want %q", r.Reason, want)
	}
	for to, want := range map[string][]string{
		"[2001:db8::1]:25":      {"LVSD_TARGET=[2001:db8::1]:25", "LVSD_ADDRESS=2001:db8::1", "LVSD_PORT=25"},
		"[::ffff:192.0.2.1]:25": {"LVSD_TARGET=192.0.2.1:25", "LVSD_ADDRESS=192.0.2.1", "LVSD_PORT=25"},
		"192.0.2.1:0":           {"LVSD_TARGET=192.0.2.1", "LVSD_ADDRESS=192.0.2.1", "LVSD_PORT="},
		"[2001:db8::1]:0":       {"LVSD_TARGET=2001:db8::1", "LVSD_ADDRESS=2001:db8::1", "LVSD_PORT="},
	} {
		if got := scriptEnvironment([]string{"PATH=/bin", "LD_PRELOAD=x"}, netip.MustParseAddrPort(to)); !slices.Equal(got, append(want, "PATH=/bin")) {
			t.Errorf("%s: %q", to, got)
		}
	}
}

// A script that cannot be run says nothing about the server.
func TestScriptNotRun(t *testing.T) {
	missing := Script{Command: ListOf("/nonexistent/check")}
	insecure, notExecutable, noInterpreter := program(t, "exit 0"), program(t, "exit 0"), program(t, "exit 0")
	chmod := func(k Script, mode os.FileMode) {
		if err := os.Chmod(k.Command.Values()[0], mode); err != nil {
			t.Fatal(err)
		}
	}
	chmod(insecure, 0o777)
	chmod(notExecutable, 0o644)
	if err := os.WriteFile(noInterpreter.Command.Values()[0], []byte("#!/nonexistent/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	unknownUser := program(t, "exit 0")
	unknownUser.User = "no-such-user"
	for name, test := range map[string]struct {
		kind Script
		want string
	}{
		"missing":        {missing, "no such file or directory"},
		"insecure":       {insecure, "refused as insecure"},
		"not executable": {notExecutable, "permission denied"},
		"no interpreter": {noInterpreter, "no such file or directory"},
		"unknown user":   {unknownUser, "no-such-user"},
		"no command":     {Script{}, "no command"},
	} {
		r := of(test.kind, anywhere).Ask(t.Context())
		if r.Code != SOCKERR || r.Conclusive() || !strings.Contains(r.Reason, test.want) {
			t.Errorf("%s: %s %q, want %q", name, r.Code, r.Reason, test.want)
		}
	}
}

// A script that is not done in time is killed with all that it started, one that
// does not obey two seconds later.
func TestScriptTimeout(t *testing.T) {
	const grace = 2 * time.Second
	for name, test := range map[string]struct {
		body   string
		reason string
	}{
		"sleeps":        {"echo asleep; exec sleep 100000", "timed out: asleep"},
		"has children":  {"sleep 100000 & sleep 100000", "timed out"},
		"does not obey": {"trap '' TERM; echo no; while :; do sleep 1; done", "timed out: no"},
		"obeys, badly":  {"trap 'exit 0' TERM; sleep 100000 & wait", "timed out"},
	} {
		t.Run(name, func(t *testing.T) {
			k := program(t, test.body)
			k.Dynamic = true
			r := of(k, anywhere)
			r.Timeout = time.Second
			got := r.Ask(t.Context())
			// How far a slow machine lets it come before is not told.
			if got.Code != PROCTOUT || !strings.HasPrefix(got.Reason, "timed out") || got.OK || !got.Conclusive() {
				t.Errorf("got %s %q, want %q", got.Code, got.Reason, test.reason)
			}
			if got.Duration < r.Timeout || name == "does not obey" && got.Duration < r.Timeout+grace {
				t.Errorf("took %v", got.Duration)
			}
		})
	}
	k := program(t, "exec sleep 100000")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	expectResult(t, of(k, anywhere).Ask(ctx), SOCKERR, "abandoned: context canceled")
}

// However many run at once and however they end, no process is left.
func TestScriptsAtOnce(t *testing.T) {
	dir := t.TempDir()
	alive := filepath.Join(dir, "alive")
	if err := unix.Mkfifo(alive, 0o600); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		// It ends when the last process that writes has.
		_, err := os.ReadFile(alive)
		ended <- err
	}()
	keep, err := os.OpenFile(alive, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	// All are written before the first one starts: a file that is open for writing
	// anywhere, as in a process that is just being made, cannot be run.
	var kinds []Kind
	for i := range 40 {
		kinds = append(kinds, program(t, fmt.Sprintf("exec > %s; sleep 100000 & [ $1 = 0 ] && exit 0; [ $1 = 1 ] && exit 1; wait", alive), fmt.Sprint(i%4)))
	}
	var all sync.WaitGroup
	for i, k := range kinds {
		all.Go(func() {
			r := of(k, anywhere)
			r.Timeout = time.Minute
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			want := []Code{PROCOK, PROCERR, PROCTOUT, SOCKERR}[i%4]
			switch want {
			case PROCTOUT:
				r.Timeout = 300 * time.Millisecond
			case SOCKERR:
				time.AfterFunc(300*time.Millisecond, cancel)
			}
			if got := r.Ask(ctx); got.Code != want {
				t.Errorf("%d: %s %q, want %s", i, got.Code, got.Reason, want)
			}
		})
	}
	all.Wait()
	_ = keep.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	var info unix.Siginfo
	err = unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if !errors.Is(err, unix.ECHILD) {
		t.Errorf("children are left: %v", err)
	}
}

func TestScriptValidate(t *testing.T) {
	for name, test := range map[string]struct {
		kind Script
		want string
	}{
		"nothing":    {Script{}, `command [] must begin with an absolute path`},
		"relative":   {Script{Command: ListOf("check", "-v")}, `command ["check" "-v"] must begin with an absolute path`},
		"zero byte":  {Script{Command: ListOf("/c", "a\x00")}, "must not hold a zero byte"},
		"user":       {Script{Command: ListOf("/c"), User: "a b"}, `user "a b" is neither a name nor uid:gid`},
		"group name": {Script{Command: ListOf("/c"), User: "1:x"}, "gid is not a number"},
	} {
		if err := test.kind.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %s", name, err, test.want)
		}
	}
	for _, user := range []string{"", "nobody", "65534", "65534:65534"} {
		good := of(Script{Command: ListOf("/c", ""), User: user}, netip.AddrPortFrom(anywhere.Addr(), 0))
		if err := good.Validate(); err != nil {
			t.Errorf("%q: %v", user, err)
		}
	}
}
