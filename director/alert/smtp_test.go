package alert

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// smtpServer is a mail server with the faults that a test asks for.
type smtpServer struct {
	t        *testing.T
	listener net.Listener
	tls      *tls.Config
	roots    *x509.CertPool
	// whole: TLS from the first byte. starttls: it is offered.
	whole, starttls bool
	// answers replace what is said to a command, by its beginning; each counts once
	// unless it begins with "!". "hang" says nothing more.
	mu      sync.Mutex
	answers map[string]string
	// commands are all that came, mails what was taken.
	commands, mails []string
	open            []net.Conn
	serving         sync.WaitGroup
}

func newSMTPServer(t *testing.T, change func(*smtpServer)) *smtpServer {
	t.Helper()
	issuer := httptest.NewTLSServer(nil) // it has a certificate of 127.0.0.1
	defer issuer.Close()
	s := &smtpServer{t: t, answers: map[string]string{}, roots: x509.NewCertPool()}
	s.tls = &tls.Config{Certificates: issuer.TLS.Certificates}
	s.roots.AddCert(issuer.Certificate())
	change(s)
	var err error
	if s.listener, err = net.Listen("tcp4", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if s.whole {
		s.listener = tls.NewListener(s.listener, s.tls)
	}
	s.serving.Go(func() {
		for {
			conn, err := s.listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open = append(s.open, conn)
			s.mu.Unlock()
			s.serving.Go(func() {
				defer func() { _ = conn.Close() }()
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.mu.Lock()
		for _, conn := range s.open {
			_ = conn.Close()
		}
		s.mu.Unlock()
		s.serving.Wait()
	})
	return s
}

func (s *smtpServer) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	say := func(text string) { _, _ = fmt.Fprintf(conn, "%s\r\n", text) }
	say(s.answer("", "220 mx.example.org ESMTP"))
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		s.mu.Lock()
		s.commands = append(s.commands, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(line, " ")
		reply := "250 ok"
		switch verb {
		case "EHLO":
			reply = "250-mx.example.org\r\n250-AUTH PLAIN\r\n"
			if s.starttls {
				reply += "250-STARTTLS\r\n"
			}
			reply += "250 8BITMIME"
		case "AUTH":
			reply = "235 welcome"
		case "DATA":
			reply = "354 go on"
		case "STARTTLS":
			reply = "220 go on"
		case "QUIT":
			reply = "221 bye"
		}
		reply = s.answer(line, reply)
		if reply == "hang" {
			_, _ = r.ReadString(0)
			return
		}
		say(reply)
		switch {
		case verb == "STARTTLS":
			conn = tls.Server(conn, s.tls)
			r = bufio.NewReader(conn)
		case verb == "DATA" && strings.HasPrefix(reply, "354"):
			if !s.take(r, say) {
				return
			}
		case verb == "QUIT":
			return
		}
	}
}

// take reads the text of a mail.
func (s *smtpServer) take(r *bufio.Reader, say func(string)) bool {
	var text strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(line)
	}
	reply := s.answer(".", "250 queued")
	if strings.HasPrefix(reply, "250") {
		s.mu.Lock()
		s.mails = append(s.mails, text.String())
		s.mu.Unlock()
	}
	say(reply)
	return true
}

// when has what begins so answered in another way.
func (s *smtpServer) when(command, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[command] = answer
}

// taken are the mails.
func (s *smtpServer) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// said are the commands.
func (s *smtpServer) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// answer is the one that the test asks for, or the usual one.
func (s *smtpServer) answer(command, usual string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for beginning, answer := range s.answers {
		if beginning == command || beginning != "" && strings.HasPrefix(command, beginning) {
			if strings.HasPrefix(answer, "!") {
				return answer[1:]
			}
			delete(s.answers, beginning)
			return answer
		}
	}
	return usual
}

// count is how many commands began so.
func (s *smtpServer) count(beginning string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, command := range s.commands {
		if strings.HasPrefix(command, beginning) {
			n++
		}
	}
	return n
}
