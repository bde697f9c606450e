package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// servers are real servers in this process, each at its own address: they count
// who connects. One goroutine serves all, so that they take little of the time
// that the daemons could have.
type servers struct {
	listening map[netip.AddrPort]int
	// http answers requests; else nobody says anything.
	http bool
	poll int
	done chan struct{}

	mu     sync.Mutex
	closed bool
	err    error // the first
	// count is how many connections came in each slot since began.
	began time.Time
	count []int
	// open are the connections in the order in which they came.
	open []connection
}

type connection struct {
	fd   int
	came time.Time
}

const (
	// slot is how finely connections are counted.
	slot = 100 * time.Millisecond
	// lingering is how long the servers leave the end of a connection to the
	// client. Then they reset what is left of it, because ten thousand connections
	// a second would leave the kernel hundreds of thousands in TIME_WAIT.
	lingering = time.Second
	// answering is the longest wait between two looks for old connections.
	answering = 100 * time.Millisecond
)

// okReply is what every request is answered with.
const okReply = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

// serve starts servers in the network namespace of the caller.
func serve(addresses []netip.AddrPort, http bool) (*servers, error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	s := &servers{listening: map[netip.AddrPort]int{}, http: http, poll: poll, done: make(chan struct{}), began: time.Now()}
	for _, address := range addresses {
		if err := s.listen(address); err != nil {
			s.release()
			return nil, fmt.Errorf("listen on %v: %w", address, err)
		}
	}
	go s.run()
	return s, nil
}

// listen opens the port of a server.
func (s *servers) listen(address netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	s.listening[address] = fd
	if s.http { // a connection comes together with its request
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1); err != nil {
			return err
		}
	}
	// Accepted connections have it from the listener.
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}); err != nil {
		return err
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		return err
	}
	return unix.EpollCtl(s.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// run serves until the servers are closed.
func (s *servers) run() {
	defer close(s.done)
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(s.poll, events, int(answering.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			s.fail(err)
			return
		}
		if !s.answer(events[:max(n, 0)]) {
			return
		}
	}
}

// answer takes one connection from each listener that has any, and ends old ones.
// It returns whether there is more to do.
func (s *servers) answer(events []unix.EpollEvent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	for _, event := range events {
		s.accept(int(event.Fd))
	}
	old := 0
	for old < len(s.open) && time.Since(s.open[old].came) > lingering {
		_ = unix.Close(s.open[old].fd)
		old++
	}
	s.open = s.open[old:]
	return true
}

func (s *servers) accept(listener int) {
	fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	switch {
	case err == nil:
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ECONNABORTED):
		return // it died meanwhile, or the client did
	default:
		s.err = cmpError(s.err, err)
		return
	}
	now := time.Now()
	s.open = append(s.open, connection{fd, now})
	at := int(now.Sub(s.began) / slot)
	if missing := at + 1 - len(s.count); missing > 0 {
		s.count = append(s.count, make([]int, missing)...)
	}
	s.count[at]++
	if s.http {
		var request [4096]byte
		// Whoever asked and went again has no use for an answer.
		_, _ = unix.Read(fd, request[:])
		_, _ = unix.Write(fd, []byte(okReply))
		_ = unix.Shutdown(fd, unix.SHUT_WR)
	}
}

func cmpError(first, next error) error {
	if first != nil {
		return first
	}
	return next
}

func (s *servers) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = cmpError(s.err, err)
}

// slots are the connections that came in each slot of so long a time, from now
// on; it returns when the time is over.
func (s *servers) slots(pause func(time.Duration), watch time.Duration) ([]int, error) {
	first := int(time.Since(s.began)/slot) + 1
	last := first + int(watch/slot)
	pause(time.Until(s.began.Add(time.Duration(last)*slot)) + answering)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.count) < last {
		s.count = append(s.count, make([]int, last-len(s.count))...)
	}
	return slices.Clone(s.count[first:last]), s.err
}

// die closes the port of one server, which refuses connections from then on. It
// returns when it did.
func (s *servers) die(address netip.AddrPort) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd, found := s.listening[address]
	if !found {
		return 0, fmt.Errorf("no server at %v", address)
	}
	delete(s.listening, address)
	at := monotonic()
	return at, unix.Close(fd)
}

// revive opens the port again, in the network namespace of the caller.
func (s *servers) revive(address netip.AddrPort) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listen(address)
}

// close ends all servers.
func (s *servers) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	<-s.done
	s.release()
}

func (s *servers) release() {
	for _, fd := range s.listening {
		_ = unix.Close(fd)
	}
	for _, c := range s.open {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(s.poll)
}
