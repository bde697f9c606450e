package main

import (
	"sync"
	"time"
)

// stallTick is how often a stall looks.
const stallTick = 20 * time.Millisecond

// A stall measures for how long at most nothing ran here that should have: a machine
// that stands still for longer than the protocol waits lets roles change.
type stall struct {
	stop    chan struct{}
	looking sync.WaitGroup
	longest time.Duration
}

func startStall() *stall {
	s := &stall{stop: make(chan struct{})}
	s.looking.Go(s.look)
	return s
}

func (s *stall) look() {
	tick := time.NewTicker(stallTick)
	defer tick.Stop()
	for last := time.Now(); ; {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		now := time.Now()
		s.longest = max(s.longest, now.Sub(last)-stallTick)
		last = now
	}
}

// end returns the longest time.
func (s *stall) end() time.Duration {
	close(s.stop)
	s.looking.Wait()
	return s.longest
}
