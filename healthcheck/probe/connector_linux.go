package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Connector carries out many probes of kind TCP at once, as their own Ask does
// but without a goroutine and timers for each: the sockets wait in one epoll
// instance, and whoever began a probe sees to its timeout.
//
// A wake costs more than a connection, and a server nearby answers before the
// next connection is begun. So the sockets wait only for what is not over when
// Settle is called, after some have been begun.
//
// Begin and Settle are for one goroutine, the other methods for any.
type Connector struct {
	epoll int
	// poller is the epoll instance as a file, which the runtime polls: no thread
	// waits in it.
	poller *os.File
	ended  func(owner any, r Result)
	events [64]unix.EpollEvent // of Run

	// fresh are begun and not settled, polls what Settle asks of them.
	fresh []Connection
	polls []unix.PollFd

	mu      sync.Mutex
	flights map[Connection]flight
	serial  uint32
}

// Connection is one probe of a Connector, distinct from those before it. The
// zero Connection is none.
type Connection struct {
	socket int32
	serial uint32
}

// flight is what a Connector knows of a probe that is not over.
type flight struct {
	at     time.Time
	target netip.AddrPort
	route  Route
	owner  any
}

// NewConnector returns a Connector without connections. Run and Settle tell
// ended of each probe that is over, with its owner.
func NewConnector(ended func(owner any, r Result)) (*Connector, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll instance: %w", err)
	}
	// Not blocking is what makes a file one that the runtime polls.
	if err := unix.SetNonblock(epoll, true); err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("make epoll instance non-blocking: %w", err)
	}
	return &Connector{
		epoll:   epoll,
		poller:  os.NewFile(uintptr(epoll), "epoll"),
		ended:   ended,
		flights: map[Connection]flight{},
	}, nil
}

// OnlyConnects reports whether r is a probe for a Connector. A source port of its
// own is not: probes then wait for each other. Neither is a zone, nor Toward,
// which must be looked up.
func (r Request) OnlyConnects() bool {
	return r.Kind == TCP{} && r.Route.Source.Port() == 0 && r.Target.Addr().Zone() == "" && !r.Route.Toward.IsValid()
}

// Begin begins the probe r. If it is over at once, it returns the result, and
// the owner is not told.
func (c *Connector) Begin(r Request, owner any) (begun Connection, result Result, over bool) {
	f := flight{at: time.Now(), target: r.Target, route: r.Route, owner: owner}
	socket, err := connecting(r)
	if err != nil {
		return Connection{}, f.failed(err), true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serial++
	begun = Connection{int32(socket), c.serial}
	c.flights[begun] = f
	c.fresh = append(c.fresh, begun)
	return begun, Result{}, false
}

// Settle ends the probes begun since it was last called that are over, and has
// Run wait for the others.
func (c *Connector) Settle() {
	for _, begun := range c.fresh {
		c.polls = append(c.polls, unix.PollFd{Fd: begun.socket, Events: unix.POLLOUT})
	}
	// An error leaves all to Run.
	_, _ = unix.Poll(c.polls, 0)
	now := time.Now()
	for i, begun := range c.fresh {
		if events := c.polls[i].Revents; events != 0 {
			c.end(begun, uint32(events), now)
		} else if err := c.watch(begun); err != nil {
			c.fail(begun, err)
		}
	}
	c.fresh, c.polls = c.fresh[:0], c.polls[:0]
}

// connecting returns a socket that connects as r says and closes by reset,
// which keeps a director with thousands of checks from collecting TIME_WAIT
// sockets.
func connecting(r Request) (socket int, err error) {
	domain, to := unix.AF_INET6, r.Target.Addr().Unmap()
	if to.Is4() {
		domain = unix.AF_INET
	}
	address, err := sockaddr(netip.AddrPortFrom(to, r.Target.Port()))
	if err != nil {
		return -1, err
	}
	socket, err = unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	err = unix.SetsockoptLinger(socket, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err == nil {
		err = r.Route.prepare(socket, to)
	}
	if err == nil {
		err = unix.Connect(socket, address)
	}
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		unix.Close(socket)
		return -1, err
	}
	return socket, nil
}

// watch has Run wait for begun, unless that is over.
func (c *Connector) watch(begun Connection) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.flights[begun]; !ok {
		return nil
	}
	return unix.EpollCtl(c.epoll, unix.EPOLL_CTL_ADD, int(begun.socket), &unix.EpollEvent{
		Events: unix.EPOLLOUT, Fd: begun.socket, Pad: int32(begun.serial),
	})
}

// end ends the probe, to whose socket something happened, if it is not over.
func (c *Connector) end(begun Connection, events uint32, now time.Time) {
	if f, ok := c.take(begun); ok {
		r := f.result(begun, events, now)
		unix.Close(int(begun.socket))
		c.ended(f.owner, r)
	}
}

// fail ends the probe, for which this host lacks something.
func (c *Connector) fail(begun Connection, err error) {
	if f, ok := c.take(begun); ok {
		unix.Close(int(begun.socket))
		c.ended(f.owner, f.failed(err))
	}
}

// Expire ends the probe, whose timeout has passed. What the server said until
// now still counts. It returns false if the probe was over already.
func (c *Connector) Expire(begun Connection) (Result, bool) {
	f, ok := c.take(begun)
	if !ok {
		return Result{}, false
	}
	defer unix.Close(int(begun.socket))
	poll := []unix.PollFd{{Fd: begun.socket, Events: unix.POLLOUT}}
	if n, err := unix.Poll(poll, 0); n > 0 && err == nil {
		return f.result(begun, uint32(poll[0].Revents), time.Now()), true
	}
	return f.failed(context.DeadlineExceeded), true
}

// Abandon ends the probe without a result. It returns false if the probe was
// over already.
func (c *Connector) Abandon(begun Connection) bool {
	_, ok := c.take(begun)
	if ok {
		unix.Close(int(begun.socket))
	}
	return ok
}

// take takes the probe from all others that would end it.
func (c *Connector) take(begun Connection) (flight, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, ok := c.flights[begun]
	delete(c.flights, begun)
	return f, ok
}

// Run ends the probes to whom something happens, until Close.
func (c *Connector) Run() {
	poller, err := c.poller.SyscallConn()
	if err != nil {
		return // closed
	}
	// The error is that of Close.
	_ = poller.Read(func(uintptr) bool {
		for c.harvest() == len(c.events) {
		}
		return false
	})
}

// harvest ends the probes to whom something happened, and returns how many
// there were.
func (c *Connector) harvest() int {
	n, err := unix.EpollWait(c.epoll, c.events[:], 0)
	if err != nil {
		return 0 // there is nothing that could fail
	}
	now := time.Now()
	for _, e := range c.events[:n] {
		c.end(Connection{e.Fd, uint32(e.Pad)}, e.Events, now)
	}
	return n
}

// Close abandons the probes that are not over and ends Run. No other method may
// be called after it.
func (c *Connector) Close() {
	c.mu.Lock()
	for begun := range c.flights {
		unix.Close(int(begun.socket))
	}
	clear(c.flights)
	c.mu.Unlock()
	c.poller.Close()
}

// minEphemeral is the lowest port that a kernel may choose for this end.
const minEphemeral = 1024

// result is that of a socket with the events.
func (f *flight) result(begun Connection, events uint32, now time.Time) Result {
	if err := f.outcome(int(begun.socket), events); err != nil {
		return f.failed(err)
	}
	r := Result{At: f.at, Duration: now.Sub(f.at), Tries: 1, OK: true, Code: L4OK, Reason: "connected"}
	if f.route != (Route{}) {
		said := &transcript{}
		said.did("connected%v", f.route)
		r.Transcript = said.String()
	}
	return r
}

// outcome is why the socket did not connect, or nil.
func (f *flight) outcome(socket int, events uint32) error {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		errno, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_ERROR)
		if err != nil {
			return err
		}
		// Only a connection that was made can be reset, which is EPIPE if the
		// server had closed it before; one that was not is refused.
		if e := unix.Errno(errno); e != 0 && e != unix.ECONNRESET && e != unix.EPIPE {
			return e
		}
	}
	if toItself(socket, f.target) {
		return unix.ECONNREFUSED
	}
	return nil
}

// toItself reports whether the kernel chose the target, at which nobody
// listens, for this end: then SYN met SYN, and nobody was asked.
func toItself(socket int, target netip.AddrPort) bool {
	if target.Port() < minEphemeral {
		return false
	}
	here, err := syscall.Getsockname(socket) // unix's makes a system call more
	if err != nil {
		return false
	}
	to := target.Addr().Unmap()
	switch here := here.(type) {
	case *syscall.SockaddrInet4:
		return here.Port == int(target.Port()) && to == netip.AddrFrom4(here.Addr)
	case *syscall.SockaddrInet6:
		return here.Port == int(target.Port()) && to == netip.AddrFrom16(here.Addr)
	}
	return false
}

// failed is the result of a probe that failed now.
func (f *flight) failed(err error) Result {
	var route *failure
	if !errors.As(err, &route) {
		// With its address the error is as that of package net: see localFault.
		err = connectFailed(&net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(f.target), Err: err})
	}
	code, reason := outcome(context.Background(), answer{}, err)
	return Result{At: f.at, Duration: time.Since(f.at), Tries: 1, Code: code, Reason: sanitise(reason)}
}
