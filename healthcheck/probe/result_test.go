package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestSanitise(t *testing.T) {
	for in, want := range map[string]string{
		"220 mx ESMTP":           "220 mx ESMTP",
		"  220 mx \r\n":          "220 mx",
		"\x1b[2J\x1b]0;owned\a!": "?[2J?]0;owned?!",
		"a\tb\r\nc\x00d\x7fe":    "a?b??c?d?e",
		"почта":                  "?????",
		"\u202egpj.exe":          "?gpj.exe",
		"\xff\xfe\x80":           "???",
		strings.Repeat("x", 200): strings.Repeat("x", 200),
		strings.Repeat("x", 201): strings.Repeat("x", 197) + "...",
		strings.Repeat("é", 500): strings.Repeat("?", 197) + "...",
	} {
		if got := sanitise(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestFailed(t *testing.T) {
	syscallError := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	dialError := func(to string, errno syscall.Errno) error {
		addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(to))
		return &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: os.NewSyscallError("connect", errno)}
	}
	for _, test := range []struct {
		err    error
		code   Code
		reason string
	}{
		{syscallError(syscall.ECONNREFUSED), L4CON, "connect: connection refused"},
		{syscallError(syscall.EHOSTUNREACH), L4CON, "connect: no route to host"},
		{syscallError(syscall.ETIMEDOUT), L4TOUT, "connect: connection timed out"},
		{os.ErrDeadlineExceeded, L4TOUT, "connect: timed out"},
		{context.DeadlineExceeded, L4TOUT, "connect: timed out"},
		{io.EOF, L4CON, "connect: closed by the server"},
		{fmt.Errorf("body: %w", io.ErrUnexpectedEOF), L4CON, "connect: closed by the server"},
		{errors.New("odd"), L4CON, "connect: odd"},
		{syscallError(syscall.EMFILE), SOCKERR, "connect: too many open files"},
		{syscallError(syscall.ENFILE), SOCKERR, "connect: too many open files in system"},
		{syscallError(syscall.ENOBUFS), SOCKERR, "connect: no buffer space available"},
		{syscallError(syscall.ENOMEM), SOCKERR, "connect: cannot allocate memory"},
		{syscallError(syscall.EADDRNOTAVAIL), SOCKERR, "connect: cannot assign requested address"},
		{syscallError(syscall.ENOSPC), SOCKERR, "connect: no space left on device"},
		{syscallError(syscall.EACCES), SOCKERR, "connect: permission denied"},
		{dialError("192.0.2.1:25", syscall.EACCES), SOCKERR, "connect: permission denied"},
		{dialError("[::ffff:192.0.2.1]:25", syscall.EACCES), SOCKERR, "connect: permission denied"},
		// A router may have said so.
		{dialError("[2001:db8::1]:25", syscall.EACCES), L4CON, "connect: permission denied"},
	} {
		var f *failure
		if !errors.As(connectFailed(test.err), &f) || f.code != test.code || f.reason != test.reason {
			t.Errorf("%v: got %v, want %s %s", test.err, f, test.code, test.reason)
		}
		if r := (Result{Code: f.code}); r.Conclusive() != (test.code != SOCKERR) {
			t.Errorf("%v: conclusive %v", test.err, r.Conclusive())
		}
	}
}
