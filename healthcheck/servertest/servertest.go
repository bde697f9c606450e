// Package servertest is servers on loopback for tests of probes and of what runs
// them: some that behave as they are told, and some that no probe should wait
// for.
package servertest

import (
	"net"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Serve answers each connection to a listener on loopback with handle. When the
// test ends it waits for each handle to return, as it will when the client has
// closed.
func Serve(t testing.TB, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	listener := listen(t)
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
	return AddrPort(listener.Addr())
}

// Refusing returns an address on which nobody listens.
func Refusing(t testing.TB) netip.AddrPort {
	t.Helper()
	listener := listen(t)
	defer listener.Close()
	return AddrPort(listener.Addr())
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// AddrPort is the address of a listener or connection of TCP.
func AddrPort(a net.Addr) netip.AddrPort { return a.(*net.TCPAddr).AddrPort() }

// Full returns an address at which the kernel answers no more connections, and
// refuses none.
func Full(t testing.TB) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	target := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
	conn, err := net.Dial("tcp", target.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return target
}

// Silent reads and says nothing until the client closes.
func Silent(conn net.Conn) {
	buffer := make([]byte, 1024)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// Flood writes chunk until the client closes.
func Flood(chunk string) func(net.Conn) {
	return func(conn net.Conn) {
		for {
			if _, err := conn.Write([]byte(chunk)); err != nil {
				return
			}
		}
	}
}
