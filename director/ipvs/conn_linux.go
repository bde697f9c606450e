package ipvs

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// datagramSize is the longest datagram of a listing: the kernel makes them
	// as long as the reader's buffer, up to 32 KiB.
	datagramSize = 32 << 10
	// datagramsAtOnce is how many one system call may fetch. Buffers that are
	// never filled take no memory.
	datagramsAtOnce = 16
	// receiveBuffer is asked of the kernel, which doubles it. It holds more
	// than the answers to maxBatchMessages.
	receiveBuffer = 1 << 20
	sendBuffer    = 256 << 10
	// answerSize is what one error in the receive buffer is counted as, with
	// the kernel's own overhead (truesize; 768 bytes in Linux 6.1).
	answerSize = 1 << 10
	// sendOverhead is what the kernel takes off the send buffer.
	sendOverhead = 1 << 10
)

// conn is a generic netlink socket as socket uses it.
type conn interface {
	// port is the socket's own address, which answers carry.
	port() uint32
	// capacity is how much one send may hold so that no answer is lost.
	capacity() (bytes, messages int)
	send(b []byte) error
	// receive returns the datagrams that are there, and waits until the
	// deadline for the first. They are valid until the next call.
	receive(deadline time.Time) ([][]byte, error)
	close()
}

// kernelConn is a socket of the kernel.
type kernelConn struct {
	fd              int
	id              uint32
	bytes, messages int

	headers   [datagramsAtOnce]messageHeader
	vectors   [datagramsAtOnce]unix.Iovec
	senders   [datagramsAtOnce]unix.RawSockaddrNetlink
	buffers   [datagramsAtOnce][]byte
	datagrams [][]byte
}

// messageHeader is struct mmsghdr (recvmmsg(2)).
type messageHeader struct {
	header unix.Msghdr
	length uint32
}

// dial opens a socket in the network namespace of the calling thread.
func dial() (conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	k := &kernelConn{fd: fd}
	if err := k.prepare(); err != nil {
		k.close()
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return k, nil
}

func (k *kernelConn) prepare() error {
	if err := unix.Bind(k.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	own, err := unix.Getsockname(k.fd)
	if err != nil {
		return fmt.Errorf("own address: %w", err)
	}
	k.id = own.(*unix.SockaddrNetlink).Pid
	// Old kernels repeat the request in its answer. That only takes room.
	_ = unix.SetsockoptInt(k.fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	received, err := k.enlarge(unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, receiveBuffer)
	if err != nil {
		return err
	}
	sent, err := k.enlarge(unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendBuffer)
	if err != nil {
		return err
	}
	k.messages = max(received/answerSize, 1)
	k.bytes = max(sent-sendOverhead, 0)
	memory := make([]byte, datagramsAtOnce*datagramSize)
	for i := range k.headers {
		k.buffers[i] = memory[i*datagramSize : (i+1)*datagramSize]
		k.vectors[i].Base = &k.buffers[i][0]
		k.vectors[i].SetLen(datagramSize)
		h := &k.headers[i].header
		h.Name = (*byte)(unsafe.Pointer(&k.senders[i]))
		h.Iov = &k.vectors[i]
		h.SetIovlen(1)
	}
	return nil
}

// enlarge asks for a larger buffer, where it must within the limit of the
// system, and returns what there is.
func (k *kernelConn) enlarge(force, ask, size int) (int, error) {
	if unix.SetsockoptInt(k.fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(k.fd, unix.SOL_SOCKET, ask, size)
	}
	n, err := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, ask)
	if err != nil {
		return 0, fmt.Errorf("size of a buffer: %w", err)
	}
	return n, nil
}

func (k *kernelConn) port() uint32 { return k.id }

func (k *kernelConn) capacity() (bytes, messages int) { return k.bytes, k.messages }

// send hands requests to the kernel, which has done them when it returns.
func (k *kernelConn) send(b []byte) error {
	for {
		n, err := unix.Write(k.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("send to the kernel: %w", err)
		case n != len(b):
			return fmt.Errorf("send to the kernel: %d bytes of %d taken", n, len(b))
		}
		return nil
	}
}

func (k *kernelConn) receive(deadline time.Time) ([][]byte, error) {
	for {
		n, err := k.receiveNow()
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := k.wait(deadline); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, fmt.Errorf("receive from the kernel: %w", err)
		default:
			return k.received(n)
		}
	}
}

// receiveNow fetches what is there, or fails with EAGAIN.
func (k *kernelConn) receiveNow() (int, error) {
	for i := range k.headers {
		k.headers[i].header.Namelen = unix.SizeofSockaddrNetlink
	}
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(k.fd), uintptr(unsafe.Pointer(&k.headers[0])),
		datagramsAtOnce, unix.MSG_DONTWAIT, 0, 0)
	runtime.KeepAlive(k)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// received are the datagrams of the kernel among the n fetched.
func (k *kernelConn) received(n int) ([][]byte, error) {
	k.datagrams = k.datagrams[:0]
	for i := range n {
		if k.senders[i].Pid != 0 {
			continue // another process may send, the kernel has no port id
		}
		if k.headers[i].header.Flags&unix.MSG_TRUNC != 0 {
			return nil, fmt.Errorf("%w: longer than %d bytes", errMalformed, datagramSize)
		}
		k.datagrams = append(k.datagrams, k.buffers[i][:k.headers[i].length])
	}
	return k.datagrams, nil
}

// wait waits until there is something to receive.
func (k *kernelConn) wait(deadline time.Time) error {
	left := time.Until(deadline)
	if left <= 0 {
		return ErrTimeout
	}
	ready := []unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}
	limit := min((left+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
	if _, err := unix.Poll(ready, int(limit)); err != nil && !errors.Is(err, syscall.EINTR) {
		return fmt.Errorf("wait for the kernel: %w", err)
	}
	return nil
}

func (k *kernelConn) close() { _ = unix.Close(k.fd) }
