package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// journald is a socket that takes entries as the journal's does.
func journald(t *testing.T) (conn *net.UnixConn, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, path
}

// receive takes one entry, from the datagram or the file that comes with it.
func receive(t *testing.T, conn *net.UnixConn) map[string]string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	data, rights := make([]byte, 1<<20), make([]byte, 256)
	n, m, _, _, err := conn.ReadMsgUnix(data, rights)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:n]
	if m > 0 {
		messages, err := unix.ParseSocketControlMessage(rights[:m])
		if err != nil {
			t.Fatal(err)
		}
		fds, err := unix.ParseUnixRights(&messages[0])
		if err != nil {
			t.Fatal(err)
		}
		file := os.NewFile(uintptr(fds[0]), "entry")
		defer func() { _ = file.Close() }()
		if seals, err := unix.FcntlInt(file.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_WRITE == 0 {
			t.Errorf("the file is not sealed: %#x, %v", seals, err)
		}
		if data, err = io.ReadAll(io.NewSectionReader(file, 0, 1<<30)); err != nil {
			t.Fatal(err)
		}
	}
	return parseEntry(t, data)
}

func parseEntry(t *testing.T, data []byte) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			t.Fatalf("no end of line in %q", data)
		}
		name, value, short := strings.Cut(string(line), "=")
		if !short {
			length := binary.LittleEndian.Uint64(rest)
			value, rest = string(rest[8:8+length]), rest[8+length+1:]
		}
		if _, twice := fields[name]; twice {
			t.Errorf("field %s is there twice", name)
		}
		fields[name], data = value, rest
	}
	return fields
}

func TestJournalFields(t *testing.T) {
	conn, path := journald(t)
	j, err := dialJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(&journalHandler{w: j, level: slog.LevelInfo}).With("instance", "relay")
	log.Debug("not this")
	log.Warn("server down", "service", "smtp", "server", "192.0.2.11:25", "code", "L7RSP", "reason", "451 \"later\"\nPRIORITY=0",
		slog.Group("took", "all", 2*time.Second))
	want := map[string]string{
		"MESSAGE": `server down instance=relay service=smtp server=192.0.2.11:25 code=L7RSP ` +
			`reason="451 \"later\"\nPRIORITY=0" took.all=2s`,
		"PRIORITY": "4", "SYSLOG_IDENTIFIER": "lvsd", "LVSD_INSTANCE": "relay", "LVSD_SERVICE": "smtp",
		"LVSD_SERVER": "192.0.2.11:25", "LVSD_CODE": "L7RSP", "LVSD_REASON": "451 \"later\"\nPRIORITY=0", "LVSD_TOOK_ALL": "2s",
	}
	if diff := cmp.Diff(want, receive(t, conn)); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	long := strings.Repeat("x", 1<<20)
	log.Error("long", "output", long)
	if got := receive(t, conn); got["LVSD_OUTPUT"] != long || got["PRIORITY"] != "3" {
		t.Errorf("a long entry has %d bytes of output", len(got["LVSD_OUTPUT"]))
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestMarkedHandler: each line has its own mark.
func TestMarkedHandler(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(newMarkedHandler(&b, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: withoutTime}))
	log.With("instance", "relay").WithGroup("g").Warn("hm", "a", 1)
	log.Error("oh")
	log.Debug("not this")
	log.Info("well")
	want := "<4>level=WARN msg=hm instance=relay g.a=1\n<3>level=ERROR msg=oh\n<6>level=INFO msg=well\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLogFormats: which one is used, and what is told of dropped lines.
func TestLogFormats(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, stream, format, want string }{
		{"text to a file", "", logAuto, "time="},
		{"another one's journal", "1:2", logAuto, "time="},
		{"JSON in a journal", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), logJSON, `{"level":"INFO"`},
		{"text in a journal", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino), logText, "level=INFO"},
	} {
		t.Setenv("JOURNAL_STREAM", test.stream)
		if err := file.Truncate(0); err != nil {
			t.Fatal(err)
		}
		log, done, err := openLog(file, test.format, slog.LevelInfo)
		if err != nil {
			t.Fatal(err)
		}
		log.Info("hello")
		done()
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimLeft(string(text), "\x00"); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %q, want %q first", test.name, got, test.want)
		}
	}
	if _, _, err := openLog(file, "xml", slog.LevelInfo); err == nil || !strings.Contains(err.Error(), `"xml"`) {
		t.Errorf("error %v", err)
	}
}

// TestLogToJournal: by journald's protocol where it answers, else by marks.
func TestLogToJournal(t *testing.T) {
	conn, path := journald(t)
	log, done, err := logTo(io.Discard, logJournald, slog.LevelInfo, path)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello", "vrid", 11)
	done()
	if got := receive(t, conn); got["MESSAGE"] != "hello vrid=11" || got["LVSD_VRID"] != "11" {
		t.Errorf("got %v", got)
	}
	var b bytes.Buffer
	log, done, err = logTo(&b, logJournald, slog.LevelInfo, path+".gone")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("hello")
	done()
	if !strings.HasPrefix(b.String(), "<6>") {
		t.Errorf("got %q", b.String())
	}
}
