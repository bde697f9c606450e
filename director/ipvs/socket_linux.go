package ipvs

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dumpAttempts is how often a listing is begun that a change interrupts.
const dumpAttempts = 5

// errInterrupted says that the table changed while the kernel listed it.
var errInterrupted = errors.New("interrupted by a change of the table each time")

// socket makes exchanges with the kernel, one after the other. Each ends within
// the deadline. A failure that may leave answers behind replaces the
// connection; besides, an answer counts only with the sequence number of its
// request.
type socket struct {
	dial     func() (conn, error)
	timeout  time.Duration
	conn     conn // nil until the first request and after a failure
	sequence uint32
	out      []byte // the request, kept for the next
}

// begin starts a new request and opens the connection if there is none.
func (s *socket) begin() error {
	s.out = s.out[:0]
	if s.conn != nil {
		return nil
	}
	conn, err := s.dial()
	if err != nil {
		return err
	}
	s.conn = conn
	return nil
}

func (s *socket) close() {
	if s.conn != nil {
		s.conn.close()
		s.conn = nil
	}
}

// next is the sequence number of the next message.
func (s *socket) next() uint32 {
	s.sequence++
	return s.sequence
}

// request is one message: to which family, what, and its attributes.
type request struct {
	family  uint16
	command uint8
	body    func([]byte) []byte // appends the attributes; nil for none
}

// do sends a request that changes something and waits for the kernel's word on
// it.
func (s *socket) do(r request) error {
	return s.exchange(r, unix.NLM_F_ACK, nil)
}

// get sends a request that has one answer, which is valid during each.
func (s *socket) get(r request, each func(attributes []byte) error) error {
	answers := 0
	err := s.exchange(r, unix.NLM_F_ACK, func(attributes []byte) error {
		answers++
		return each(attributes)
	})
	if err == nil && answers != 1 {
		return fmt.Errorf("%d answers, want one", answers)
	}
	return err
}

// dump sends a request that has any number of answers. When the kernel reports
// that a change interrupted it, it begins again, with reset.
func (s *socket) dump(r request, reset func(), each func(attributes []byte) error) error {
	for range dumpAttempts {
		reset()
		err := s.exchange(r, unix.NLM_F_DUMP, each)
		if !errors.Is(err, errInterrupted) {
			return err
		}
	}
	return errInterrupted
}

// exchange sends one request and hands each answer over, until the kernel's
// last word.
func (s *socket) exchange(r request, flags uint16, each func([]byte) error) error {
	if err := s.begin(); err != nil {
		return err
	}
	sequence := s.next()
	s.out = appendMessage(s.out, r.family, flags, sequence, r.command)
	if r.body != nil {
		s.out = r.body(s.out)
	}
	endMessage(s.out, 0)
	if err := s.conn.send(s.out); err != nil {
		s.close()
		return err
	}
	e := exchange{each: each}
	err := s.collect(sequence, sequence, e.take)
	if err != nil {
		s.close()
		if each == nil {
			err = uncertain(err)
		}
		return err
	}
	if e.interrupted && e.status == nil {
		return errInterrupted
	}
	return e.status
}

// exchange is what the answers to one request have said so far.
type exchange struct {
	each        func([]byte) error
	interrupted bool
	status      error
}

func (e *exchange) take(r reply) (last bool, err error) {
	e.interrupted = e.interrupted || r.flags&unix.NLM_F_DUMP_INTR != 0
	switch r.kind {
	case unix.NLMSG_ERROR, unix.NLMSG_DONE:
		e.status = r.status()
		if errors.Is(e.status, errMalformed) {
			return false, e.status
		}
		return true, nil
	}
	if e.each == nil {
		return false, nil
	}
	attributes, err := r.attributes()
	if err != nil {
		return false, err
	}
	return false, e.each(attributes)
}

// collect hands over the answers to the requests numbered first to last, until
// take has seen the last. Of any other number there is at most a late answer.
// Each answer moves the deadline: a long listing takes its time.
func (s *socket) collect(first, last uint32, take func(reply) (bool, error)) error {
	deadline := time.Now().Add(s.timeout)
	for {
		datagrams, err := s.conn.receive(deadline)
		if err != nil {
			return err
		}
		taken := false
		for _, d := range datagrams {
			done, err := s.read(d, first, last, func(r reply) (bool, error) {
				taken = true
				return take(r)
			})
			if done || err != nil {
				return err
			}
		}
		switch now := time.Now(); {
		case taken:
			deadline = now.Add(s.timeout)
		case !now.Before(deadline):
			return ErrTimeout
		}
	}
}

// read hands over the answers in one datagram.
func (s *socket) read(datagram []byte, first, last uint32, take func(reply) (bool, error)) (done bool, err error) {
	for len(datagram) > 0 && !done {
		var r reply
		if r, datagram, err = nextReply(datagram); err != nil {
			return false, err
		}
		switch {
		case r.kind == unix.NLMSG_OVERRUN:
			return false, syscall.ENOBUFS
		case r.kind == unix.NLMSG_NOOP, r.port != s.conn.port(), r.sequence-first > last-first:
			continue
		}
		if done, err = take(r); err != nil {
			return false, err
		}
	}
	return done, nil
}
