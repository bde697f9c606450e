package integration

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"testing"
)

// The link types, protocols and sizes that a captured frame is taken apart by.
const (
	pcapMagic        = 0xa1b2c3d4 // microseconds, this machine's byte order
	pcapHeaderSize   = 24
	pcapRecordHeader = 16
	ethernetSize     = 14
	etherTypeIPv4    = 0x0800
	etherTypeARP     = 0x0806
	protocolVRRP     = 112
	arpSize          = ethernetSize + 28
	shortestFrame    = 60
)

// frame is one Ethernet frame.
type frame []byte

// frames reads a file that tcpdump has written, up to a last record that is not
// complete yet.
func frames(t *testing.T, path string) []frame {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < pcapHeaderSize || binary.NativeEndian.Uint32(b) != pcapMagic {
		t.Fatalf("%s: not a capture: %d bytes", path, len(b))
	}
	var all []frame
	for b = b[pcapHeaderSize:]; len(b) >= pcapRecordHeader; {
		size := int(binary.NativeEndian.Uint32(b[8:]))
		if len(b) < pcapRecordHeader+size {
			break
		}
		all = append(all, frame(b[pcapRecordHeader:pcapRecordHeader+size]))
		b = b[pcapRecordHeader+size:]
	}
	return all
}

func (f frame) etherType() uint16 { return binary.BigEndian.Uint16(f[12:]) }

func (f frame) isVRRP() bool {
	return f.etherType() == etherTypeIPv4 && f[ethernetSize+9] == protocolVRRP
}

func (f frame) isARP() bool { return f.etherType() == etherTypeARP }

// vrrp is the message behind the IPv4 header, in hexadecimal.
func (f frame) vrrp() string {
	return hex.EncodeToString(f[ethernetSize+int(f[ethernetSize]&0x0f)*4:])
}

// arp is the frame in hexadecimal, without the zeros that fill it up to the
// shortest that Ethernet has.
func (f frame) arp() string {
	message, padding := f[:min(len(f), arpSize)], f[min(len(f), arpSize):]
	if len(f) <= shortestFrame && len(bytes.Trim(padding, "\x00")) == 0 {
		return hex.EncodeToString(message)
	}
	return hex.EncodeToString(f)
}

// envelope is what surrounds the message, without what differs from packet to
// packet: the identification and the header's checksum.
func (f frame) envelope() string {
	ip := f[ethernetSize:]
	return fmt.Sprintf("to %x, version and length %02x, tos %02x, total length %d, ttl %d, %d.%d.%d.%d > %d.%d.%d.%d",
		[]byte(f[:6]), ip[0], ip[1], binary.BigEndian.Uint16(ip[2:]), ip[8],
		ip[12], ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19])
}
