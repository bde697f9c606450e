package netif

import (
	"errors"
	"fmt"
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linkRequests asks for an interface by ioctl (netdevice(7)), which takes no
// lock that a batch of address changes may hold, as rtnetlink does.
type linkRequests struct{ fd int }

// linkRequest is struct ifreq of linux/if.h: a name and, here, a hardware
// address in a struct sockaddr.
type linkRequest struct {
	name    [unix.IFNAMSIZ]byte
	family  uint16
	address [14]byte
	_       [8]byte
}

// link is what there is to know for speaking on an interface.
type link struct {
	index    int
	flags    uint16
	hardware net.HardwareAddr
}

// silent reports whether there are no neighbours to speak to by ARP or
// neighbour discovery: as on a loopback or point-to-point interface.
func (l link) silent() bool { return l.flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) != 0 }

func openLinkRequests() (linkRequests, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return linkRequests{}, fmt.Errorf("socket: %w", err)
	}
	return linkRequests{fd}, nil
}

// askLink is one question.
func askLink(ifname string) (link, error) {
	requests, err := openLinkRequests()
	if err != nil {
		return link{}, err
	}
	l, err := requests.ask(ifname)
	return l, errors.Join(err, requests.close())
}

func (r linkRequests) close() error { return unix.Close(r.fd) }

func (r linkRequests) ask(ifname string) (link, error) {
	ifr, err := unix.NewIfreq(ifname)
	if err != nil {
		return link{}, err
	}
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return link{}, absent(err)
	}
	l := link{index: int(ifr.Uint32())}
	if err := unix.IoctlIfreq(r.fd, unix.SIOCGIFFLAGS, ifr); err != nil {
		return link{}, absent(err)
	}
	l.flags = ifr.Uint16()
	if l.hardware, err = r.hardware(ifname); err != nil {
		return link{}, absent(err)
	}
	return l, nil
}

func (r linkRequests) hardware(ifname string) (net.HardwareAddr, error) {
	var request linkRequest
	copy(request.name[:], ifname)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(r.fd), unix.SIOCGIFHWADDR, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return nil, errno
	}
	return net.HardwareAddr(request.address[:len(MAC{})]), nil
}

func absent(err error) error {
	if errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("no such interface: %w", err)
	}
	return err
}
