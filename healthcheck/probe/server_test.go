package probe

import (
	"bufio"
	"net"
	"strings"
	"testing"
)

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
