package ipvs

import (
	"fmt"
	"net/netip"
	"strings"
)

// DaemonState is what a synchronisation daemon does; the kernel runs at most
// one of each state in a network namespace, side by side.
type DaemonState uint8

// The states (IP_VS_STATE_*).
const (
	DaemonMaster DaemonState = 1 // sends what this node's connections do
	DaemonBackup DaemonState = 2 // takes in what others send
)

// String is "master" or "backup".
func (s DaemonState) String() string {
	switch s {
	case DaemonMaster:
		return "master"
	case DaemonBackup:
		return "backup"
	default:
		return fmt.Sprintf("daemon state %d", uint8(s))
	}
}

// Daemon is a connection synchronisation daemon as the kernel can be told of
// it. It is comparable. Started with zeros, it is read back with what the
// kernel took in their place.
type Daemon struct {
	State DaemonState
	// Interface is where it sends and listens, up to 15 bytes.
	Interface string
	// ID is 0..255; a backup takes only messages with its own ID, and with 0
	// every message.
	ID uint8
	// MaxLen is the longest message in bytes; 0 is what fits the interface's
	// MTU.
	MaxLen uint16
	// Group is the multicast group; zero is 224.0.0.81.
	Group netip.Addr
	// Port is the UDP port; 0 is 8848.
	Port uint16
	// TTL is that of the messages; 0 is 1.
	TTL uint8
}

// String is what is set: "master on eth0 id 51 maxlen 1472 group 224.0.0.81
// port 8848 ttl 1".
func (d Daemon) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v on %s id %d", d.State, d.Interface, d.ID)
	if d.MaxLen != 0 {
		fmt.Fprintf(&b, " maxlen %d", d.MaxLen)
	}
	if d.Group.IsValid() {
		fmt.Fprintf(&b, " group %v", d.Group)
	}
	if d.Port != 0 {
		fmt.Fprintf(&b, " port %d", d.Port)
	}
	if d.TTL != 0 {
		fmt.Fprintf(&b, " ttl %d", d.TTL)
	}
	return b.String()
}
