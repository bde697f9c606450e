package probe

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

func TestFile(t *testing.T) {
	for text, test := range map[string]struct {
		code   Code
		reason string
		weight Weight
	}{
		"up":                             {L7OK, "says up", Weight{}},
		"up\n":                           {L7OK, "says up", Weight{}},
		" Up \r\n":                       {L7OK, "says up", Weight{}},
		"down\n":                         {L7STS, "says down", Weight{}},
		"DOWN":                           {L7STS, "says down", Weight{}},
		"0\n":                            {L7OK, "says weight 0", Weight{true, 0}},
		"100":                            {L7OK, "says weight 100", Weight{true, 100}},
		"65535\n":                        {L7OK, "says weight 65535", Weight{true, 65535}},
		"65536\n":                        {L7RSP, `says "65536", expected "up", "down" or a weight (0..65535)`, Weight{}},
		"-1":                             {L7RSP, `says "-1", expected`, Weight{}},
		"+1":                             {L7RSP, `says "+1", expected`, Weight{}},
		"1 0":                            {L7RSP, `says "1 0", expected`, Weight{}},
		"0x10":                           {L7RSP, `says "0x10", expected`, Weight{}},
		"up down":                        {L7RSP, `says "up down", expected`, Weight{}},
		"1\x00":                          {L7RSP, `says "1\x00", expected`, Weight{}},
		"":                               {L7RSP, `is empty, expected "up", "down" or a weight (0..65535)`, Weight{}},
		" \n":                            {L7RSP, "is empty, expected", Weight{}},
		strings.Repeat("1", 5000):        {L7RSP, "longer than 4096 bytes", Weight{}},
		strings.Repeat(" ", 4094) + "up": {L7OK, "says up", Weight{}},
		strings.Repeat("x", 4096):        {L7RSP, `says "` + strings.Repeat("x", maxQuoted) + `", expected`, Weight{}},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := of(File{path}, anywhere).Ask(t.Context())
		if r.Code != test.code || !strings.Contains(r.Reason, test.reason) || r.Weight != test.weight {
			t.Errorf("%.40q: %s %q %v, want %v", text, r.Code, r.Reason, r.Weight, test)
		}
		if !r.OK && !strings.HasPrefix(r.Reason, path) {
			t.Errorf("%.40q: the reason does not name the file: %q", text, r.Reason)
		}
	}
}

// What is no file that says something is a failure, and nothing makes the probe
// wait.
func TestFileUnreadable(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := unix.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("loop", at("loop")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		at("none"):           "none: no such file or directory",
		at("none/none"):      "none: no such file or directory",
		at("fifo"):           "fifo: not a regular file",
		at("loop"):           "loop: too many levels of symbolic links",
		dir:                  dir + ": not a regular file",
		"/dev/zero":          "/dev/zero: not a regular file",
		"/proc/self/environ": "/proc/self/environ ",
	} {
		r := of(File{path}, anywhere).Ask(t.Context())
		if r.Code != L7RSP || !strings.Contains(r.Reason, want) {
			t.Errorf("%s: %s %q, want %q", path, r.Code, r.Reason, want)
		}
	}
}

// A file that is being written is empty for a moment: that is not "down".
func TestFileBeingWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(rewriting/2, func() { _ = os.WriteFile(path, []byte("up\n"), 0o600) })
		expectResult(t, of(File{path}, anywhere).Ask(t.Context()), L7OK, "says up")
	})
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(rewriting/2, cancel)
		expectResult(t, of(File{path}, anywhere).Ask(ctx), SOCKERR, "abandoned: context canceled")
		short := of(File{path}, anywhere)
		short.Timeout = rewriting / 2
		r := short.Ask(t.Context())
		if r.Code != L7TOUT || !strings.HasSuffix(r.Reason, "f: timed out") || r.Duration != short.Timeout {
			t.Errorf("got %s %q after %v", r.Code, r.Reason, r.Duration)
		}
	})
}

func TestFileValidate(t *testing.T) {
	for path, good := range map[string]bool{"/f": true, "f": false, "": false, "/f\x00": false} {
		if err := (File{path}).Validate(); (err == nil) != good {
			t.Errorf("%q: %v", path, err)
		}
	}
	noPort := of(File{"/f"}, netip.AddrPortFrom(anywhere.Addr(), 0))
	if err := noPort.Validate(); err != nil {
		t.Errorf("without a port: %v", err)
	}
}

func FuzzParseFile(f *testing.F) {
	for _, text := range []string{"up", "down\n", "0", " 65535 ", "65536", "-1", "\xff", "", "1_0", "٣"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found, err := parseFile(text)
		word := strings.ToLower(strings.TrimSpace(text))
		weight, numeric := strconv.Atoi(word)
		switch {
		case err != nil && (word == "up" || numeric == nil && weight > 0 && weight <= 65535 && word[0] != '+'):
			t.Errorf("%q: %v", text, err)
		case err != nil:
		case found.weight.Known && (numeric != nil || found.weight.Value != weight || weight < 0 || weight > 65535):
			t.Errorf("%q is weight %d", text, found.weight.Value)
		case !found.weight.Known && word != "up":
			t.Errorf("%q is up", text)
		}
	})
}

// A file system that does not answer keeps no probe beyond its timeout, and not
// one that is abandoned.
func TestFileOfDeadFileSystem(t *testing.T) {
	path := deadFileSystem(t) + "/f"
	request := of(File{path}, anywhere)
	request.Timeout = 50 * time.Millisecond
	if r := request.Ask(t.Context()); r.Code != L7TOUT || !strings.HasSuffix(r.Reason, "/f: timed out") {
		t.Errorf("got %s %q", r.Code, r.Reason)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	expectResult(t, of(File{path}, anywhere).Ask(ctx), SOCKERR, "abandoned: context canceled")
}

// deadFileSystem is a directory of a FUSE file system that nobody serves. It is
// mounted nowhere but at a descriptor.
func deadFileSystem(t *testing.T) string {
	t.Helper()
	device, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		lab.Missing(t, lab.NeedNetns, err)
	}
	// Closing the device ends whatever waits.
	t.Cleanup(func() { _ = unix.Close(device) })
	system, err := unix.Fsopen("fuse", unix.FSOPEN_CLOEXEC)
	if err != nil {
		lab.Missing(t, lab.NeedNetns, err)
	}
	defer unix.Close(system)
	for key, value := range map[string]string{"fd": strconv.Itoa(device), "rootmode": "40000", "user_id": "0", "group_id": "0"} {
		must(t, unix.FsconfigSetString(system, key, value))
	}
	must(t, unix.FsconfigCreate(system))
	mount, err := unix.Fsmount(system, unix.FSMOUNT_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(mount) })
	return "/proc/self/fd/" + strconv.Itoa(mount)
}
