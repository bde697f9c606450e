package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/lvsd/lvsd/healthcheck/servertest"

	"golang.org/x/sys/unix"
)

func TestTCP(t *testing.T) {
	for name, test := range map[string]struct {
		target netip.AddrPort
		code   Code
		reason string
	}{
		"listening":    {servertest.Serve(t, servertest.Silent), L4OK, "connected"},
		"says nothing": {servertest.Serve(t, func(net.Conn) {}), L4OK, "connected"},
		"refused":      {servertest.Refusing(t), L4CON, "connect: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			r := of(TCP{}, test.target).Ask(t.Context())
			expectResult(t, r, test.code, test.reason)
		})
	}
}

// The client closes first, and TIME_WAIT is with whoever does, unless it resets.
func TestTCPLeavesNoTimeWait(t *testing.T) {
	end := make(chan error, 1)
	target := servertest.Serve(t, func(conn net.Conn) {
		_, err := conn.Read(make([]byte, 1))
		end <- err
	})
	expectResult(t, of(TCP{}, target).Ask(t.Context()), L4OK, "connected")
	if err := <-end; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the server sees %v, want a reset", err)
	}
}

// A listener whose queue is full drops connection requests, as a host that is
// switched off does.
func TestTCPWithoutAnswer(t *testing.T) {
	target := servertest.Full(t)
	s := of(TCP{}, target)
	s.Timeout = 50 * time.Millisecond
	r := s.Ask(t.Context())
	expectResult(t, r, L4TOUT, "connect: timed out")
	if r.Duration < s.Timeout {
		t.Errorf("gave up after %v, want %v", r.Duration, s.Timeout)
	}
}

// What this host lacks is not the server's fault.
func TestNoDescriptorsIsNoVerdict(t *testing.T) {
	target := servertest.Serve(t, servertest.Silent)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 0, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	r := of(TCP{}, target).Ask(t.Context())
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	expectResult(t, r, SOCKERR, "connect: too many open files")
	if r.Conclusive() {
		t.Error("conclusive")
	}
	expectResult(t, of(TCP{}, target).Ask(t.Context()), L4OK, "connected")
}

func TestProbeOfNoKind(t *testing.T) {
	expectResult(t, of(nil, anywhere).Ask(t.Context()), SOCKERR, "no kind of check")
}

func TestProbeAbandoned(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := servertest.Serve(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "220-mx\r\n")
		cancel()
		servertest.Silent(conn)
	})
	r := of(mail, target).Ask(ctx)
	expectResult(t, r, SOCKERR, "abandoned: context canceled")
}

// A connection that is bound to a context does not wait for the server.
func TestBoundConnection(t *testing.T) {
	for name, do := range map[string]func(net.Conn) (int, error){
		"read":  func(c net.Conn) (int, error) { return c.Read(make([]byte, 1)) },
		"write": func(c net.Conn) (int, error) { return c.Write([]byte("x")) },
	} {
		t.Run(name, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			ctx, cancel := context.WithCancel(t.Context())
			conn := bind(ctx, client)
			defer conn.Close()
			cancel()
			if _, err := do(conn); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("error %v, want %v", err, os.ErrDeadlineExceeded)
			}
		})
	}
}
