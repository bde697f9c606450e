package probe

import (
	"bufio"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// serve answers each connection to a listener on loopback with handle. When the
// test ends it waits for each handle to return, as it will when the client has
// closed.
func serve(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var servers sync.WaitGroup
	servers.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			servers.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		servers.Wait()
	})
	return addrPort(listener.Addr())
}

func addrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// refusing returns an address on which nobody listens.
func refusing(t *testing.T) netip.AddrPort {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return addrPort(listener.Addr())
}

// script returns a server that plays its part of a dialogue, in which lines
// begin with "S: " or "C: ", and then closes. A client that says something else
// fails the test.
func script(t *testing.T, dialogue string) func(net.Conn) {
	return func(conn net.Conn) {
		client := bufio.NewReader(conn)
		for line := range strings.Lines(dialogue) {
			line = strings.TrimSuffix(line, "\n")
			if text, ok := strings.CutPrefix(line, "S: "); ok {
				if _, err := conn.Write([]byte(text + "\r\n")); err != nil {
					t.Errorf("client does not hear %q: %v", text, err)
					return
				}
				continue
			}
			want := strings.TrimPrefix(line, "C: ") + "\r\n"
			if got, err := client.ReadString('\n'); got != want {
				t.Errorf("client says %q, %v; want %q", got, err, want)
				return
			}
		}
	}
}

// reset closes conn with a reset.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

// silent reads and says nothing until the client closes.
func silent(conn net.Conn) {
	buffer := make([]byte, 1024)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// flood writes chunk until the client closes.
func flood(chunk string) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			if _, err := conn.Write([]byte(chunk)); err != nil {
				return
			}
		}
	}
}

// expectResult fails the test unless r has the code and its reason begins so.
func expectResult(t *testing.T, r Result, code Code, reason string) {
	t.Helper()
	if r.Code != code || !strings.HasPrefix(r.Reason, reason) {
		t.Errorf("got %s %q, want %s %q", r.Code, r.Reason, code, reason)
	}
	if r.OK != code.OK() {
		t.Errorf("%s counts as success: %v", code, r.OK)
	}
	if r.At.IsZero() || r.Duration <= 0 || r.Tries != 1 {
		t.Errorf("at %v for %v in %d tries", r.At, r.Duration, r.Tries)
	}
}
