package alert

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/director"
)

func TestFIFOLines(t *testing.T) {
	smtp := []string{"tcp 192.0.2.100:25", "tcp [2001:db8::100]:25"}
	for _, test := range []struct {
		event director.Event
		want  string
	}{
		{director.Event{Kind: director.EventInstance, Instance: "relay", To: "master", Priority: 150}, "INSTANCE \"relay\" MASTER 150\n"},
		{director.Event{Kind: director.EventInstance, Instance: "a\"b\n", To: "initialize", Priority: 1}, "INSTANCE \"ab\" STOP 1\n"},
		{director.Event{Kind: director.EventGroup, Group: "all", To: "fault"}, "GROUP \"all\" FAULT 0\n"},
		{
			director.Event{Kind: director.EventQuorumDown, Service: "smtp", Addresses: smtp, To: "down"},
			"VS [192.0.2.100]:tcp:25 DOWN\nVS [2001:db8::100]:tcp:25 DOWN\n",
		},
		{director.Event{Kind: director.EventQuorumUp, Addresses: []string{"fwmark 7"}, To: "up"}, "VS FWM 7 UP\n"},
		{
			director.Event{Kind: director.EventServerDown, Server: "10.0.0.1:53", Addresses: []string{"udp 192.0.2.100:53"}, To: "down"},
			"RS [10.0.0.1]:udp:53 [192.0.2.100]:udp:53 DOWN\n",
		},
		{director.Event{Kind: director.EventTracker, To: "down"}, ""},
	} {
		if diff := cmp.Diff(test.want, strings.Join(fifoLines(test.event), "")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.event.Kind, diff)
		}
	}
}

func master(priority int) director.Event {
	return director.Event{Kind: director.EventInstance, Instance: "relay", To: "master", Priority: priority}
}

// TestFIFOReaders come, go and get stuck: nothing waits for them.
func TestFIFOReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	var j journal
	f := newFIFO(path, j.log())
	defer f.close()
	if info, err := os.Stat(path); err != nil || info.Mode() != os.ModeNamedPipe|0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	f.tell(master(1)) // nobody reads
	for n := range 2 {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		reader := os.NewFile(uintptr(fd), path)
		f.tell(master(100 + n))
		if err := reader.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(reader).ReadString('\n'); err != nil || line != fifoLines(master(100 + n))[0] {
			t.Errorf("read %q, %v", line, err)
		}
		_ = reader.Close()
		f.tell(master(2))
	}
	stuck, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(stuck) }()
	for range 10_000 {
		f.tell(master(3))
	}
	if f.lost == 0 {
		t.Error("a pipe that nobody empties took all")
	}
	if n := strings.Count(j.String(), "read again"); n != 3 {
		t.Errorf("%d lines of lost ones, want 3:\n%s", n, j.String())
	}
}

// TestFIFOIsNoOrdinaryFile: lines do not fill a disk, and the complaint comes once.
func TestFIFOIsNoOrdinaryFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var j journal
	f := newFIFO(path, j.log())
	f.tell(master(1))
	f.tell(master(1))
	if content, _ := os.ReadFile(path); len(content) > 0 || strings.Count(j.String(), "no named pipe") != 1 {
		t.Errorf("wrote %q\n%s", content, j.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.tell(master(1))
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != os.ModeNamedPipe {
		t.Errorf("not made again: %v", err)
	}
}
