package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Networks that an echo server can be asked over.
const (
	TCP  = "tcp"
	UDP  = "udp"
	SCTP = "sctp"
)

// An Answer is what an echo server says of a request.
type Answer struct {
	// Server is the name of the host, Bytes the length of the request.
	Server string
	Bytes  int
	// Local and Peer are the ends of the connection as the server sees them.
	Local, Peer netip.AddrPort
}

// maxDatagram is the longest request over UDP that is answered.
const maxDatagram = 64 << 10

// Echo serves at the address until the test ends. The host need not have the
// address yet. Over TCP and SCTP a request is a line with its length and then
// so many bytes; each connection may have several. A datagram is a request.
func (h *Host) Echo(network string, address netip.AddrPort) {
	h.lab.t.Helper()
	var serving sync.WaitGroup
	var stop io.Closer
	err := h.Do(func() error {
		if network == UDP {
			conn, err := listenConfig.ListenPacket(context.Background(), network, address.String())
			if err == nil {
				stop = conn
				serving.Go(func() { h.answerDatagrams(conn) })
			}
			return err
		}
		listener, err := listen(network, address)
		if err == nil {
			stop = listener
			serving.Go(func() { h.accept(listener, address, &serving) })
		}
		return err
	})
	if err != nil {
		h.lab.t.Fatalf("host %s: echo %s %s: %v", h.Name, network, address, err)
	}
	h.lab.t.Cleanup(func() {
		_ = stop.Close()
		serving.Wait()
	})
}

func (h *Host) answerDatagrams(conn net.PacketConn) {
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(h.answer(n, conn.LocalAddr(), from), from)
	}
}

// accept serves every connection, each at most for a minute.
func (h *Host) accept(listener net.Listener, address netip.AddrPort, serving *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		serving.Go(func() {
			defer conn.Close()
			end := context.AfterFunc(h.lab.t.Context(), func() { _ = conn.Close() })
			defer end()
			_ = conn.SetDeadline(time.Now().Add(h.lab.Scaled(commandDeadline)))
			h.answerRequests(conn)
		})
	}
}

func (h *Host) answerRequests(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		var length int
		if _, err := fmt.Fscanln(in, &length); err != nil {
			return
		}
		n, err := io.CopyN(io.Discard, in, int64(length))
		if err != nil {
			return
		}
		if _, err := conn.Write(h.answer(int(n), conn.LocalAddr(), conn.RemoteAddr())); err != nil {
			return
		}
	}
}

func (h *Host) answer(bytes int, local, peer net.Addr) []byte {
	end := func(a net.Addr) netip.AddrPort {
		end, _ := netip.ParseAddrPort(a.String())
		return netip.AddrPortFrom(end.Addr().Unmap(), end.Port())
	}
	line, _ := json.Marshal(Answer{Server: h.Name, Bytes: bytes, Local: end(local), Peer: end(peer)})
	return append(line, '\n')
}

// Dial connects to an echo server from the host's own address.
func (h *Host) Dial(network string, source netip.Addr, target netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	var conn net.Conn
	err := h.Do(func() (err error) {
		if network == SCTP {
			conn, err = dialSCTP(source, target, timeout)
			return err
		}
		dialer := net.Dialer{Timeout: timeout}
		local := netip.AddrPortFrom(source, 0)
		if network == UDP {
			dialer.LocalAddr = net.UDPAddrFromAddrPort(local)
		} else {
			dialer.LocalAddr = net.TCPAddrFromAddrPort(local)
		}
		conn, err = dialer.Dial(network, target.String())
		return err
	})
	return conn, err
}

// Ask sends a request of so many bytes on a connection of Dial and returns the
// answer. A datagram is sent once.
func Ask(conn net.Conn, bytes int, timeout time.Duration) (Answer, error) {
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return Answer{}, err
	}
	request := strings.Repeat("x", bytes)
	if _, datagrams := conn.(*net.UDPConn); !datagrams {
		request = fmt.Sprintf("%d\n%s", bytes, request)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return Answer{}, err
	}
	return readAnswer(conn)
}

func readAnswer(conn net.Conn) (Answer, error) {
	const longest = 512
	buffer := make([]byte, 0, longest)
	for !bytes.HasSuffix(buffer, []byte("\n")) {
		n, err := conn.Read(buffer[len(buffer):longest])
		if err != nil {
			return Answer{}, err
		}
		if buffer = buffer[:len(buffer)+n]; len(buffer) == longest {
			return Answer{}, errors.New("the answer is too long")
		}
	}
	var a Answer
	err := json.Unmarshal(buffer, &a)
	return a, err
}

// listenConfig lets a server listen at an address that is not there yet.
var listenConfig = net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
	var err error
	return errors.Join(raw.Control(func(fd uintptr) { err = freeBind(int(fd)) }), err)
}}

func freeBind(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_FREEBIND, 1) }

func listen(network string, address netip.AddrPort) (net.Listener, error) {
	if network != SCTP {
		return listenConfig.Listen(context.Background(), network, address.String())
	}
	return listenSCTP(address)
}

// A one-to-one SCTP socket behaves like one of TCP: package net takes it for
// one. It is bound to one address, lest it tells its peer of all.
func sctpSocket(address netip.AddrPort) (int, error) {
	fd, err := unix.Socket(socketFamily(address.Addr()), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return -1, fmt.Errorf("SCTP: %w", err)
	}
	if err := errors.Join(freeBind(fd), unix.Bind(fd, socketAddress(address))); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func listenSCTP(address netip.AddrPort) (net.Listener, error) {
	fd, err := sctpSocket(address)
	if err != nil {
		return nil, err
	}
	const backlog = 16
	if err := unix.Listen(fd, backlog); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), SCTP)
	defer file.Close()
	return net.FileListener(file)
}

func dialSCTP(source netip.Addr, target netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	fd, err := sctpSocket(netip.AddrPortFrom(source, 0))
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), SCTP)
	defer file.Close()
	wait := unix.NsecToTimeval(timeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, socketAddress(target)); err != nil {
		return nil, fmt.Errorf("dial %s %s: %w", SCTP, target, err)
	}
	return net.FileConn(file)
}

func socketFamily(address netip.Addr) int {
	if address.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

func socketAddress(address netip.AddrPort) unix.Sockaddr {
	if address.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: address.Addr().As16(), Port: int(address.Port())}
	}
	return &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}
}
