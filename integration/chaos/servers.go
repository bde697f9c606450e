package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// A manner is how a server treats whoever connects.
type manner int

const (
	// answers is how it should be: each line with the host's name, and a request of
	// HTTP with a page.
	answers manner = iota
	// silent takes connections and lines, and says nothing.
	silent
	// resets ends each connection with RST.
	resets
	// drips answers a line with a byte now and then, without end.
	drips
)

// dripInterval is between two bytes.
const dripInterval = 200 * time.Millisecond

// page is what a check is answered.
const page = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nOK\n"

// A server is a program on a port of all addresses of a host. A connection may last
// as long as it likes.
type server struct {
	host    *lab.Host
	port    int
	serving sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it does not run
	manner   manner
	open     map[net.Conn]bool
}

// serve starts one, which runs until the site ends.
func serve(t lab.TB, h *lab.Host, port int) *server {
	t.Helper()
	s := &server{host: h, port: port, open: map[net.Conn]bool{}}
	if err := s.start(); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(s.stop)
	return s
}

// start lets it run after a stop.
func (s *server) start() error {
	var listener net.Listener
	err := s.host.Do(func() (err error) {
		listener, err = net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", s.port))
		return err
	})
	if err != nil {
		return fmt.Errorf("server %s: %w", s.host.Name, err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	s.serving.Go(func() { s.accept(listener) })
	return nil
}

// stop ends it with all its connections, as a program that is killed.
func (s *server) stop() {
	s.mu.Lock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.listener = nil
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// behave has it treat new connections, and what comes on old ones, in that manner.
func (s *server) behave(m manner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.manner = m
}

func (s *server) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		if !s.enter(conn) {
			_ = conn.Close()
			return
		}
		s.serving.Go(func() {
			defer s.leave(conn)
			s.talk(conn)
		})
	}
}

// talk is one connection.
func (s *server) talk(conn net.Conn) {
	if s.how() == resets {
		reset(conn)
		return
	}
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		switch s.how() {
		case silent:
			continue
		case resets:
			reset(conn)
			return
		case drips:
			s.drip(conn)
			return
		case answers:
		}
		if strings.HasPrefix(lines.Text(), "GET ") {
			_, _ = io.WriteString(conn, page)
			return
		}
		if _, err := fmt.Fprintln(conn, s.host.Name); err != nil {
			return
		}
	}
}

// drip answers with a header that does not end, until the server behaves.
func (s *server) drip(w io.Writer) {
	pace := time.NewTicker(dripInterval)
	defer pace.Stop()
	for next := "HTTP/1.1 200 OK\r\nX-Drip: "; s.how() == drips; next = "x" {
		if _, err := io.WriteString(w, next); err != nil {
			return
		}
		<-pace.C
	}
}

// reset ends a connection with RST.
func reset(conn net.Conn) {
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
}

func (s *server) how() manner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.manner
}

func (s *server) enter(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.open[conn] = true
	}
	return s.listener != nil
}

func (s *server) leave(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, conn)
}
