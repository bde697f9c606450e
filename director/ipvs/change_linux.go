package ipvs

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// maxBatchBytes and maxBatchMessages bound what is sent at once, besides
	// what the connection holds. Longer batches gain nothing, and other users
	// of generic netlink wait for each.
	maxBatchBytes    = 64 << 10
	maxBatchMessages = 512
)

// Change makes the changes in their order and returns the error of each, nil
// for those that were made. One that fails does not stop those that follow.
//
// Many changes go to the kernel at once, and it answers those that fail and the
// last of each batch. A change on which its word is lost fails with
// ErrUncertain; after ErrTimeout the rest is not tried.
func (c *Client) Change(changes []Change) []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := make([]error, len(changes))
	c.change(changes, errs)
	for i, err := range errs {
		if err != nil {
			errs[i] = changes[i].failed(err)
		}
	}
	return errs
}

// change makes the changes, and once more those that went to a family that is
// not IPVS's any more.
func (c *Client) change(changes []Change, errs []error) {
	c.batch.todo = c.batch.todo[:0]
	for i := range changes {
		c.batch.todo = append(c.batch.todo, i)
	}
	if err := c.find(); err != nil {
		c.batch.fail(errs, c.batch.todo, err)
		return
	}
	c.changeSome(changes, errs, c.batch.todo)

	astray := c.batch.todo[:0]
	for i, err := range errs {
		if isAstray(err) {
			astray = append(astray, i)
		}
	}
	if len(astray) == 0 {
		return
	}
	switch moved, err := c.lookAgain(); {
	case err != nil:
		c.batch.fail(errs, astray, err)
	case moved:
		c.changeSome(changes, errs, astray)
	}
}

// changeSome makes the changes with these indices, one batch after the other.
func (c *Client) changeSome(changes []Change, errs []error, todo []int) {
	for len(todo) > 0 {
		if err := c.socket.begin(); err != nil {
			c.batch.fail(errs, todo, err)
			return
		}
		n := c.fill(changes, errs, todo)
		todo = todo[n:]
		if err := c.exchangeBatch(errs); errors.Is(err, ErrTimeout) {
			c.batch.fail(errs, todo, fmt.Errorf("not tried after an earlier change: %w", err))
			return
		}
	}
}

// batch is what is sent at once: the indices of the changes, by sequence number
// from first on.
type batch struct {
	first uint32
	sent  []int
	last  int   // where the last message starts
	todo  []int // what is left, kept for its memory
}

// fail gives one error to some of the changes.
func (b *batch) fail(errs []error, indices []int, err error) {
	for _, i := range indices {
		errs[i] = err
	}
}

// fill encodes the next batch and returns how many of todo it dealt with:
// those in the batch, and those that are invalid.
func (c *Client) fill(changes []Change, errs []error, todo []int) int {
	s, b := &c.socket, &c.batch
	maxBytes, maxMessages := s.conn.capacity()
	maxBytes, maxMessages = min(maxBytes, maxBatchBytes), min(maxMessages, maxBatchMessages)
	b.first, b.sent = s.sequence+1, b.sent[:0]
	for n, i := range todo {
		change := &changes[i]
		if errs[i] = change.validate(); errs[i] != nil {
			continue
		}
		start := len(s.out)
		s.out = appendMessage(s.out, c.family, 0, s.next(), change.Command.number())
		s.out = endMessage(change.append(s.out), start)
		if len(b.sent) > 0 && len(s.out) > maxBytes {
			s.out = s.out[:start] // its number is left out
			return n
		}
		b.last = start
		b.sent = append(b.sent, i)
		if len(b.sent) == maxMessages {
			return n + 1
		}
	}
	return len(todo)
}

// exchangeBatch sends the batch and takes the kernel's word on each change: of
// those before the last, it says only what failed. The error returned is that
// of the exchange.
func (c *Client) exchangeBatch(errs []error) error {
	s, b := &c.socket, &c.batch
	if len(b.sent) == 0 {
		return nil
	}
	requestAnswer(s.out, b.last)
	if err := s.conn.send(s.out); err != nil {
		s.close()
		b.fail(errs, b.sent, err)
		return err
	}
	last := b.first + uint32(len(b.sent)) - 1
	err := s.collect(b.first, last, func(r reply) (bool, error) {
		if r.kind != unix.NLMSG_ERROR {
			return false, nil
		}
		status := r.status()
		if errors.Is(status, errMalformed) {
			return false, status
		}
		errs[b.sent[r.sequence-b.first]] = status
		return r.sequence == last, nil
	})
	if err == nil {
		return nil
	}
	s.close()
	for _, i := range b.sent {
		if errs[i] == nil {
			errs[i] = uncertain(err)
		}
	}
	return err
}

// isAstray tells whether a request may have gone to a netlink family that is
// not there, or not IPVS. The kernel has done nothing then.
func isAstray(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EOPNOTSUPP)
}
