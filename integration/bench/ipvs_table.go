package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

// The options of getsockopt and the sizes of what they fill
// (include/uapi/linux/ip_vs.h). They cost the kernel little and have nothing in
// common with the netlink messages that are measured.
const (
	optionInfo         = 64 + 1024 + 64 + 1 // IP_VS_SO_GET_INFO
	optionService      = optionInfo + 2     // IP_VS_SO_GET_SERVICE
	optionDestinations = optionInfo + 3     // IP_VS_SO_GET_DESTS

	infoSize        = 12
	serviceSize     = 104
	serverListSize  = 24
	destinationSize = 96
)

// table reads the IPVS table of a host.
type table struct {
	fd     int
	buffer []byte
}

func openTable(h *lab.Host) (*table, error) {
	t := &table{buffer: make([]byte, serverListSize+serversPerService*destinationSize)}
	err := h.Do(func() (err error) {
		t.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the table of %s: %w", h.Name, err)
	}
	return t, nil
}

func (t *table) close() { _ = unix.Close(t.fd) }

// get fills the first size bytes of the buffer.
func (t *table) get(option, size int) error {
	length := uint32(size)
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(t.fd), unix.IPPROTO_IP, uintptr(option),
		uintptr(unsafe.Pointer(&t.buffer[0])), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return fmt.Errorf("getsockopt %d: %w", option, errno)
	}
	return nil
}

// services is how many there are.
func (t *table) services() (int, error) {
	err := t.get(optionInfo, infoSize)
	return int(binary.NativeEndian.Uint32(t.buffer[8:])), err
}

// servers is how many real servers a service has; none if there is no such
// service.
func (t *table) servers(service netip.AddrPort) (int, error) {
	t.ask(service)
	err := t.get(optionService, serviceSize)
	if errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	return int(binary.NativeEndian.Uint32(t.buffer[44:])), err
}

// weights are those of the real servers of a service that has a full set of
// them.
func (t *table) weights(service netip.AddrPort) (map[netip.AddrPort]int, error) {
	t.ask(service)
	binary.NativeEndian.PutUint32(t.buffer[16:], serversPerService)
	if err := t.get(optionDestinations, len(t.buffer)); err != nil {
		return nil, err
	}
	all := map[netip.AddrPort]int{}
	for entry := t.buffer[serverListSize:]; len(entry) >= destinationSize; entry = entry[destinationSize:] {
		address := netip.AddrPortFrom(netip.AddrFrom4([4]byte(entry)), binary.BigEndian.Uint16(entry[4:]))
		all[address] = int(binary.NativeEndian.Uint32(entry[12:]))
	}
	return all, nil
}

// ask writes the key of a TCP service to where both structures have it.
func (t *table) ask(service netip.AddrPort) {
	clear(t.buffer)
	address := service.Addr().As4()
	binary.NativeEndian.PutUint16(t.buffer, unix.IPPROTO_TCP)
	copy(t.buffer[4:], address[:])
	binary.BigEndian.PutUint16(t.buffer[8:], service.Port())
}

// awaited follows a table until it has all of a site.
type awaited struct {
	*table
	site *site
	// complete is how many services, from the first on, have been seen to have
	// all their real servers.
	complete int
}

// done is nil when everything of the site is there. It asks for each service
// once only, because most have been seen complete before.
func (a *awaited) done() error {
	n, err := a.services()
	if err != nil {
		return err
	}
	for ; a.complete < len(a.site.services); a.complete++ {
		service := a.site.services[a.complete]
		have, err := a.servers(service.address)
		if err != nil {
			return err
		}
		if have < len(service.servers) {
			return fmt.Errorf("%v has %d of %d real servers, of the services %d of %d are there", service.address, have, len(service.servers), n, len(a.site.services))
		}
	}
	return nil
}
