package integration

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestAlerts: a node tells a real Postfix of what happens to it, and writes into a
// named pipe the lines that keepalived writes of the same.
func TestAlerts(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedPostfix, lab.NeedKeepalived)
	t.Parallel()
	s := newSegment(t)
	mx := s.lab.Host("mx", "10.99.0.25/24")
	postfix := mx.StartPostfix()
	v := virtualRouter{Version: 3, VRID: 21, Priority: 90, Interval: s.interval}
	theirs := s.addKeepalived("10.99.0.2", v).(*keepalived)
	want := readPipe(t, filepath.Join(s.lab.Dir("theirs"), "notify"))
	theirs.added = fmt.Sprintf("global_defs {\n vrrp_notify_fifo %s\n}\n", want.path)
	n := s.addNode("ours", "10.99.0.1")
	got := readPipe(t, filepath.Join(s.lab.Dir("ours"), "notify"))
	v.VRID, v.VIPs = 22, []string{"10.99.0.101"}
	v.Keys = fmt.Sprintf("[alerts]\nfifo = %q\n\n[[alerts.mail]]\nserver = \"10.99.0.25:25\"\ntls = \"none\"\n"+
		"from = \"lvsd@ours.example\"\nto = [\"ops@%s\"]\ndigest = \"1s\"\n", got.path, lab.MailDomain)
	n.configure(v)

	s.stage("both tell of the way to MASTER", func(t *testing.T) {
		theirs.start()
		n.start()
		compare(t, s, want, got, 2)
	})
	s.stage("Postfix has the mail", func(t *testing.T) {
		s.lab.WaitFor("mail", func() error {
			if text := postfix.Mail(); !strings.Contains(text, "VI_1 is MASTER with priority 90") {
				return fmt.Errorf("in the mailbox: %q", text)
			}
			return nil
		})
		for _, part := range []string{"Subject: [lvsd ", "Auto-Submitted: auto-generated", "To: <ops@" + lab.MailDomain + ">"} {
			if !strings.Contains(postfix.Mail(), part) {
				t.Errorf("no %q in\n%s", part, postfix.Mail())
			}
		}
	})
	s.stage("both tell of the end", func(t *testing.T) {
		theirs.stop()
		n.stop()
		compare(t, s, want, got, 3)
	})
}

// pipe is a named pipe and the lines that came by it.
type pipe struct {
	path  string
	mu    sync.Mutex
	lines []string
}

// readPipe makes the pipe and reads it until the end of the test.
func readPipe(t *testing.T, path string) *pipe {
	t.Helper()
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0) // no end of file between writers
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{path: path}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(file); lines.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		_ = file.Close()
		reading.Wait()
	})
	return p
}

func (p *pipe) read() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.lines)
}

// compare waits until so many lines have come by both pipes, and compares them.
func compare(t *testing.T, s *segment, want, got *pipe, count int) {
	t.Helper()
	s.lab.WaitFor(fmt.Sprintf("%d lines", count), func() error {
		if w, g := want.read(), got.read(); len(w) < count || len(g) < count {
			return fmt.Errorf("keepalived: %q, lvsd: %q", w, g)
		}
		return nil
	})
	if diff := cmp.Diff(want.read(), got.read()); diff != "" {
		t.Errorf("lines (-keepalived +lvsd):\n%s", diff)
	}
}
