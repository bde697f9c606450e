package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// marks are changes that add a service for each mark from 1 on.
func marks(n int) []Change {
	changes := make([]Change, n)
	for i := range changes {
		changes[i] = Change{Command: AddService, Service: Service{
			ServiceKey: ServiceKey{Family: IPv4, Mark: uint32(i + 1)}, Scheduler: "rr", Granularity: 32,
		}}
	}
	return changes
}

// scriptedClient is a client whose connections answer so, one after the other.
func scriptedClient(answers ...func([]sentMessage) ([][]byte, error)) (*Client, *[]*scripted) {
	dial, dialled := dialScripted(answers...)
	c := newClient(dial)
	c.family = 30
	return c, dialled
}

// obliging answers like a kernel: it acknowledges what asks for it, and fails
// the changes with these numbers.
func obliging(failing map[uint32]unix.Errno, took *[][]uint32) func([]sentMessage) ([][]byte, error) {
	return func(sent []sentMessage) ([][]byte, error) {
		var answers [][]byte
		var batch []uint32
		for _, m := range sent {
			mark := sentMark(m)
			batch = append(batch, mark)
			if errno := failing[mark]; errno != 0 || m.flags&unix.NLM_F_ACK != 0 {
				answers = append(answers, status(m.sequence, errno))
			}
		}
		*took = append(*took, batch)
		return answers, nil
	}
}

func sentMark(m sentMessage) uint32 {
	body, _ := m.attributes()
	service, _ := nested(body, attributeService)
	for r := readAttributes(service); r.next(); {
		if r.kind == serviceMark {
			return r.uint32()
		}
	}
	return 0
}

func TestChangeBatches(t *testing.T) {
	var took [][]uint32
	c, dialled := scriptedClient(obliging(map[uint32]unix.Errno{3: unix.EEXIST, 4: unix.EINVAL, 9: unix.EEXIST}, &took))
	changes := marks(9)
	changes[5].Service.Scheduler = "" // mark 6, refused before it is sent
	errs := c.Change(changes)
	want := []error{nil, nil, ErrExists, ErrInvalid, nil, ErrInvalid, nil, nil, ErrExists}
	for i, err := range errs {
		if !errors.Is(err, want[i]) || (err == nil) != (want[i] == nil) {
			t.Errorf("change %d: error %v, want %v", i, err, want[i])
		}
	}
	if got := fmt.Sprint(took); got != "[[1 2 3 4] [5 7 8 9]]" || len(*dialled) != 1 {
		t.Errorf("batches %s on %d connections", got, len(*dialled))
	}
	for _, m := range (*dialled)[0].sent {
		if last := m.sequence == (*dialled)[0].sent[3].sequence; last != (m.flags&unix.NLM_F_ACK != 0) {
			t.Errorf("message %d: flags %#x", m.sequence, m.flags)
		}
	}
}

// narrow is a connection with room for two of marks.
type narrow struct{ *scripted }

func (narrow) capacity() (bytes, messages int) { return 160, 4 }

// TestChangeBytes bounds batches by their size, and sends each change once.
func TestChangeBytes(t *testing.T) {
	var took [][]uint32
	c := newClient(func() (conn, error) { return narrow{&scripted{answer: obliging(nil, &took)}}, nil })
	c.family = 30
	if err := errors.Join(c.Change(marks(5))...); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(took); got != "[[1 2] [3 4] [5]]" {
		t.Errorf("batches %s", got)
	}
}

// TestChangeNothing sends nothing at all.
func TestChangeNothing(t *testing.T) {
	c, dialled := scriptedClient(func([]sentMessage) ([][]byte, error) { return nil, nil })
	if errs := c.Change(nil); len(errs) != 0 {
		t.Errorf("errors %v", errs)
	}
	invalid := marks(1)
	invalid[0].Service.Family = 0
	if errs := c.Change(invalid); !errors.Is(errs[0], ErrInvalid) {
		t.Errorf("errors %v", errs)
	}
	for _, d := range *dialled {
		if d.pending || d.sent != nil {
			t.Error("something was sent")
		}
	}
}

// TestChangeUncertain loses the kernel's word on part of a batch: what it said
// before counts, the rest is uncertain, and only silence ends it all.
func TestChangeUncertain(t *testing.T) {
	for name, x := range map[string]struct {
		fault func(sent []sentMessage) ([][]byte, error)
		want  string
	}{
		"no room for answers": {
			func([]sentMessage) ([][]byte, error) { return nil, unix.ENOBUFS },
			"????·····",
		},
		"overrun": {
			func(sent []sentMessage) ([][]byte, error) {
				return [][]byte{status(sent[1].sequence, unix.EEXIST), answered(unix.NLMSG_OVERRUN, 0, 0)}, nil
			}, "?x??·····",
		},
		"garbage": {
			func([]sentMessage) ([][]byte, error) { return [][]byte{{1, 2, 3}}, nil },
			"????·····",
		},
		"last acknowledgement lost": {
			func(sent []sentMessage) ([][]byte, error) {
				return [][]byte{status(sent[2].sequence, unix.EEXIST)}, nil
			}, "??x?nnnnn",
		},
		"late answer only": {
			func(sent []sentMessage) ([][]byte, error) {
				return [][]byte{status(sent[0].sequence-1, 0), status(sent[3].sequence+1, 0)}, nil
			}, "????nnnnn",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var took [][]uint32
			c, dialled := scriptedClient(x.fault, obliging(nil, &took))
			c.socket.timeout = time.Millisecond
			errs := c.Change(marks(9))
			var got string
			for _, err := range errs {
				switch {
				case err == nil:
					got += "·"
				case errors.Is(err, ErrUncertain):
					got += "?"
				case errors.Is(err, ErrExists):
					got += "x"
				case errors.Is(err, ErrTimeout):
					got += "n" // not tried
				}
			}
			if got != x.want {
				t.Errorf("outcome %s, want %s: %v", got, x.want, errs)
			}
			if !(*dialled)[0].closed {
				t.Error("the connection is still open")
			}
			if errs := c.Change(marks(1)); errs[0] != nil {
				t.Errorf("afterwards: %v", errs[0])
			}
		})
	}
}

func TestChangeCannotSend(t *testing.T) {
	c := newClient(func() (conn, error) { return nil, unix.EMFILE })
	c.family = 30
	for _, err := range c.Change(marks(3)) {
		if !errors.Is(err, unix.EMFILE) || errors.Is(err, ErrUncertain) {
			t.Errorf("error %v, want EMFILE", err)
		}
	}
}

// TestChangeAllRefused sends changes to the controller, which refuses each: as
// many answers as there can be must fit.
func TestChangeAllRefused(t *testing.T) {
	c := newClient(dial)
	defer c.Close()
	c.family = controller
	changes := append(marks(2000), destinationChanges(3000)...) // by number, and by size
	errs := make([]error, len(changes))
	c.changeSome(changes, errs, indices(len(changes)))
	for i, err := range errs {
		if !errors.Is(err, unix.EOPNOTSUPP) {
			t.Fatalf("change %d: error %v, want EOPNOTSUPP", i, err)
		}
	}
}

// TestChangeWithoutCapability has only the receive buffer that everybody may
// have: the batches are so much smaller. The thread is left without it.
func TestChangeWithoutCapability(t *testing.T) {
	errs := make([]error, 3000)
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := dropNetAdmin(); err != nil {
			done <- err
			return
		}
		c := newClient(dial)
		defer c.Close()
		c.family = controller
		c.changeSome(marks(len(errs)), errs, indices(len(errs)))
		_, messages := c.socket.conn.capacity()
		if messages < 1 || messages*answerSize > 2*receiveBuffer {
			done <- fmt.Errorf("room for %d messages", messages)
			return
		}
		done <- nil
	}()
	fatal(t, <-done)
	for i, err := range errs {
		if !errors.Is(err, unix.EOPNOTSUPP) {
			t.Fatalf("change %d: error %v, want EOPNOTSUPP", i, err)
		}
	}
}

// crowded is a connection with room for few answers that says it has plenty.
type crowded struct{ *kernelConn }

func (crowded) capacity() (bytes, messages int) { return maxBatchBytes, maxBatchMessages }

// TestChangeOverflow has the kernel lose answers for want of room.
func TestChangeOverflow(t *testing.T) {
	c := newClient(func() (conn, error) {
		k, err := dial()
		if err != nil {
			return nil, err
		}
		crowd := crowded{k.(*kernelConn)}
		return crowd, unix.SetsockoptInt(crowd.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
	})
	defer c.Close()
	c.family = controller
	changes := marks(1000)
	errs := make([]error, len(changes))
	c.changeSome(changes, errs, indices(len(changes)))
	uncertain := 0
	for i, err := range errs {
		switch {
		case errors.Is(err, ErrUncertain) && errors.Is(err, unix.ENOBUFS):
			uncertain++
		case !errors.Is(err, unix.EOPNOTSUPP):
			t.Fatalf("change %d: error %v, want EOPNOTSUPP or ErrUncertain", i, err)
		}
	}
	if uncertain == 0 {
		t.Error("nothing was lost")
	}
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// TestChangeReloaded has the family gone in the middle: what was refused for
// that is sent again, to the family of that name.
func TestChangeReloaded(t *testing.T) {
	var took []uint32
	answer := func(sent []sentMessage) ([][]byte, error) {
		var answers [][]byte
		for _, m := range sent {
			switch {
			case m.kind == controller:
				id := appendUint16([]byte{1, 2, 0, 0}, unix.CTRL_ATTR_FAMILY_ID, 31)
				answers = append(answers, answered(controller, 0, m.sequence, id...), status(m.sequence, 0))
			case m.kind == 30 && sentMark(m) > 3:
				answers = append(answers, status(m.sequence, unix.ENOENT))
			default:
				took = append(took, sentMark(m))
				if m.flags&unix.NLM_F_ACK != 0 {
					answers = append(answers, status(m.sequence, 0))
				}
			}
		}
		return answers, nil
	}
	c, _ := scriptedClient(answer)
	if err := errors.Join(c.Change(marks(6))...); err != nil {
		t.Error(err)
	}
	if want := []uint32{1, 2, 3, 4, 5, 6}; !slices.Equal(took, want) || c.family != 31 {
		t.Errorf("took %v, family %d", took, c.family)
	}
}

func BenchmarkEncode(b *testing.B) {
	const n = 500
	changes := destinationChanges(n)
	var took int
	c, _ := scriptedClient(nil)
	c.socket.dial = func() (conn, error) { return &deaf{took: &took}, nil }
	b.ReportAllocs()
	for b.Loop() {
		c.Change(changes)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/change")
}

// deaf is a connection that takes everything and acknowledges the last.
type deaf struct {
	took *int
	ack  [1][]byte
}

func (d *deaf) port() uint32                        { return 77 }
func (d *deaf) capacity() (bytes, messages int)     { return 1 << 20, 1 << 10 }
func (d *deaf) receive(time.Time) ([][]byte, error) { return d.ack[:], nil }
func (d *deaf) close()                              {}
func (d *deaf) send(b []byte) error {
	*d.took++
	for len(b) > 0 {
		r, rest, _ := nextReply(b)
		if len(rest) == 0 {
			d.ack[0] = status(r.sequence, 0)
		}
		b = rest
	}
	return nil
}

func destinationChanges(n int) []Change {
	changes := make([]Change, n)
	for i := range changes {
		changes[i] = Change{
			Command: AddDestination, Service: Service{ServiceKey: key(TCP, "192.0.2.1:25")},
			Destination: Destination{
				Address:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 25),
				Forwarding: DirectRoute, Weight: 1,
			},
		}
	}
	return changes
}
