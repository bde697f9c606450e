package command

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOutputBeforeTheEnd: what was written is not lost if reading is stopped
// before it was read, while another process holds the pipe.
func TestOutputBeforeTheEnd(t *testing.T) {
	c, err := newCapture()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(c.write.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	holder := os.NewFile(uintptr(fd), "holder")
	defer func() { _ = holder.Close() }()
	if _, err := holder.WriteString("last words"); err != nil {
		t.Fatal(err)
	}
	if err := c.read.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	c.start()
	c.end()
	if got := c.output(); got != "last words" {
		t.Errorf("got %q", got)
	}
}

func TestOutputIsSanitised(t *testing.T) {
	for in, want := range map[string]string{
		" ready\n":               "ready",
		"a\tb\nc":                "a\tb\nc",
		"\x1b[31mred\x07":        "?[31mred?",
		"nul\x00\r\x7f end":      "nul??? end",
		"почта \xff":             "почта ?",
		"a\u202eb\u2028c\u0085d": "a?b?c?d",
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
}
