package ipvs

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// A netlink message is a header of its length, type, flags, sequence number and
// port id; generic netlink adds a command, a version and two spare bytes
// (include/uapi/linux/netlink.h, genetlink.h).
const (
	netlinkHeader = unix.NLMSG_HDRLEN
	genlHeader    = 4
	genlVersion   = 1

	offsetFlags = 6
)

// appendMessage begins a request. endMessage ends it.
func appendMessage(b []byte, family, flags uint16, sequence uint32, command uint8) []byte {
	b = native.AppendUint32(b, 0) // the length, by endMessage
	b = native.AppendUint16(b, family)
	b = native.AppendUint16(b, flags|unix.NLM_F_REQUEST)
	b = native.AppendUint32(b, sequence)
	b = native.AppendUint32(b, 0) // the port id, by the kernel
	return append(b, command, genlVersion, 0, 0)
}

// endMessage ends the request that starts there. Attributes are padded, so the
// next one may follow.
func endMessage(b []byte, start int) []byte {
	native.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// requestAnswer makes the kernel acknowledge the request that starts there.
func requestAnswer(b []byte, start int) {
	flags := b[start+offsetFlags:]
	native.PutUint16(flags, native.Uint16(flags)|unix.NLM_F_ACK)
}

// reply is one message from the kernel.
type reply struct {
	kind, flags    uint16
	sequence, port uint32
	body           []byte
}

// errMalformed says that the kernel's answer is no sequence of netlink messages.
var errMalformed = errors.New("malformed answer from the kernel")

// nextReply takes the first message off a datagram.
func nextReply(datagram []byte) (r reply, rest []byte, err error) {
	if len(datagram) < netlinkHeader {
		return reply{}, nil, fmt.Errorf("%w: header cut off after %d bytes", errMalformed, len(datagram))
	}
	length := native.Uint32(datagram)
	if length < netlinkHeader || uint64(length) > uint64(len(datagram)) {
		return reply{}, nil, fmt.Errorf("%w: message of %d bytes in %d", errMalformed, length, len(datagram))
	}
	r = reply{
		kind:     native.Uint16(datagram[4:]),
		flags:    native.Uint16(datagram[offsetFlags:]),
		sequence: native.Uint32(datagram[8:]),
		port:     native.Uint32(datagram[12:]),
		body:     datagram[netlinkHeader:length],
	}
	return r, datagram[min(int(length)+padding(int(length)), len(datagram)):], nil
}

// status is the kernel's word on a request, of NLMSG_ERROR and NLMSG_DONE: nil
// or an errno.
func (r reply) status() error {
	if len(r.body) < 4 {
		if r.kind == unix.NLMSG_DONE {
			return nil // the end of a listing need not say more
		}
		return fmt.Errorf("%w: status of %d bytes", errMalformed, len(r.body))
	}
	if code := int32(native.Uint32(r.body)); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// attributes are what follows the generic netlink header.
func (r reply) attributes() ([]byte, error) {
	if len(r.body) < genlHeader {
		return nil, fmt.Errorf("%w: answer of %d bytes", errMalformed, len(r.body))
	}
	return r.body[genlHeader:], nil
}
