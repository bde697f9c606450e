package ipvs

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A netlink attribute is its length including this header (2 bytes), its kind
// (2 bytes), the value, and padding to 4 bytes that the length does not count
// (include/uapi/linux/netlink.h). Integers are in the host's byte order.
const (
	attributeHeader = 4
	attributeAlign  = 4
	// flagNested and flagNetOrder are the two high bits of the kind.
	flagNested   = 0x8000
	flagNetOrder = 0x4000
)

var native = binary.NativeEndian

// appendAttribute appends one attribute, padded.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(attributeHeader+len(value)))
	b = native.AppendUint16(b, kind)
	b = append(b, value...)
	return append(b, make([]byte, padding(len(value)))...)
}

func appendUint16(b []byte, kind, v uint16) []byte {
	return appendAttribute(b, kind, native.AppendUint16(nil, v))
}

func appendUint32(b []byte, kind uint16, v uint32) []byte {
	return appendAttribute(b, kind, native.AppendUint32(nil, v))
}

// appendPort appends a port, which IPVS wants in network byte order.
func appendPort(b []byte, kind, port uint16) []byte {
	return appendAttribute(b, kind, binary.BigEndian.AppendUint16(nil, port))
}

func appendNested(b []byte, kind uint16, attributes []byte) []byte {
	return appendAttribute(b, kind|flagNested, attributes)
}

func padding(n int) int {
	return -n & (attributeAlign - 1)
}

// attributeReader walks over the attributes of a message. The first fault stops
// it and stays in err, so that it is checked once, after the walk.
type attributeReader struct {
	rest  []byte
	kind  uint16
	value []byte
	err   error
}

func readAttributes(b []byte) *attributeReader {
	return &attributeReader{rest: b}
}

// next moves to the next attribute and tells whether there is one.
func (r *attributeReader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	if len(r.rest) < attributeHeader {
		r.err = fmt.Errorf("attribute header cut off after %d bytes", len(r.rest))
		return false
	}
	length := int(native.Uint16(r.rest))
	if length < attributeHeader || length > len(r.rest) {
		r.err = fmt.Errorf("attribute of %d bytes in the remaining %d", length, len(r.rest))
		return false
	}
	r.kind = native.Uint16(r.rest[2:]) &^ (flagNested | flagNetOrder)
	r.value = r.rest[attributeHeader:length]
	// The kernel may leave out the padding after the last one.
	r.rest = r.rest[min(length+padding(length), len(r.rest)):]
	return true
}

// sized is the value if it has n bytes; else it records the fault and gives n
// zero bytes.
func (r *attributeReader) sized(n int) []byte {
	if len(r.value) != n {
		r.fail("attribute %d has %d bytes, not %d", r.kind, len(r.value), n)
		return make([]byte, n)
	}
	return r.value
}

func (r *attributeReader) uint8() uint8   { return r.sized(1)[0] }
func (r *attributeReader) uint16() uint16 { return native.Uint16(r.sized(2)) }
func (r *attributeReader) uint32() uint32 { return native.Uint32(r.sized(4)) }
func (r *attributeReader) port() uint16   { return binary.BigEndian.Uint16(r.sized(2)) }

// counter is an integer of 32 or 64 bits.
func (r *attributeReader) counter() uint64 {
	if len(r.value) == 4 {
		return uint64(r.uint32())
	}
	return native.Uint64(r.sized(8))
}

// text is the value up to its terminating zero.
func (r *attributeReader) text() string {
	text, _, _ := bytes.Cut(r.value, []byte{0})
	return string(text)
}

func (r *attributeReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}
