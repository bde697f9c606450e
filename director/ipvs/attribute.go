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

// zeros is what attributes and addresses are padded with.
var zeros [16]byte

// appendAttribute appends one attribute, padded.
func appendAttribute(b []byte, kind uint16, value []byte) []byte {
	b = appendHeader(b, kind, len(value))
	return appendPadded(b, value)
}

// appendText appends a string with its terminating zero.
func appendText(b []byte, kind uint16, text string) []byte {
	b = appendHeader(b, kind, len(text)+1)
	b = append(append(b, text...), 0)
	return append(b, zeros[:padding(len(text)+1)]...)
}

func appendUint8(b []byte, kind uint16, v uint8) []byte {
	b = appendHeader(b, kind, 1)
	return append(b, v, 0, 0, 0)
}

func appendUint16(b []byte, kind, v uint16) []byte {
	b = native.AppendUint16(appendHeader(b, kind, 2), v)
	return append(b, 0, 0)
}

func appendUint32(b []byte, kind uint16, v uint32) []byte {
	return native.AppendUint32(appendHeader(b, kind, 4), v)
}

// appendPort appends a port, which IPVS wants in network byte order.
func appendPort(b []byte, kind, port uint16) []byte {
	b = binary.BigEndian.AppendUint16(appendHeader(b, kind, 2), port)
	return append(b, 0, 0)
}

// beginNested appends the header of an attribute that holds attributes. What is
// appended until endNested is inside.
func beginNested(b []byte, kind uint16) (_ []byte, start int) {
	return appendHeader(b, kind|flagNested, 0), len(b)
}

func endNested(b []byte, start int) []byte {
	native.PutUint16(b[start:], uint16(len(b)-start))
	return b
}

func appendHeader(b []byte, kind uint16, length int) []byte {
	b = native.AppendUint16(b, uint16(attributeHeader+length))
	return native.AppendUint16(b, kind)
}

func appendPadded(b, value []byte) []byte {
	b = append(b, value...)
	return append(b, zeros[:padding(len(value))]...)
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

func readAttributes(b []byte) attributeReader {
	return attributeReader{rest: b}
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
// zero bytes, n up to 16.
func (r *attributeReader) sized(n int) []byte {
	if len(r.value) != n {
		r.fail("attribute %d has %d bytes, not %d", r.kind, len(r.value), n)
		return zeros[:n]
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
func (r *attributeReader) text() []byte {
	if end := bytes.IndexByte(r.value, 0); end >= 0 {
		return r.value[:end]
	}
	return r.value
}

func (r *attributeReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}
