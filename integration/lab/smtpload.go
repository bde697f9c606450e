package lab

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// SMTPLoad is a load on a mail server: short sessions at a bounded rate, and
// connections that stay.
type SMTPLoad struct {
	Target netip.AddrPort
	// Rate is how many short sessions are begun per second; those that no
	// worker is free for are left out.
	Rate float64
	// Workers bounds the short sessions at one time.
	Workers int
	// Deliver sends a message in each short session.
	Deliver bool
	// Held is how many connections stay open, each sending NOOP every
	// HoldInterval.
	Held         int
	HoldInterval time.Duration
	// Timeout bounds the connecting and each reply.
	Timeout time.Duration
}

// A Phase is how far a session has come.
type Phase string

// The phases of a session, in order. NOOP is of held connections only.
const (
	PhaseConnect Phase = "connect"
	PhaseBanner  Phase = "banner"
	PhaseEHLO    Phase = "ehlo"
	PhaseMessage Phase = "message"
	PhaseNOOP    Phase = "noop"
	PhaseQuit    Phase = "quit"
)

// An Event is one line of the client's report.
type Event struct {
	Time time.Time `json:"time"`
	// Held is the number of a held connection, from 1; zero for a session.
	Held int `json:"held,omitempty"`
	// Relay is the name in the greeting, empty if there was none.
	Relay string `json:"relay,omitempty"`
	// Phase is where a session ended: quit for one that succeeded.
	Phase Phase  `json:"phase"`
	Error string `json:"error,omitempty"`
	// Latency is of the whole session, or of one NOOP.
	Latency time.Duration `json:"latency"`
}

// Client is a running SMTPLoad.
type Client struct {
	daemon *Daemon
	lab    *Lab
	start  time.Time
}

// StartSMTP starts a load in the host.
func (h *Host) StartSMTP(load SMTPLoad) *Client {
	h.lab.t.Helper()
	if load.Timeout == 0 {
		load.Timeout = h.lab.Scaled(10 * time.Second)
	}
	if load.HoldInterval == 0 {
		load.HoldInterval = 200 * time.Millisecond
	}
	load.Workers = max(load.Workers, 1)
	command, err := helperCommand(smtpHelper, load)
	if err != nil {
		h.lab.t.Fatalf("host %s: %v", h.Name, err)
	}
	return &Client{daemon: h.Start(command), lab: h.lab, start: time.Now()}
}

// Events returns what the client has reported so far, in order of time.
func (c *Client) Events() []Event {
	c.lab.t.Helper()
	text := c.daemon.Output()
	// The last line may be in the middle of being written.
	text = text[:strings.LastIndexByte(text, '\n')+1]
	var events []Event
	for line := range strings.Lines(text) {
		var e Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			c.lab.t.Fatalf("client %d: %q: %v", c.daemon.PID(), line, err)
		}
		events = append(events, e)
	}
	slices.SortFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events
}

// Summary sums up what has been reported so far.
func (c *Client) Summary() Summary {
	c.lab.t.Helper()
	return Summarize(c.Events(), c.start, time.Now())
}

// Stop lets sessions end and returns the summary of all.
func (c *Client) Stop() Summary {
	c.lab.t.Helper()
	end := time.Now()
	if err := c.daemon.Stop(); err != nil {
		c.lab.t.Fatalf("client: %v: %s", err, tail(c.daemon.Output(), 5))
	}
	return Summarize(c.Events(), c.start, end)
}

// Summary is what a client saw.
type Summary struct {
	// Sessions counts the short sessions that ended, Failures those of them
	// that failed.
	Sessions, Failures int
	// ByRelay counts the short sessions that succeeded.
	ByRelay map[string]int
	// Gap is the longest time without a success of a short session.
	Gap time.Duration
	// Slowest is the longest session that succeeded.
	Slowest time.Duration
	// Errors are the first failures.
	Errors []Event
	// Held are the held connections, by number from 1.
	Held map[int]Held
}

// Held is the story of one held connection.
type Held struct {
	Relay string
	NOOPs int
	// End is how it failed, nil while it lives.
	End *Event
}

// maxErrors bounds Summary.Errors.
const maxErrors = 20

// Summarize sums up the events of the time between start and end.
func Summarize(events []Event, start, end time.Time) Summary {
	s := Summary{ByRelay: map[string]int{}, Held: map[int]Held{}}
	last := start
	for _, e := range events {
		if e.Held != 0 {
			s.addHeld(e)
			continue
		}
		s.Sessions++
		if e.Error != "" {
			s.Failures++
			if len(s.Errors) < maxErrors {
				s.Errors = append(s.Errors, e)
			}
			continue
		}
		s.ByRelay[e.Relay]++
		s.Slowest = max(s.Slowest, e.Latency)
		s.Gap = max(s.Gap, e.Time.Sub(last))
		last = e.Time
	}
	s.Gap = max(s.Gap, end.Sub(last))
	return s
}

func (s *Summary) addHeld(e Event) {
	held := s.Held[e.Held]
	if e.Relay != "" {
		held.Relay = e.Relay
	}
	switch {
	case e.Error != "":
		held.End = &e
	case e.Phase == PhaseNOOP:
		held.NOOPs++
	}
	s.Held[e.Held] = held
}

// String is the summary in a few lines.
func (s Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sessions, %d failed, longest gap %v, slowest %v, by relay %v\n",
		s.Sessions, s.Failures, s.Gap.Round(time.Millisecond), s.Slowest.Round(time.Millisecond), s.ByRelay)
	for _, e := range s.Errors {
		fmt.Fprintf(&b, "  %s %s in %s: %s\n", e.Time.Format("15:04:05.000"), e.Relay, e.Phase, e.Error)
	}
	for n := range len(s.Held) {
		held := s.Held[n+1]
		fmt.Fprintf(&b, "  held %d by %s: %d NOOPs", n+1, held.Relay, held.NOOPs)
		if held.End != nil {
			fmt.Fprintf(&b, ", then %s in %s", held.End.Error, held.End.Phase)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
