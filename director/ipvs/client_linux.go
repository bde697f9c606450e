package ipvs

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"
)

// requestTimeout is how long the kernel may be silent. It answers within the
// system call that asks; what a module takes to load is spent there.
const requestTimeout = 10 * time.Second

// Client speaks to the IPVS of one network namespace. It is safe for concurrent
// use; requests are made one after the other. Its errors are *OpError.
//
// When ip_vs is unloaded, requests fail with ErrUnavailable, and each tries to
// load it again; when it has been loaded again, they go on.
type Client struct {
	mu     sync.Mutex
	socket socket
	family uint16 // the number of IPVS's netlink family; 0 is not known
	batch  batch
	names  names
	// scratch holds the destinations of one service while they are read.
	scratch []DestinationEntry
	// checked is where the next Refresh goes on to read completely.
	checked int
}

// Open makes sure that the kernel has IPVS, loading the module if it must and
// can, and that this process may use it. It returns ErrUnavailable or
// ErrPermission where that is not so.
//
// The client belongs to the network namespace of the calling thread, and is to
// be used only from threads of that namespace: after a failure it opens its
// socket anew.
func Open() (*Client, error) {
	c := newClient(dial)
	if err := c.find(); err != nil {
		_ = c.Close()
		return nil, operation{name: opOpen}.failed(err)
	}
	if _, err := c.Info(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func newClient(dial func() (conn, error)) *Client {
	return &Client{socket: socket{dial: dial, timeout: requestTimeout}, names: names{}}
}

// Close closes the client's socket. The kernel keeps its services.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.socket.close()
	return nil
}

// Info reads IPVS's version and the size of its connection table.
func (c *Client) Info() (Info, error) {
	var info Info
	err := c.get(commandGetInfo, func(answer []byte) (err error) {
		info, err = decodeInfo(answer)
		return err
	})
	return info, operation{name: opInfo}.failed(err)
}

// Timeouts reads how long idle connections are kept.
func (c *Client) Timeouts() (Timeouts, error) {
	var t Timeouts
	err := c.get(commandGetTimeouts, func(answer []byte) (err error) {
		t, err = decodeTimeouts(answer)
		return err
	})
	return t, operation{name: opTimeouts}.failed(err)
}

// SetTimeouts sets how long idle connections are kept, in whole seconds; a zero
// leaves that value as it is.
func (c *Client) SetTimeouts(t Timeouts) error {
	err := t.validate()
	if err == nil {
		err = c.do(commandSetTimeouts, func(b []byte) []byte { return appendTimeouts(b, t) })
	}
	return operation{name: opSetTimeouts}.failed(err)
}

// Zero sets the counters of a service and its destinations to zero. It returns
// ErrNotExist if there is no such service.
func (c *Client) Zero(k ServiceKey) error {
	err := k.validate()
	if err == nil {
		err = c.do(commandZero, func(b []byte) []byte { return appendServiceKey(b, k) })
	}
	if err == nil {
		return nil
	}
	return operation{name: opZero, object: k.String()}.failed(err)
}

// ZeroAll sets all counters to zero.
func (c *Client) ZeroAll() error {
	return operation{name: opZero}.failed(c.do(commandZero, nil))
}

// Flush deletes all services, whoever made them.
func (c *Client) Flush() error {
	return operation{name: opFlush}.failed(c.do(commandFlush, nil))
}

// Daemons reads which synchronisation daemons run.
func (c *Client) Daemons() ([]Daemon, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var daemons []Daemon
	err := c.dump(commandGetDaemon, nil, func() { daemons = nil }, func(answer []byte) error {
		d, err := decodeDaemon(answer)
		daemons = append(daemons, d)
		return err
	})
	if err != nil {
		return nil, operation{name: opListDaemons}.failed(err)
	}
	return daemons, nil
}

// StartDaemon starts a synchronisation daemon. It returns ErrExists if one of
// that state runs, and ErrInvalid if there is a destination of another family
// than its service: the daemons cannot tell of those.
func (c *Client) StartDaemon(d Daemon) error {
	err := d.validate()
	if err == nil {
		err = c.do(commandNewDaemon, func(b []byte) []byte { return appendDaemon(b, d) })
	}
	o := operation{name: opStartDaemon, object: d.String()}
	return o.failedBecause(err, d.reason)
}

// StopDaemon stops the daemon of that state; what it has not sent yet is lost.
// It returns ErrNotExist if none runs.
func (c *Client) StopDaemon(s DaemonState) error {
	err := s.validate()
	if err == nil {
		err = c.do(commandDeleteDaemon, func(b []byte) []byte { return appendDaemonState(b, s) })
	}
	o := operation{name: opStopDaemon, object: s.String()}
	return o.failedBecause(err, Daemon{State: s}.reason)
}

func (d Daemon) reason(errno syscall.Errno) error {
	switch errno {
	case syscall.EEXIST:
		return fmt.Errorf("a %v daemon %w", d.State, ErrExists)
	case syscall.ESRCH:
		return fmt.Errorf("a %v daemon %w", d.State, ErrNotExist)
	case syscall.ENODEV:
		return fmt.Errorf("%w: no interface %q in this network namespace", ErrInvalid, d.Interface)
	case syscall.EADDRNOTAVAIL:
		return fmt.Errorf("%w: interface %q has no address of the group's family", ErrInvalid, d.Interface)
	case syscall.EADDRINUSE:
		return errors.New("the port is in use")
	case syscall.EAFNOSUPPORT:
		return fmt.Errorf("%w: the kernel's IPVS has no IPv6", ErrInvalid)
	case syscall.EINVAL:
		return fmt.Errorf("%w: the kernel refuses a value, or a service has a destination of another family, "+
			"which excludes synchronisation", ErrInvalid)
	}
	return nil
}

// do makes one changing request; body appends its attributes.
func (c *Client) do(command uint8, body func([]byte) []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request(func(family uint16) error {
		return c.socket.do(request{family, command, body})
	})
}

// get makes a request that has one answer.
func (c *Client) get(command uint8, each func(answer []byte) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.request(func(family uint16) error {
		return c.socket.get(request{family: family, command: command}, each)
	})
}

// dump makes a request that has any number of answers. The caller holds the
// lock.
func (c *Client) dump(command uint8, body func([]byte) []byte, reset func(), each func(answer []byte) error) error {
	return c.request(func(family uint16) error {
		return c.socket.dump(request{family, command, body}, reset, each)
	})
}
