package lab

import (
	"encoding/binary"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ReadStamped reads packets from a socket with SO_TIMESTAMPNS until the file is closed,
// and gives each with the kernel's time of its arrival; zero if it has none. The packet
// is valid until take returns.
func ReadStamped(file *os.File, take func(packet []byte, at time.Time)) {
	raw, err := file.SyscallConn()
	if err != nil {
		return
	}
	packet, control := make([]byte, 2048), make([]byte, 128)
	for {
		var n, stamped int
		var errno error
		err := raw.Read(func(fd uintptr) bool {
			n, stamped, _, _, errno = unix.Recvmsg(int(fd), packet, control, 0)
			return !errors.Is(errno, unix.EAGAIN)
		})
		if err != nil {
			return // closed
		}
		if errno == nil {
			take(packet[:n], stamp(control[:stamped]))
		}
	}
}

// stamp is the time in a packet's control messages.
func stamp(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= 16 {
			return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		}
	}
	return time.Time{}
}
