package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// TestForward: what listens on a host's own loopback is reached from outside, and
// not after the forwarding has ended.
func TestForward(t *testing.T) {
	Require(t, NeedNetns)
	h := New(t).Host("a", "10.77.0.1/24")
	var inside *net.TCPListener
	err := h.Do(func() (err error) {
		inside, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	patience := time.Now().Add(2 * time.Minute)
	if err := inside.SetDeadline(patience); err != nil {
		t.Fatal(err)
	}
	outside, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- h.Forward(ctx, outside, inside.Addr().(*net.TCPAddr).AddrPort()) }()
	connect := func() (client, server *net.TCPConn) {
		t.Helper()
		client, err := net.DialTCP("tcp", nil, outside.Addr().(*net.TCPAddr))
		if err != nil {
			t.Fatal(err)
		}
		if server, err = inside.AcceptTCP(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close(); server.Close() })
		if err := errors.Join(client.SetDeadline(patience), server.SetDeadline(patience)); err != nil {
			t.Fatal(err)
		}
		return client, server
	}

	// Each side hears all of the other, to its end.
	client, server := connect()
	say(t, client, "question")
	if have, err := io.ReadAll(server); err != nil || string(have) != "question" {
		t.Errorf("inside: %q, error %v", have, err)
	}
	say(t, server, "answer")
	if have, err := io.ReadAll(client); err != nil || string(have) != "answer" {
		t.Errorf("outside: %q, error %v", have, err)
	}

	client, _ = connect()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
	if have, _ := io.ReadAll(client); len(have) > 0 {
		t.Errorf("after the end: %q", have)
	}
	if c, err := net.Dial("tcp", outside.Addr().String()); err == nil {
		c.Close()
		t.Error("after the end a connection is taken")
	}
}

// TestForwardNobodyThere: a connection that is refused inside is closed, and the
// next one is carried.
func TestForwardNobodyThere(t *testing.T) {
	Require(t, NeedNetns)
	h := New(t).Host("a", "10.77.0.1/24")
	outside, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Forward(ctx, outside, netip.MustParseAddrPort("127.0.0.1:9")) }()
	for range 2 {
		c, err := net.Dial("tcp", outside.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if have, _ := io.ReadAll(c); len(have) > 0 {
			t.Errorf("heard %q", have)
		}
		c.Close()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// say sends the text and tells that this is all.
func say(t *testing.T, c *net.TCPConn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}
