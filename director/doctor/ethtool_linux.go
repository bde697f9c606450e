package doctor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	ethtoolGetFlags = 0x25    // ETHTOOL_GFLAGS
	ethtoolLRO      = 1 << 15 // ETH_FLAG_LRO
)

// ethtoolValue is struct ethtool_value, ethtoolRequest the struct ifreq with it.
type (
	ethtoolValue   struct{ command, data uint32 }
	ethtoolRequest struct {
		name  [unix.IFNAMSIZ]byte
		value *ethtoolValue
		_     [24 - unsafe.Sizeof(uintptr(0))]byte
	}
)

// mergesReceived reports whether large receive offload is on. An interface that
// does not say has none.
func mergesReceived(ifname string) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	value := ethtoolValue{command: ethtoolGetFlags}
	request := ethtoolRequest{value: &value}
	copy(request.name[:unix.IFNAMSIZ-1], ifname)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
	return errno == 0 && value.data&ethtoolLRO != 0
}
