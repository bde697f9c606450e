package track

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// The kernel's process events, see linux/connector.h and linux/cn_proc.h. They
// are to be had with CAP_NET_ADMIN in the first network, user and process
// namespaces; in another of the latter two the request is dropped silently, so
// that only its acknowledgement shows that events will come.
const (
	processIndex, processValue = 1, 1 // CN_IDX_PROC, CN_VAL_PROC

	listen = 1 // PROC_CN_MCAST_LISTEN
	ignore = 2 // PROC_CN_MCAST_IGNORE

	procNone = 0x00000000 // the acknowledgement
	procFork = 0x00000001
	procExec = 0x00000002
	procComm = 0x00000200
	procExit = 0x80000000

	messageSize = 20 // struct cn_msg, without data
	headerSize  = 16 // of struct proc_event: what, cpu, timestamp_ns
)

// receiveBuffer is what the kernel may keep of events while this process does
// not run, in bytes.
const receiveBuffer = 1 << 20

// eventKind is what happened.
type eventKind uint8

const (
	eventListening eventKind = iota + 1 // the kernel will send events
	eventLost                           // events were lost
	eventFork                           // a process has a new child
	eventExit                           // a thread, or with the last one a process, has ended
	eventChange                         // a process runs another program, or has another name
)

// event is one of the kernel's events. Threads that start are none.
type event struct {
	kind    eventKind
	process int
	parent  int  // of a fork
	leader  bool // the thread that ended is the process's first
}

// connector receives the kernel's process events.
type connector struct {
	// events is closed when there will be none any more.
	events  <-chan event
	file    *os.File
	raw     syscall.RawConn
	request uint32 // by which to know the acknowledgement
	done    chan struct{}
	ended   chan struct{}
}

// openConnector asks for events; close must be called.
func openConnector() (*connector, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return nil, fmt.Errorf("process events: socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "process events")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: processIndex}); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("process events: bind: %w", err)
	}
	// Less is enough on a quiet host.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("process events: %w", err)
	}
	events := make(chan event)
	c := &connector{
		events: events, file: file, raw: raw, request: rand.Uint32(),
		done: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := c.send(listen); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("process events: listen: %w", err)
	}
	go func() {
		defer close(c.ended)
		defer close(events)
		c.receive(events)
	}()
	return c, nil
}

// close gives up the events. Kernels before 6.6 would go on to make them for
// nobody, unless told.
func (c *connector) close() {
	close(c.done)
	_ = c.send(ignore)
	_ = c.file.Close()
	<-c.ended
}

func (c *connector) send(operation uint32) error {
	_, err := c.file.Write(encodeRequest(operation, c.request))
	return err
}

// encodeRequest is a netlink message with a struct cn_msg and an enum
// proc_cn_mcast_op. The kernel acknowledges with the field ack one higher; it
// does not return the sequence number.
func encodeRequest(operation, request uint32) []byte {
	const size = unix.NLMSG_HDRLEN + messageSize + 4
	order := binary.NativeEndian
	b := order.AppendUint32(nil, size)
	b = order.AppendUint16(b, unix.NLMSG_DONE)
	b = order.AppendUint16(b, 0)
	b = order.AppendUint32(b, 0) // sequence number
	b = order.AppendUint32(b, 0) // the sender: the kernel knows
	b = order.AppendUint32(b, processIndex)
	b = order.AppendUint32(b, processValue)
	b = order.AppendUint32(b, 0) // sequence number
	b = order.AppendUint32(b, request)
	b = order.AppendUint16(b, 4)
	b = order.AppendUint16(b, 0)
	return order.AppendUint32(b, operation)
}

// receive passes events on until close, or until they cannot be read.
func (c *connector) receive(events chan<- event) {
	buffer := make([]byte, os.Getpagesize())
	for {
		n, err := c.read(buffer)
		e, ok := event{kind: eventLost}, errors.Is(err, unix.ENOBUFS)
		switch {
		case err == nil:
			e, ok = parseEvent(buffer[:n], c.request)
		case !ok:
			return
		}
		if !ok {
			continue
		}
		select {
		case events <- e:
		case <-c.done:
			return
		}
	}
}

// read reads one message of the kernel's; others, whom the kernel lets send
// with enough privileges, are not heard.
func (c *connector) read(buffer []byte) (n int, err error) {
	var from unix.Sockaddr
	closed := c.raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buffer, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if closed != nil {
		return 0, closed
	}
	if sender, ok := from.(*unix.SockaddrNetlink); err == nil && (!ok || sender.Pid != 0) {
		return 0, nil
	}
	return n, err
}

// parseEvent reads one netlink message; it returns false for what does not
// matter.
func parseEvent(b []byte, request uint32) (event, bool) {
	const start = unix.NLMSG_HDRLEN + messageSize
	if len(b) < start+headerSize {
		return event{}, false
	}
	field := func(at int) uint32 {
		if len(b) < at+4 {
			return 0
		}
		return binary.NativeEndian.Uint32(b[at:])
	}
	const message, data = unix.NLMSG_HDRLEN, start + headerSize
	if field(message) != processIndex || field(message+4) != processValue {
		return event{}, false
	}
	first, second, third, fourth := field(data), field(data+4), field(data+8), field(data+12)
	switch what := field(start); what {
	case procNone:
		return event{kind: eventListening}, field(message+12) == request+1 && first == 0
	case procFork: // parent's thread and process, child's thread and process
		return event{kind: eventFork, process: int(fourth), parent: int(second)}, third == fourth
	case procExec, procComm: // thread and process
		return event{kind: eventChange, process: int(second)}, true
	case procExit:
		return event{kind: eventExit, process: int(second), leader: first == second}, true
	}
	return event{}, false
}
