package ipvs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"syscall"
	"time"

	"github.com/moby/ipvs"
)

// library is moby/ipvs behind a deadline. It does what the library does right:
// add, update and delete services, the timeouts, and flush. It must not be used
// before preflight, and by one goroutine at a time.
type library struct {
	timeout time.Duration
	handle  *ipvs.Handle // nil until the first call and after a timeout
}

// open opens a handle and makes sure that it speaks to IPVS. The library looks
// up the netlink family once per process: after the module was reloaded, or if
// someone used the library before it was loaded, even a new handle speaks to
// nobody. A request without an address family tells: IPVS refuses it with
// EAFNOSUPPORT, and no other answer means IPVS.
func (l *library) open() error {
	if l.handle != nil {
		return nil
	}
	h, err := ipvs.New("")
	if err != nil {
		return fmt.Errorf("moby/ipvs: %w", err)
	}
	if err := l.bound(h, probe); err != nil {
		h.Close()
		return err
	}
	l.handle = h
	return nil
}

func probe(h *ipvs.Handle) error {
	_, err := h.GetService(&ipvs.Service{})
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return nil
	case !ok || errno == syscall.ENOENT:
		return ErrReloaded
	default:
		return err
	}
}

// call runs one call of the library.
func (l *library) call(f func(*ipvs.Handle) error) error {
	if err := l.open(); err != nil {
		return err
	}
	err := l.bound(l.handle, f)
	if errors.Is(err, ErrTimeout) {
		l.handle = nil
	}
	return err
}

// bound runs f and closes the handle when the deadline passes. That is the only
// way to end a call: the library waits on after its own timeout.
func (l *library) bound(h *ipvs.Handle, f func(*ipvs.Handle) error) error {
	timer := time.AfterFunc(l.timeout, h.Close)
	err := f(h)
	if !timer.Stop() {
		return ErrTimeout
	}
	return err
}

func (l *library) close() {
	if l.handle != nil {
		l.handle.Close()
		l.handle = nil
	}
}

// libraryService is a service in the library's words.
func libraryService(s Service) *ipvs.Service {
	m := &ipvs.Service{
		AddressFamily: uint16(s.Family),
		FWMark:        s.Mark,
		SchedName:     s.Scheduler,
		Flags:         uint32(s.Flags),
		Timeout:       uint32(s.Timeout / time.Second),
		Netmask:       netmask(s.Family, s.Granularity),
		PEName:        s.Engine,
	}
	if s.Mark == 0 {
		m.Protocol = uint16(s.Protocol)
		m.Address = net.IP(s.Address.Addr().AsSlice())
		m.Port = s.Address.Port()
	}
	return m
}

// netmask is a prefix length as the kernel wants it: for IPv4 the mask in
// network byte order, for IPv6 the length itself.
func netmask(f Family, granularity uint8) uint32 {
	if f == IPv6 {
		return uint32(granularity)
	}
	mask := uint32(math.MaxUint32) << (32 - granularity)
	return native.Uint32(binary.BigEndian.AppendUint32(nil, mask))
}
