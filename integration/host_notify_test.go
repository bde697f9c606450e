package integration

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestNotify: one node that tells its hooks of every role and systemd of its
// life.
func TestNotify(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	s := newSegment(t)
	n := s.addNode("alone", "10.99.0.1")
	systemd := listenNotify(t, filepath.Join(s.lab.Dir("alone"), "notify"))
	n.env = []string{"NOTIFY_SOCKET=" + systemd.path}
	record := newRecord(t, s.lab.Dir("alone"))
	n.configure(virtualRouter{
		Version: 3, VRID: 20, Priority: 90, Interval: 200 * time.Millisecond, Keys: record.keys(),
	})

	s.stage("systemd is told of the start", func(*testing.T) {
		n.start()
		s.lab.WaitFor("READY", func() error { return systemd.received("READY=1") })
	})
	s.stage("hooks run on the way to MASTER", func(*testing.T) {
		record.wait(s.lab, record.event("BACKUP", "STOP", "started"),
			record.event("MASTER", "BACKUP", "no advert from a master"))
	})
	s.stage("systemd is told of a reload", func(*testing.T) {
		if reload := n.hangUp(); !reload.OK {
			s.Fatalf("reload: %s", reload.Error)
		}
		s.lab.WaitFor("RELOADING and READY", func() error {
			return systemd.received("READY=1", "RELOADING=1 MONOTONIC_USEC=", "READY=1")
		})
	})
	s.stage("hooks run on the loss of the link and after it", func(*testing.T) {
		n.SetCable(false)
		record.wait(s.lab, record.event("FAULT", "MASTER", "fault: "))
		n.SetCable(true)
		record.wait(s.lab, record.event("BACKUP", "FAULT", "fault cleared"),
			record.event("MASTER", "BACKUP", "no advert from a master"))
	})
	s.stage("hooks run on the stop", func(*testing.T) {
		n.stop()
		record.wait(s.lab, record.event("STOP", "MASTER", "stopped"))
	})
}

// record is what a hook has written down of each of its runs.
type record struct {
	script, file string
	// seen counts the lines that were waited for.
	seen int
}

// newRecord makes a script that adds a line for each run to a file: its
// arguments, and what of its environment is lvsd's doing or must not be there.
func newRecord(t *testing.T, dir string) *record {
	t.Helper()
	r := &record{script: filepath.Join(dir, "hook"), file: filepath.Join(dir, "record")}
	text := "#!/bin/sh\necho \"$* | $(env | grep -E '^(LVSD|MAILTO|NOTIFY)' | sort | tr '\\n' ';')\" >>" + r.file + "\n"
	if err := os.WriteFile(r.script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return r
}

// keys are the configuration: a command for each role and one for all.
func (r *record) keys() string {
	var b strings.Builder
	b.WriteString("[vrrp.notify]\nenvironment = { MAILTO = \"root\" }\n")
	for _, role := range []string{"master", "backup", "fault", "stop", "any"} {
		fmt.Fprintf(&b, "%s = [%q, \"to\", \"%s it is\"]\n", role, r.script, role)
	}
	b.WriteString("[global]\nrouter_id = \"alone again\"\n")
	return b.String()
}

// event is the two lines that a change leaves. The reason may go on.
func (*record) event(state, previous, reason string) []string {
	environment := "LVSD_INSTANCE=VI_1;LVSD_INTERFACE=" + lab.LinkName + ";LVSD_PREVIOUS_STATE=" + previous +
		";LVSD_PRIORITY=90;LVSD_REASON=" + reason + ";LVSD_ROUTER_ID=alone again;LVSD_STATE=" + state +
		";LVSD_VIPS=" + hostVIP + ";LVSD_VRID=20;MAILTO=root;"
	return []string{
		"to " + strings.ToLower(state) + " it is | " + environment,
		"to any it is INSTANCE VI_1 " + state + " 90 | " + environment,
	}
}

// wait waits until exactly these events have been added to the record.
func (r *record) wait(l *lab.Lab, events ...[]string) {
	want := slices.Concat(events...)
	l.WaitFor("the hooks", func() error {
		text, err := os.ReadFile(r.file)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")[r.seen:]
		for n := range lines {
			lines[n] = detail.ReplaceAllString(lines[n], "$1;")
		}
		if diff := cmp.Diff(want, lines); diff != "" {
			return fmt.Errorf("-want +got:\n%s", diff)
		}
		return nil
	})
	r.seen += len(want)
}

// detail is the system's part of a reason.
var detail = regexp.MustCompile(`(LVSD_REASON=fault: )[^;]*;`)

// notifySocket is systemd's end of sd_notify.
type notifySocket struct {
	path string

	mu       sync.Mutex
	messages []string
}

func listenNotify(t *testing.T, path string) *notifySocket {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	s := &notifySocket{path: path}
	var reading sync.WaitGroup
	t.Cleanup(func() {
		_ = conn.Close()
		reading.Wait()
	})
	reading.Go(func() {
		for b := make([]byte, 4096); ; {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			s.mu.Lock()
			s.messages = append(s.messages, strings.ReplaceAll(string(b[:n]), "\n", " "))
			s.mu.Unlock()
		}
	})
	return s
}

// received is an error unless exactly these messages came, by their beginnings.
func (s *notifySocket) received(want ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.EqualFunc(s.messages, want, strings.HasPrefix) {
		return fmt.Errorf("received %q, want %q", s.messages, want)
	}
	return nil
}
