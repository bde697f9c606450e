package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// newEvery is between two new connections on a quiet machine, heldEvery between
	// two exchanges of a held one.
	newEvery  = 40 * time.Millisecond
	heldEvery = 200 * time.Millisecond
	// heldConnections is how many there are.
	heldConnections = 10
	// clientPatience is what a connection may take at the least: a hang is longer than
	// three times that a lost packet is sent again.
	clientPatience = 20 * time.Second
)

// A Load is what the client does: new connections at a pace, each one exchange, and
// held ones that exchange something at a pace.
type Load struct {
	site      *Site
	every     time.Duration
	heldEvery time.Duration
	patience  time.Duration

	cancel  context.CancelFunc
	pacing  sync.WaitGroup
	running sync.WaitGroup

	mu       sync.Mutex
	attempts []attempt
	held     []*held
}

// attempt is one new connection that has come to its end.
type attempt struct {
	begun, ended time.Time
	err          error
}

// held is a connection that stays.
type held struct {
	conn *connection

	mu   sync.Mutex
	last time.Time // when the last whole exchange had been begun
	err  error     // how it broke
}

func newLoad(s *Site) *Load {
	scale := s.Lab.Scale()
	l := &Load{
		site: s, every: time.Duration(float64(newEvery) * scale), heldEvery: time.Duration(float64(heldEvery) * scale),
		patience: time.Duration(min(scale, 3) * float64(clientPatience)),
	}
	s.Cleanup(l.end)
	return l
}

// begin starts new connections, and as many held ones as are missing.
func (l *Load) begin() error {
	l.mu.Lock()
	l.attempts = nil
	l.held = slices.DeleteFunc(l.held, func(h *held) bool { return h.broken() != nil })
	missing := heldConnections - len(l.held)
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(l.site.Context())
	l.cancel = cancel
	for range missing {
		h, err := l.hold()
		if err != nil {
			cancel()
			return fmt.Errorf("hold a connection: %w", err)
		}
		l.mu.Lock()
		l.held = append(l.held, h)
		l.mu.Unlock()
	}
	for _, h := range l.heldNow() {
		l.pacing.Go(func() { l.talk(ctx, h) })
	}
	l.pacing.Go(func() { l.pace(ctx) })
	return nil
}

// forget leaves connections out that have ended by now.
func (l *Load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = nil
}

// pace begins connections whether earlier ones have ended or not.
func (l *Load) pace(ctx context.Context) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.running.Go(l.try)
	}
}

func (l *Load) try() {
	a := attempt{begun: time.Now()}
	deadline := a.begun.Add(l.patience)
	conn, err := connect(l.site.Client, l.site.Service, deadline)
	if err == nil {
		err = conn.exchange(deadline)
		conn.close()
	}
	a.ended, a.err = time.Now(), err
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
}

// hold opens a connection that is to stay.
func (l *Load) hold() (*held, error) {
	deadline := time.Now().Add(l.patience)
	conn, err := connect(l.site.Client, l.site.Service, deadline)
	if err != nil {
		return nil, err
	}
	h := &held{conn: conn, last: time.Now()}
	return h, conn.exchange(deadline)
}

// talk exchanges something on a held connection at a pace.
func (l *Load) talk(ctx context.Context, h *held) {
	tick := time.NewTicker(l.heldEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		begun := time.Now()
		err := h.conn.exchange(begun.Add(l.patience))
		h.mu.Lock()
		if h.err = err; err == nil {
			h.last = begun
		}
		h.mu.Unlock()
		if err != nil {
			h.conn.close()
			return
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (h *held) broken() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err
}

// proved tells whether the connection has broken, or has exchanged something since.
func (h *held) proved(since time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.err != nil || h.last.After(since)
}

func (l *Load) heldNow() []*held {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.held)
}

// finish begins no further connections and waits until all that have been begun
// have ended, and each held one has shown whether it lives. Held ones stay.
func (l *Load) finish() {
	since := time.Now()
	_ = l.site.awaitWithin(2*l.patience, "the held connections", func() error {
		for _, h := range l.heldNow() {
			if !h.proved(since) {
				return errors.New("one has not answered")
			}
		}
		return nil
	})
	l.cancel()
	l.pacing.Wait()
	l.running.Wait()
}

// end closes everything.
func (l *Load) end() {
	if l.cancel != nil {
		l.cancel()
	}
	for _, h := range l.heldNow() {
		h.conn.close()
	}
	l.pacing.Wait()
	l.running.Wait()
}

// A Tally is what the client saw.
type Tally struct {
	New, Failed, Held, Broken int
	Outage                    time.Duration
	// Errors counts connections by how they failed.
	Errors map[string]int
}

// tally sums up a finished load.
func (l *Load) tally() Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := sum(l.attempts)
	t.Held = len(l.held)
	for _, h := range l.held {
		if err := h.broken(); err != nil {
			t.Broken++
			t.Errors["held: "+cause(err)]++
		}
	}
	return t
}

// sum counts new connections, and measures the longest time without one that
// succeeded: from the first begin to the last end.
func sum(attempts []attempt) Tally {
	t := Tally{New: len(attempts), Errors: map[string]int{}}
	if len(attempts) == 0 {
		return t
	}
	ordered := slices.SortedFunc(slices.Values(attempts), func(a, b attempt) int { return a.ended.Compare(b.ended) })
	last := attempts[0].begun
	for _, a := range attempts {
		if a.begun.Before(last) {
			last = a.begun
		}
	}
	for _, a := range ordered {
		if a.err != nil {
			t.Failed++
			t.Errors[cause(a.err)]++
			continue
		}
		t.Outage, last = max(t.Outage, a.ended.Sub(last)), a.ended
	}
	if end := ordered[len(ordered)-1]; end.err != nil {
		t.Outage = max(t.Outage, end.ended.Sub(last))
	}
	return t
}

// cause is the last word of an error: "connection refused".
func cause(err error) string {
	text := err.Error()
	return text[strings.LastIndex(text, ": ")+1+len(" ")*min(1, strings.Count(text, ": ")):]
}
