// Package protocol is what the host and the init of the test machine say to
// each other: one Request, placed in the initramfs, and a stream of frames
// back over a virtio port. A port is binary clean, so the output of the program
// arrives as it was written. It must not know qemu, mounts or modules.
package protocol

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"sync"
)

// RequestPath is where the initramfs holds the Request, as JSON.
const RequestPath = "/request.json"

// The names of the virtio ports.
const (
	// PortName carries the frames.
	PortName = "lvsd"
	// StdinName carries what the program reads; its end is the end of that.
	StdinName = "lvsd-stdin"
)

// ListenVariable is set for the program if it is to serve something that is
// reached from outside: the address and port to listen on.
const ListenVariable = "VM_LISTEN"

// maxPayload bounds a frame, so that a corrupt length is found out.
const maxPayload = 1 << 20

// Request is what the guest is to run. All paths are those of the host, whose
// root the guest sees read-only under a writable overlay that is thrown away.
type Request struct {
	// Args are the program and its arguments.
	Args []string
	Env  []string
	Dir  string
	// ModuleTree is the host directory to appear as /lib/modules/RELEASE.
	ModuleTree string
	Release    string
	// EarlyModules are files in the initramfs, in the order of loading: what
	// it takes to reach the host's root.
	EarlyModules []string
	// Modules are loaded by modprobe before the program starts. All must load.
	Modules []string
	// Share is a host directory that the guest may write to, or empty.
	Share string
	// Stdin tells that there is a port of that name; without it the program
	// reads nothing.
	Stdin bool
	// Address is the IPv4 address and prefix of the guest's network card, or
	// the zero value if it has none.
	Address netip.Prefix
}

// Kind says what a frame carries.
type Kind byte

// The kinds of frame, in the order in which they may appear.
const (
	Hello  Kind = 'h' // init is alive; the payload is the kernel release
	Stdout Kind = 'o' // bytes that the program wrote
	Stderr Kind = 'e'
	Notice Kind = 'n' // text about the guest itself: why it failed, its dmesg
	Exit   Kind = 'x' // the last frame; the payload is the decimal exit status
)

// Writer sends frames. It may be used from several goroutines.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a Writer of frames to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Send writes one frame, or several when the payload is larger than a frame.
func (w *Writer) Send(kind Kind, payload []byte) error {
	for {
		n := min(len(payload), maxPayload)
		if err := w.frame(kind, payload[:n]); err != nil {
			return fmt.Errorf("frame %q: %w", kind, err)
		}
		if payload = payload[n:]; len(payload) == 0 {
			return nil
		}
	}
}

// Stream returns a writer whose every Write is one frame of the kind.
func (w *Writer) Stream(kind Kind) io.Writer { return stream{w, kind} }

func (w *Writer) frame(kind Kind, payload []byte) error {
	b := make([]byte, 5, 5+len(payload))
	b[0] = byte(kind)
	binary.BigEndian.PutUint32(b[1:], uint32(len(payload)))
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.w.Write(append(b, payload...))
	return err
}

type stream struct {
	w    *Writer
	kind Kind
}

func (s stream) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := s.w.Send(s.kind, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Read returns the next frame. It returns io.EOF when the stream ends between
// frames and io.ErrUnexpectedEOF when it ends inside one.
func Read(r io.Reader) (Kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxPayload {
		return 0, nil, fmt.Errorf("frame %q of %d bytes: more than %d", head[0], n, maxPayload)
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return Kind(head[0]), payload, nil
}
