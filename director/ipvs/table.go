package ipvs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
)

// tableLine is one line of /proc/net/ip_vs: a service, or a destination of the
// service in the last such line.
type tableLine struct {
	service bool
	// key is that of a service. The family of one with a mark is not told.
	key ServiceKey
	// destination has only what the line tells.
	destination DestinationEntry
}

// lines are the lines of /proc/net/ip_vs; the first error ends them.
type lines = iter.Seq2[*tableLine, error]

const (
	// tableHeader is the number of lines before the first service.
	tableHeader = 3
	// tableBuffer is longer than any line, and what one read may return.
	tableBuffer = 16 << 10
)

// tableLines reads the format of /proc/net/ip_vs. A line is valid until the
// next.
func tableLines(r io.Reader) lines {
	return func(yield func(*tableLine, error) bool) {
		in := bufio.NewReaderSize(r, tableBuffer)
		var line tableLine
		for n := 1; ; n++ {
			text, err := in.ReadSlice('\n')
			if errors.Is(err, io.EOF) && len(text) == 0 {
				return
			}
			if err == nil && n > tableHeader {
				err = line.parse(text)
			}
			if err != nil {
				yield(nil, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if n > tableHeader && !yield(&line, nil) {
				return
			}
		}
	}
}

// parse reads one line with its end.
func (l *tableLine) parse(text []byte) error {
	*l = tableLine{}
	first, rest := field(text)
	switch string(first) {
	case "->":
		return l.parseDestination(rest)
	case "FWM":
		return l.parseMark(rest)
	case "TCP":
		l.key.Protocol = TCP
	case "UDP":
		l.key.Protocol = UDP
	case "SCTP":
		l.key.Protocol = SCTP
	default:
		var err error
		if l.key.Protocol, err = parseProtocol(string(first)); err != nil {
			return err
		}
	}
	l.service = true
	address, _ := field(rest)
	var err error
	if l.key.Address, err = parseEndpoint(address); err != nil {
		return err
	}
	l.key.Family = familyOf(l.key.Address.Addr())
	return nil
}

func (l *tableLine) parseMark(rest []byte) error {
	text, _ := field(rest)
	mark, ok := parseHex(text, 8)
	if !ok || mark == 0 {
		return fmt.Errorf("mark %q", text)
	}
	l.service, l.key.Mark = true, mark
	return nil
}

func (l *tableLine) parseDestination(rest []byte) error {
	address, rest := field(rest)
	forwarding, rest := field(rest)
	d := &l.destination
	var err error
	if d.Address, err = parseEndpoint(address); err != nil {
		return err
	}
	switch string(forwarding) {
	case "Masq":
		d.Forwarding = Masquerade
	case "Local":
		d.Forwarding = Local
	case "Tunnel":
		d.Forwarding = Tunnel
	case "Route":
		d.Forwarding = DirectRoute
	default:
		return fmt.Errorf("forwarding method %q", forwarding)
	}
	var numbers [3]int64
	for i := range numbers {
		var text []byte
		text, rest = field(rest)
		var ok bool
		if numbers[i], ok = parseDecimal(text); !ok {
			return fmt.Errorf("number %q", text)
		}
	}
	d.Weight, d.Active, d.Inactive = int(numbers[0]), uint32(numbers[1]), uint32(numbers[2])
	return nil
}

// field takes the first field off a line.
func field(line []byte) (first, rest []byte) {
	start := 0
	for start < len(line) && isSpace(line[start]) {
		start++
	}
	end := start
	for end < len(line) && !isSpace(line[end]) {
		end++
	}
	return line[start:end], line[end:]
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' }

// parseEndpoint reads an address and a port: 0A090064:0050 or
// [2001:0db8:0000:0000:0000:0000:0000:0001]:0050.
func parseEndpoint(b []byte) (netip.AddrPort, error) {
	colon := bytes.LastIndexByte(b, ':')
	if colon < 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q", b)
	}
	address := b[:colon]
	port, ok := parseHex(b[colon+1:], 4)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("port %q", b)
	}
	if v4, ok := parseHex(address, 8); ok {
		raw := [4]byte{byte(v4 >> 24), byte(v4 >> 16), byte(v4 >> 8), byte(v4)}
		return netip.AddrPortFrom(netip.AddrFrom4(raw), uint16(port)), nil
	}
	raw, ok := parseIPv6(address)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("address %q", b)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(raw), uint16(port)), nil
}

// parseIPv6 reads an address in brackets with all its digits.
func parseIPv6(b []byte) (raw [16]byte, ok bool) {
	const length = len("[0000:0000:0000:0000:0000:0000:0000:0000]")
	if len(b) != length || b[0] != '[' || b[length-1] != ']' {
		return raw, false
	}
	for i := range 8 {
		group := b[1+5*i : 5+5*i]
		v, ok := parseHex(group, 4)
		if !ok || i < 7 && b[5+5*i] != ':' {
			return raw, false
		}
		raw[2*i], raw[2*i+1] = byte(v>>8), byte(v)
	}
	return raw, true
}

// parseHex reads a number of so many hexadecimal digits, up to 8.
func parseHex(b []byte, digits int) (v uint32, ok bool) {
	if len(b) != digits {
		return 0, false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint32(c)
	}
	return v, true
}

// parseDecimal reads a number of 32 bits, with or without sign.
func parseDecimal(b []byte) (v int64, ok bool) {
	digits, negative := bytes.CutPrefix(b, []byte("-"))
	if len(digits) == 0 || len(digits) > 10 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	if negative {
		v = -v
	}
	return v, true
}
