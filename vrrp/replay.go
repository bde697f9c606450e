package vrrp

import (
	"net/netip"
	"time"
)

// maxSenders bounds the memory of senders. Only who has a key gets in.
const maxSenders = 64

// senders remembers the last advert of each sender that proved it has a key, so
// that none is taken twice or out of order. What is forged must not reach it. It
// outlives a reload, not a restart: after that the first advert of each sender
// is taken for fresh, unless a window says that it is too old.
type senders map[netip.Addr]sender

type sender struct {
	last  Sequence
	heard time.Time
}

// order takes note of an authentic advert and returns Accepted if it is newer
// than the last one from this sender and, with a window, the sender's clock
// agrees with ours that far.
func (s senders) order(from netip.Addr, sequence Sequence, window time.Duration, now time.Time) Discard {
	if window > 0 && sequence.Ahead(now).Abs() > window {
		return WrongTime
	}
	was, known := s[from]
	// A mark outside of the window is of a clock that was wrong; what is
	// older than the window would not get here.
	if known && window > 0 && was.last.Ahead(now).Abs() > window {
		known = false
	}
	if known && !sequence.After(was.last) {
		return Replayed
	}
	if _, full := s[from]; !full && len(s) >= maxSenders {
		delete(s, s.oldest())
	}
	s[from] = sender{sequence, now}
	return Accepted
}

// oldest is who was not heard for the longest time.
func (s senders) oldest() netip.Addr {
	var oldest netip.Addr
	for addr, m := range s {
		if !oldest.IsValid() || m.heard.Before(s[oldest].heard) {
			oldest = addr
		}
	}
	return oldest
}
