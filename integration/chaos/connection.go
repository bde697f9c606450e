package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// A connection is a client's. It is made inside the host without holding up the
// host's thread.
type connection struct {
	file   *os.File
	reader *bufio.Reader
	port   uint16
}

// connect begins a connection and waits until it is established.
func connect(h *lab.Host, to netip.AddrPort, deadline time.Time) (*connection, error) {
	fd := -1
	err := h.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
		if errors.Is(err, unix.EINPROGRESS) {
			err = nil
		}
		return err
	})
	if err != nil {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
		return nil, fmt.Errorf("connect: %w", err)
	}
	c := &connection{file: os.NewFile(uintptr(fd), to.String())}
	c.reader = bufio.NewReader(c.file)
	if err := c.established(deadline); err != nil {
		c.close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	return c, nil
}

func (c *connection) established(deadline time.Time) error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	if err := c.file.SetDeadline(deadline); err != nil {
		return err
	}
	var why error
	err = raw.Write(func(fd uintptr) bool {
		var number int
		if number, why = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); why != nil {
			return true
		}
		if number != 0 {
			why = unix.Errno(number)
			return true
		}
		if _, err := unix.Getpeername(int(fd)); err != nil {
			return false
		}
		if local, err := unix.Getsockname(int(fd)); err == nil {
			if v4, ok := local.(*unix.SockaddrInet4); ok {
				c.port = uint16(v4.Port)
			}
		}
		return true
	})
	return errors.Join(err, why)
}

// exchange sends a line and waits for one.
func (c *connection) exchange(deadline time.Time) error {
	if err := c.file.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := c.file.WriteString("hello\n"); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if _, err := c.reader.ReadString('\n'); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

func (c *connection) close() { _ = c.file.Close() }
