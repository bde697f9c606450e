package ipvs

import (
	"fmt"
	"net/netip"
)

// The attributes of a synchronisation daemon (IPVS_DAEMON_ATTR_*).
const (
	daemonState     = 1
	daemonInterface = 2
	daemonID        = 3
	daemonMaxLen    = 4
	daemonGroup     = 5 // 4 bytes
	daemonGroup6    = 6 // 16 bytes
	daemonPort      = 7 // the only port here in the host's byte order
	daemonTTL       = 8
)

// appendDaemon appends a daemon to be started. What is zero is left for the
// kernel to choose.
func appendDaemon(b []byte, d Daemon) []byte {
	b, start := beginNested(b, attributeDaemon)
	b = appendUint32(b, daemonState, uint32(d.State))
	b = appendText(b, daemonInterface, d.Interface)
	b = appendUint32(b, daemonID, uint32(d.ID))
	if d.MaxLen != 0 {
		b = appendUint16(b, daemonMaxLen, d.MaxLen)
	}
	switch {
	case d.Group.Is4():
		raw := d.Group.As4()
		b = appendAttribute(b, daemonGroup, raw[:])
	case d.Group.IsValid():
		raw := d.Group.As16()
		b = appendAttribute(b, daemonGroup6, raw[:])
	}
	if d.Port != 0 {
		b = appendUint16(b, daemonPort, d.Port)
	}
	if d.TTL != 0 {
		b = appendUint8(b, daemonTTL, d.TTL)
	}
	return endNested(b, start)
}

// appendDaemonState appends what identifies a daemon to be stopped.
func appendDaemonState(b []byte, s DaemonState) []byte {
	b, start := beginNested(b, attributeDaemon)
	return endNested(appendUint32(b, daemonState, uint32(s)), start)
}

// decodeDaemon reads one answer to commandGetDaemon.
func decodeDaemon(message []byte) (Daemon, error) {
	body, err := nested(message, attributeDaemon)
	if err != nil {
		return Daemon{}, fmt.Errorf("daemon: %w", err)
	}
	var d Daemon
	r := readAttributes(body)
	for r.next() {
		switch r.kind {
		case daemonState:
			d.State = DaemonState(r.uint32())
		case daemonInterface:
			d.Interface = string(r.text())
		case daemonID:
			d.ID = uint8(r.uint32())
		case daemonMaxLen:
			d.MaxLen = r.uint16()
		case daemonGroup:
			d.Group = netip.AddrFrom4([4]byte(r.sized(4)))
		case daemonGroup6:
			d.Group = netip.AddrFrom16([16]byte(r.sized(16)))
		case daemonPort:
			d.Port = r.uint16()
		case daemonTTL:
			d.TTL = r.uint8()
		}
	}
	if r.err != nil {
		return Daemon{}, fmt.Errorf("daemon: %w", r.err)
	}
	if d.State != DaemonMaster && d.State != DaemonBackup {
		return Daemon{}, fmt.Errorf("daemon: unknown state %d", d.State)
	}
	return d, nil
}
