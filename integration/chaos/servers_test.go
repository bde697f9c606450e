package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestManners has a server behave in each manner, and be killed and started again.
func TestManners(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	l := lab.New(t)
	h := l.Host("s1", "10.99.0.11/24")
	s := serve(t, h, servicePort)
	ask := func(line string) (string, error) {
		conn, err := h.Dial(lab.TCP, h.Address, netip.AddrPortFrom(h.Address, servicePort), l.Scaled(time.Minute))
		if err != nil {
			return "", err
		}
		defer conn.Close()
		patience := l.Scaled(time.Minute)
		if s.how() == silent {
			patience = time.Second / 2
		}
		return answerOf(conn, line, patience)
	}
	want := func(line, want string, wantErr error) {
		t.Helper()
		if got, err := ask(line); !errors.Is(err, wantErr) || !strings.HasPrefix(got, want) {
			t.Errorf("%q is answered %q, %v; want %q, %v", line, got, err, want, wantErr)
		}
	}
	want("hello", "s1\n", nil)
	want("GET / HTTP/1.1", "HTTP/1.1 200 OK\r\n", nil)
	s.behave(silent)
	want("hello", "", os.ErrDeadlineExceeded)
	s.behave(drips)
	want("GET / HTTP/1.1", "HTTP/1.1 200 OK\r\n", nil)
	s.behave(resets)
	want("hello", "", syscall.ECONNRESET)
	s.behave(answers)
	s.stop()
	want("hello", "", syscall.ECONNREFUSED)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	want("hello", "s1\n", nil)
}

// answerOf sends a line and returns the first of the answer, for which it waits so
// long.
func answerOf(conn net.Conn, line string, patience time.Duration) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", asReset(err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return answer, asReset(err)
}

// asReset makes one of the ways in which a reset shows, of which a broken pipe is one.
func asReset(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return syscall.ECONNRESET
	}
	return err
}
