package ipvs

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The generic netlink controller, which every kernel has.
const (
	controller       = unix.GENL_ID_CTRL
	commandGetFamily = unix.CTRL_CMD_GETFAMILY
)

func newSocket(t *testing.T, dial func() (conn, error)) *socket {
	s := &socket{dial: dial, timeout: time.Minute}
	t.Cleanup(s.close)
	return s
}

func nothing([]byte) error { return nil }

// TestSocketTimeout asks for nothing and without acknowledgement, so that the
// kernel stays silent; then asks again on the connection that replaces the
// first.
func TestSocketTimeout(t *testing.T) {
	s := newSocket(t, dial)
	s.timeout = 10 * time.Millisecond
	err := s.exchange(request{family: unix.NLMSG_NOOP}, 0, nil)
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, ErrUncertain) {
		t.Errorf("no answer: error %v, want ErrTimeout and ErrUncertain", err)
	}
	if s.conn != nil {
		t.Error("the connection is kept after a timeout")
	}
	s.timeout = time.Minute
	if id, err := s.lookup("nlctrl"); err != nil || id != controller {
		t.Errorf("after the timeout: family %d, error %v", id, err)
	}
}

// TestSocketLateAnswer leaves the answer to one request unread before the next.
func TestSocketLateAnswer(t *testing.T) {
	s := newSocket(t, dial)
	fatal(t, s.begin())
	late := appendMessage(nil, controller, unix.NLM_F_ACK, s.next(), 99)
	fatal(t, s.conn.send(endMessage(late, 0)))
	if id, err := s.lookup("nlctrl"); err != nil || id != controller {
		t.Errorf("family %d, error %v, want %d", id, err, controller)
	}
}

func TestSocketDump(t *testing.T) {
	s := newSocket(t, dial)
	families := 0
	for range 3 {
		err := s.dump(request{family: controller, command: commandGetFamily}, func() { families = 0 },
			func([]byte) error { families++; return nil })
		if err != nil || families < 1 {
			t.Errorf("%d families, error %v", families, err)
		}
	}
	if err := s.get(request{family: 0xffff, command: 1}, nothing); !errors.Is(err, unix.ENOENT) {
		t.Errorf("unknown family: error %v, want ENOENT", err)
	}
	bad := errors.New("bad")
	err := s.dump(request{family: controller, command: commandGetFamily}, func() {}, func([]byte) error { return bad })
	if !errors.Is(err, bad) || s.conn != nil {
		t.Errorf("error %v, want that of the reader and a new connection", err)
	}
}

func TestLookupFamily(t *testing.T) {
	s := newSocket(t, dial)
	if id, err := s.lookup("nlctrl"); err != nil || id != controller {
		t.Errorf("family %d, error %v, want %d", id, err, controller)
	}
	if _, err := s.lookup("LVSD-NONE"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
}

func TestWithoutIPVS(t *testing.T) {
	need(t, "no-ipvs")
	if _, err := Open(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want ErrUnavailable", err)
	}
	missing, err := Missing(Needs{Schedulers: []string{"rr"}})
	if err != nil || len(missing) != 1 || !errors.Is(missing[0], ErrUnavailable) {
		t.Errorf("missing %v, error %v, want ErrUnavailable", missing, err)
	}
}

// scripted is a connection for faults that cannot be had of a kernel: for each
// request it says what comes back.
type scripted struct {
	// answer makes the datagrams that answer what was sent.
	answer  func(sent []sentMessage) ([][]byte, error)
	sent    []sentMessage
	pending bool
	closed  bool
}

type sentMessage struct {
	reply // as it was sent: kind is the family
	whole []byte
}

func (s *scripted) port() uint32                    { return 77 }
func (s *scripted) capacity() (bytes, messages int) { return 1 << 20, 4 }
func (s *scripted) close()                          { s.closed = true }

func (s *scripted) send(b []byte) error {
	s.sent, s.pending = nil, true
	for len(b) > 0 {
		r, rest, err := nextReply(b)
		if err != nil {
			return err
		}
		s.sent = append(s.sent, sentMessage{r, b[:len(b)-len(rest)]})
		b = rest
	}
	return nil
}

func (s *scripted) receive(time.Time) ([][]byte, error) {
	if !s.pending {
		return nil, ErrTimeout
	}
	s.pending = false
	return s.answer(s.sent)
}

// answered is a message from the kernel to port 77.
func answered(kind, flags uint16, sequence uint32, body ...byte) []byte {
	b := native.AppendUint32(nil, uint32(netlinkHeader+len(body)))
	b = native.AppendUint16(b, kind)
	b = native.AppendUint16(b, flags)
	b = native.AppendUint32(b, sequence)
	b = native.AppendUint32(b, 77)
	return append(b, body...)
}

// status is the kernel's word on a request.
func status(sequence uint32, errno unix.Errno) []byte {
	return answered(unix.NLMSG_ERROR, 0, sequence, native.AppendUint32(nil, uint32(-int32(errno)))...)
}

func done(sequence uint32) []byte {
	return answered(unix.NLMSG_DONE, unix.NLM_F_MULTI, sequence, 0, 0, 0, 0)
}

// dialScripted gives each new connection the next answer; the last serves the
// rest.
func dialScripted(answers ...func([]sentMessage) ([][]byte, error)) (func() (conn, error), *[]*scripted) {
	var dialled []*scripted
	return func() (conn, error) {
		s := &scripted{answer: answers[min(len(dialled), len(answers)-1)]}
		dialled = append(dialled, s)
		return s, nil
	}, &dialled
}

func TestDumpInterrupted(t *testing.T) {
	for attempts, want := range map[int]error{1: nil, dumpAttempts - 1: nil, dumpAttempts: errInterrupted} {
		asked := 0
		dial, dialled := dialScripted(func(sent []sentMessage) ([][]byte, error) {
			asked++
			var flags uint16
			if asked <= attempts {
				flags = unix.NLM_F_DUMP_INTR
			}
			n := sent[0].sequence
			return [][]byte{slices.Concat(answered(30, flags, n, 1, 1, 0, 0), done(n))}, nil
		})
		s, answers := newSocket(t, dial), 0
		err := s.dump(request{family: 30}, func() { answers = 0 }, func([]byte) error { answers++; return nil })
		if !errors.Is(err, want) || answers != 1 || len(*dialled) != 1 {
			t.Errorf("%d interruptions: error %v, want %v; %d answers, %d connections",
				attempts, err, want, answers, len(*dialled))
		}
	}
}

func TestExchangeFaults(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n uint32) [][]byte
		want   error
	}{
		"header cut off":       {func(n uint32) [][]byte { return [][]byte{status(n, 0)[:15]} }, errMalformed},
		"longer than datagram": {func(n uint32) [][]byte { return [][]byte{status(n, 0)[:19]} }, errMalformed},
		"shorter than header": {func(n uint32) [][]byte {
			b := status(n, 0)
			b[0] = 15
			return [][]byte{b}
		}, errMalformed},
		"no status":             {func(n uint32) [][]byte { return [][]byte{answered(unix.NLMSG_ERROR, 0, n)} }, errMalformed},
		"answer cut off":        {func(n uint32) [][]byte { return [][]byte{answered(30, 0, n, 1, 1)} }, errMalformed},
		"overrun":               {func(n uint32) [][]byte { return [][]byte{answered(unix.NLMSG_OVERRUN, 0, n)} }, unix.ENOBUFS},
		"another's answer":      {func(n uint32) [][]byte { return [][]byte{status(n+1, 0), status(n-1, 0)} }, ErrTimeout},
		"error at the end":      {func(n uint32) [][]byte { return [][]byte{answered(unix.NLMSG_DONE, 0, n, 0xf4, 0xff, 0xff, 0xff)} }, unix.ENOMEM},
		"answer without header": {func(n uint32) [][]byte { return [][]byte{{1}} }, errMalformed},
		"for another port": {func(n uint32) [][]byte {
			b := status(n, 0)
			b[12]++
			return [][]byte{b}
		}, ErrTimeout},
	} {
		dial, _ := dialScripted(func(sent []sentMessage) ([][]byte, error) { return c.answer(sent[0].sequence), nil })
		s := newSocket(t, dial)
		s.timeout = time.Millisecond
		err := s.exchange(request{family: 30}, unix.NLM_F_DUMP, nothing)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
		if (s.conn == nil) != (c.want != unix.ENOMEM) {
			t.Errorf("%s: connection kept: %v", name, s.conn != nil)
		}
	}
}

// FuzzExchange looks for answers that make a client panic.
func FuzzExchange(f *testing.F) {
	f.Add(slices.Concat(answered(30, 0, 1, 5, 1, 0, 0), done(1)))
	f.Add(status(1, unix.EPERM))
	f.Add(answered(unix.NLMSG_OVERRUN, 0, 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		dial, _ := dialScripted(func([]sentMessage) ([][]byte, error) { return [][]byte{b}, nil })
		c := newClient(dial)
		c.socket.timeout = time.Microsecond
		c.family = 30
		if _, err := c.Services(); err == nil && len(b) < netlinkHeader {
			t.Error("no error")
		}
		errs := c.Change([]Change{{Command: DeleteService, Service: Service{ServiceKey: ServiceKey{Family: IPv4, Mark: 1}}}})
		if len(errs) != 1 {
			t.Errorf("%d errors", len(errs))
		}
	})
}
