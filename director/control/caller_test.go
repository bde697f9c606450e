package control

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/lvsd/lvsd/director"
)

// nobody is a user that is neither root nor the daemon's.
const nobody = 65534

// askVariable makes this test binary ask the socket that it names, and nothing else.
const askVariable = "LVSD_TEST_ASK"

// TestAsk is no test by itself: it is what another user runs.
func TestAsk(t *testing.T) {
	path := os.Getenv(askVariable)
	if path == "" {
		t.Skip("for TestOtherUsersAreRefused")
	}
	_, err := Status(t.Context(), path)
	var refused *Error
	switch {
	case err == nil:
		t.Log("answered")
	case errors.As(err, &refused):
		t.Logf("refused: %s: %s; permission %v", refused.Code, refused.Message, errors.Is(err, fs.ErrPermission))
	default:
		t.Logf("failed: %v; permission %v", err, errors.Is(err, fs.ErrPermission))
	}
}

// TestOtherUsersAreRefused: another user cannot connect, and if somebody opened the
// socket to all, is not answered.
func TestOtherUsersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		if slices.Contains(strings.Split(os.Getenv("LVSD_TEST_REQUIRE"), ","), "netns") {
			t.Fatal("LVSD_TEST_REQUIRE promises netns, which needs root")
		}
		t.Skip("needs root, to be another user")
	}
	s := newSource()
	s.status = director.Status{Schema: "lvsd.status/1"}
	path, _ := serving(t, func(ctx context.Context, l net.Listener) error { return Serve(ctx, l, s) })
	directory := filepath.Dir(path)
	for _, open := range []string{directory, filepath.Dir(directory)} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(directory, "ask")
	copyProgram(t, program)
	ask := func(uid uint32) string {
		command := exec.CommandContext(t.Context(), program, "-test.run=^TestAsk$", "-test.v")
		command.Dir = "/"
		command.Env = []string{askVariable + "=" + path}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		out, err := command.CombinedOutput()
		if err != nil {
			t.Errorf("as uid %d: %v", uid, err)
		}
		return string(out)
	}
	if got := ask(0); !strings.Contains(got, "answered") {
		t.Errorf("root: %s", got)
	}
	if got := ask(nobody); !strings.Contains(got, "failed: ") || !strings.Contains(got, "permission true") {
		t.Errorf("another user: %s", got)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if got := ask(nobody); !strings.Contains(got, "refused: "+CodeNotPermitted) || !strings.Contains(got, "permission true") {
		t.Errorf("another user at an open socket: %s", got)
	}
}

// copyProgram copies this test binary to where every user may run it.
func copyProgram(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	from, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(file, from)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestByWhom: the kernel's word counts; what root says of itself stands beside it.
func TestByWhom(t *testing.T) {
	for _, tt := range []struct {
		uid        uint32
		said, want string
	}{
		{0, "", "root"},
		{0, "alice", "alice as root"},
		{0, "root", "root"},
		{4294967, "root", "uid 4294967"},
	} {
		ctx := context.WithValue(t.Context(), callerKey{}, peer{uid: tt.uid}.caller())
		if got := byWhom(ctx, tt.said); got != tt.want {
			t.Errorf("uid %d that says %q: %q, want %q", tt.uid, tt.said, got, tt.want)
		}
	}
}

// TestUnknownCallersAreRefused: who cannot be found out is not root.
func TestUnknownCallersAreRefused(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	if p := peerOf(here); p.err == nil {
		t.Errorf("the peer of a pipe: %+v", p)
	}
	with := func(p peer) context.Context { return context.WithValue(t.Context(), peerKey{}, p) }
	for name, ctx := range map[string]context.Context{
		"with an error": with(peer{err: errors.New("no luck")}), "another user": with(peer{uid: nobody}), "without a peer": t.Context(),
		"with a caller and no peer": WithCaller(t.Context(), "root"),
	} {
		reached := false
		handler := admit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
		handler.ServeHTTP(httptest.NewRecorder(), (&http.Request{}).WithContext(ctx))
		if reached {
			t.Errorf("%s: was let in", name)
		}
	}
}

// TestChangesNeedACaller: whoever serves them, nothing is changed for nobody.
func TestChangesNeedACaller(t *testing.T) {
	s := newSource()
	s.calls = make(chan string, 16)
	s.master <- "192.0.2.2"
	for _, one := range Changing(s) {
		r := httptest.NewRequest(one.Method, "/", strings.NewReader("{}"))
		r.SetPathValue("instance", "mail")
		w := httptest.NewRecorder()
		one.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || len(s.calls) > 0 {
			t.Errorf("%s by nobody: %d %s", one.Pattern(), w.Code, w.Body)
		}
	}
}

// TestOnlyRootSaysWhoItIs: another server's word for a caller stands.
func TestOnlyRootSaysWhoItIs(t *testing.T) {
	if got := byWhom(WithCaller(t.Context(), "web:alice@192.0.2.1"), "root"); got != "web:alice@192.0.2.1" {
		t.Errorf("by %q", got)
	}
}
