package probe

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// FuzzICMPReport reads any control message as the kernel's report of an ICMP
// error.
func FuzzICMPReport(f *testing.F) {
	refused := make([]byte, 16+unix.SizeofSockaddrInet6)
	refused[4], refused[5], refused[6] = unix.SO_EE_ORIGIN_ICMP, 3, 3
	binary.NativeEndian.PutUint16(refused[16:], unix.AF_INET)
	f.Add(int32(unix.SOL_IP), int32(unix.IP_RECVERR), refused[:16+unix.SizeofSockaddrInet4])
	refused[4], refused[5] = unix.SO_EE_ORIGIN_ICMP6, 1
	binary.NativeEndian.PutUint16(refused[16:], unix.AF_INET6)
	f.Add(int32(unix.SOL_IPV6), int32(unix.IPV6_RECVERR), refused)
	f.Add(int32(unix.SOL_IP), int32(unix.IP_RECVERR), refused[:15])
	f.Fuzz(func(t *testing.T, level, kind int32, data []byte) {
		m := unix.SocketControlMessage{Header: unix.Cmsghdr{Level: level, Type: kind}, Data: data}
		if r, ok := parseICMPReport(m); ok && r.String() == "" {
			t.Errorf("%x says nothing", data)
		}
	})
}
