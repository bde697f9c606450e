package netif

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// anyProtocol is the protocol of a tunnel device that takes whatever is inside.
const anyProtocol = 0

// ip6TunnelParameters is struct ip6_tnl_parm of linux/ip6_tunnel.h, of which the
// fallback device has nothing but name and protocol.
type ip6TunnelParameters struct {
	name     [unix.IFNAMSIZ]byte
	_        uint32 // underlying interface
	protocol uint8
	_        [3]uint8    // encapsulation limit, hop limit
	_        [2]uint32   // flow label, flags
	_        [2][16]byte // addresses
}

// ip6TunnelRequest is struct ifreq with a pointer in it.
type ip6TunnelRequest struct {
	name       [unix.IFNAMSIZ]byte
	parameters *ip6TunnelParameters
	_          [24 - unsafe.Sizeof(uintptr(0))]byte
}

// changeTunnel is SIOCCHGTUNNEL of linux/if_tunnel.h.
const changeTunnel = unix.SIOCDEVPRIVATE + 3

// acceptBothFamilies makes the IPv6 fallback device take IPv4 and IPv6 packets
// out of IPv6 ones. The kernel changes nothing else of that device, and takes
// the change by ioctl only.
func acceptBothFamilies(device string) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	parameters := &ip6TunnelParameters{protocol: anyProtocol}
	copy(parameters.name[:], device)
	request := ip6TunnelRequest{parameters: parameters}
	copy(request.name[:], device)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), changeTunnel, uintptr(unsafe.Pointer(&request)))
	runtime.KeepAlive(parameters)
	if errno != 0 {
		return errors.Join(errno, unix.Close(fd))
	}
	return unix.Close(fd)
}
