package ipvs

import (
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	genlVersion = 1
	// dumpAttempts is how often a listing is begun that the kernel reports as
	// interrupted by a change.
	dumpAttempts = 5
)

// socket is our own generic netlink socket. A request on it ends within the
// deadline; a late answer to an earlier one cannot be taken for that of a later
// one, because the socket is replaced after a timeout.
type socket struct {
	timeout time.Duration
	handle  *nl.SocketHandle // nil until the first request and after a failure
}

// do sends a request that changes something and waits for the kernel's word on
// it.
func (s *socket) do(family uint16, command uint8, body []byte) error {
	_, err := s.request(family, command, unix.NLM_F_ACK, body)
	return err
}

// get sends a request that has one answer.
func (s *socket) get(family uint16, command uint8, body []byte) ([]byte, error) {
	answers, err := s.request(family, command, 0, body)
	if err != nil {
		return nil, err
	}
	if len(answers) != 1 {
		return nil, fmt.Errorf("%d answers, want one", len(answers))
	}
	return answers[0], nil
}

// dump sends a request that has any number of answers.
func (s *socket) dump(family uint16, command uint8, body []byte) ([][]byte, error) {
	var err error
	for range dumpAttempts {
		var answers [][]byte
		answers, err = s.request(family, command, unix.NLM_F_DUMP, body)
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return answers, err
		}
	}
	return nil, err
}

// request performs one exchange and returns the attributes of each answer.
func (s *socket) request(family uint16, command uint8, flags int, body []byte) ([][]byte, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	r := nl.NewNetlinkRequest(int(family), flags)
	r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_GENERIC: s.handle}
	r.AddData(&nl.Genlmsg{Command: command, Version: genlVersion})
	r.AddRawData(body)
	answers, err := r.Execute(unix.NETLINK_GENERIC, 0)
	if errors.Is(err, unix.EAGAIN) {
		s.close()
	}
	if err != nil {
		return nil, err
	}
	for i, a := range answers {
		if len(a) < nl.SizeofGenlmsg {
			return nil, fmt.Errorf("answer of %d bytes", len(a))
		}
		answers[i] = a[nl.SizeofGenlmsg:]
	}
	return answers, nil
}

func (s *socket) open() error {
	if s.handle != nil {
		return nil
	}
	conn, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_GENERIC)
	if err != nil {
		return fmt.Errorf("netlink socket: %w", err)
	}
	limit := unix.NsecToTimeval(s.timeout.Nanoseconds())
	err = errors.Join(conn.SetSendTimeout(&limit), conn.SetReceiveTimeout(&limit), conn.SetExtAck(true))
	if err != nil {
		conn.Close()
		return fmt.Errorf("netlink socket: %w", err)
	}
	s.handle = &nl.SocketHandle{Socket: conn}
	return nil
}

func (s *socket) close() {
	if s.handle != nil {
		s.handle.Close()
		s.handle = nil
	}
}
