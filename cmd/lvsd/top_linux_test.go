package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/director"
)

// terminal opens a pseudo-terminal of 80 columns and 24 lines.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs a pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	fd := int(ours.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Close() })
	return ours, theirs
}

// TestTopOnATerminal: it draws what the daemon tells, and q ends it. The terminal is
// asked for nothing: this one does not answer.
func TestTopOnATerminal(t *testing.T) {
	directory := answer(t, &scripted{
		State:  director.Status{Schema: "lvsd.status/1", RouterID: "relay1", Instances: []director.InstanceStatus{{Name: "mail", State: "master"}}},
		orders: filepath.Join(t.TempDir(), "orders"),
	})
	ours, theirs := terminal(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	top := exec.CommandContext(ctx, self)
	top.Args = []string{"lvsd", "top", "--run-dir", directory}
	top.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=")
	top.Stdin, top.Stdout, top.Stderr = theirs, theirs, theirs
	top.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := top.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- top.Wait() }()
	drawn := make(chan struct{})
	go func() {
		var screen strings.Builder
		buffer := make([]byte, 4096)
		told := false
		for {
			n, err := ours.Read(buffer)
			if err != nil {
				return // the terminal is closed
			}
			screen.Write(buffer[:n])
			if text := screen.String(); strings.Contains(text, "\x1b[6n") || strings.Contains(text, "\x1b]1") {
				t.Errorf("it asks the terminal: %q", text)
				cancel()
				return
			} else if !told && strings.Contains(text, "relay1") && strings.Contains(text, "mail: MASTER") {
				told = true
				close(drawn)
			}
		}
	}()
	select {
	case <-drawn:
	case err := <-ended:
		t.Fatalf("it ended by itself: %v", err)
	}
	if _, err := ours.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("after q: %v", err)
	}
}
