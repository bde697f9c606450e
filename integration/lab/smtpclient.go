package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// smtpHelper is the name of the SMTP client among the helpers.
const smtpHelper = "smtp-load"

// serveSMTPLoad is the client inside the host: it reports events as lines of
// JSON until it is told to stop.
func serveSMTPLoad(ctx context.Context, config []byte) error {
	var load SMTPLoad
	if err := json.Unmarshal(config, &load); err != nil {
		return err
	}
	c := smtpClient{load: load, out: json.NewEncoder(os.Stdout)}
	var group sync.WaitGroup
	for n := range load.Held {
		group.Go(func() { c.hold(ctx, n+1) })
	}
	if load.Rate > 0 {
		begin := make(chan struct{})
		for range load.Workers {
			group.Go(func() {
				for range begin {
					c.session()
				}
			})
		}
		c.pace(ctx, begin)
	}
	group.Wait()
	return nil
}

type smtpClient struct {
	load SMTPLoad
	mu   sync.Mutex
	out  *json.Encoder
}

// pace begins sessions at the rate while a worker is free, and ends the
// workers with the context.
func (c *smtpClient) pace(ctx context.Context, begin chan<- struct{}) {
	defer close(begin)
	tick := time.NewTicker(time.Duration(float64(time.Second) / c.load.Rate))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case begin <- struct{}{}:
		default:
		}
	}
}

// session connects, says hello, may deliver a message, and quits.
func (c *smtpClient) session() {
	start := time.Now()
	e := Event{Phase: PhaseConnect}
	err := c.talk(&e)
	c.report(e, start, err)
}

func (c *smtpClient) talk(e *Event) error {
	s, err := c.open(e)
	if err != nil {
		return err
	}
	defer s.conn.Close()
	if c.load.Deliver {
		e.Phase = PhaseMessage
		if err := s.deliver(); err != nil {
			return err
		}
	}
	e.Phase = PhaseQuit
	return s.command("221", "QUIT")
}

// open connects and says hello, noting in the event how far it came.
func (c *smtpClient) open(e *Event) (*smtpConn, error) {
	conn, err := net.DialTimeout("tcp", c.load.Target.String(), c.load.Timeout)
	if err != nil {
		return nil, err
	}
	s := newSMTPConn(conn, c.load.Timeout)
	e.Phase = PhaseBanner
	greeting, err := s.reply("220")
	if err == nil {
		e.Relay, _, _ = strings.Cut(greeting, " ")
		e.Phase = PhaseEHLO
		err = s.command("250", "EHLO client."+MailDomain)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return s, nil
}

// hold keeps one connection busy until it fails or the load ends.
func (c *smtpClient) hold(ctx context.Context, n int) {
	e := Event{Held: n, Phase: PhaseConnect}
	start := time.Now()
	s, err := c.open(&e)
	c.report(e, start, err)
	if err != nil {
		return
	}
	defer s.conn.Close()
	e.Phase = PhaseNOOP
	tick := time.NewTicker(c.load.HoldInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = s.command("221", "QUIT")
			return
		case <-tick.C:
		}
		start := time.Now()
		err := s.command("250", "NOOP")
		c.report(e, start, err)
		if err != nil {
			return
		}
	}
}

func (c *smtpClient) report(e Event, start time.Time, err error) {
	e.Time = time.Now()
	e.Latency = e.Time.Sub(start)
	if err != nil {
		e.Error = err.Error()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.out.Encode(e) // with nobody to read it there is nobody to tell
}

// smtpConn is the client's side of SMTP, with a deadline for each exchange.
type smtpConn struct {
	conn    net.Conn
	r       *bufio.Reader
	timeout time.Duration
}

func newSMTPConn(conn net.Conn, timeout time.Duration) *smtpConn {
	return &smtpConn{conn: conn, r: bufio.NewReader(conn), timeout: timeout}
}

// reply reads a reply, of one line or more, that must have the code, and
// returns the text of its first line.
func (s *smtpConn) reply(code string) (string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return "", err
	}
	first := ""
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if !strings.HasPrefix(line, code) || len(line) < 4 {
			return "", fmt.Errorf("reply %q: want %s", line, code)
		}
		if first == "" {
			first = line[4:]
		}
		if line[3] == ' ' {
			return first, nil
		}
	}
}

// command sends a line and wants a reply with the code.
func (s *smtpConn) command(code, line string) error {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(s.conn, line+"\r\n"); err != nil {
		return err
	}
	_, err := s.reply(code)
	return err
}

// deliver sends one small message.
func (s *smtpConn) deliver() error {
	for _, step := range []struct{ code, line string }{
		{"250", "MAIL FROM:<client@" + MailDomain + ">"},
		{"250", "RCPT TO:<inbox@" + MailDomain + ">"},
		{"354", "DATA"},
		{"250", "Subject: lab\r\n\r\nA message.\r\n."},
	} {
		if err := s.command(step.code, step.line); err != nil {
			return err
		}
	}
	return nil
}
