package ipvsadm

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// The titles of the connection table, without and with persistence engines.
const (
	connectionTitle = "IPVS connection entries\n" +
		"pro expire state       source             virtual            destination"
	engineTitle = "        pe name          pe_data"
)

// WriteConnections prints the connections as ipvsadm -L -c does, in the order
// in which they come and as they come. Columns says what more it prints: with
// Persistent the persistence engine and its data (--persistent-conn). The first
// error among the connections ends it.
func WriteConnections(w io.Writer, connections iter.Seq2[ipvs.Connection, error], o Options) error {
	out := bufio.NewWriterSize(w, bufferSize)
	title := connectionTitle
	if o.Columns == Persistent {
		title += engineTitle
	}
	_, _ = out.WriteString(title + "\n")
	for c, err := range connections {
		if err != nil {
			_ = out.Flush()
			return err
		}
		_, _ = out.Write(o.appendConnection(out.AvailableBuffer(), &c))
	}
	return out.Flush()
}

// appendConnection appends a row. With an engine's data the last columns are not
// below their titles.
func (o Options) appendConnection(b []byte, c *ipvs.Connection) []byte {
	b = append(appendText(b, connectionProtocol(c.Protocol), 3), ' ')
	b = append(appendExpiry(b, c.Expires), ' ')
	b = append(appendText(b, c.State, 11), ' ')
	b = append(o.appendConnectionEnd(b, c.Client, c.Protocol, 18), ' ')
	b = append(o.appendConnectionEnd(b, c.Virtual, c.Protocol, 18), ' ')
	if o.Columns != Persistent || c.Engine == "" {
		return append(o.appendConnectionEnd(b, c.Destination, c.Protocol, 0), '\n')
	}
	b = append(o.appendConnectionEnd(b, c.Destination, c.Protocol, 16), ' ')
	b = append(appendText(b, c.Engine, 18), ' ')
	return append(append(b, c.EngineData...), '\n')
}

func (o Options) appendConnectionEnd(b []byte, a netip.AddrPort, p ipvs.Protocol, width int) []byte {
	return pad(o.appendAddressPort(b, a, p), len(b), width)
}

// connectionProtocol is the kernel's name of a protocol.
func connectionProtocol(p ipvs.Protocol) string {
	switch p {
	case 0:
		return "IP"
	case 1:
		return "ICMP"
	case ipvs.TCP:
		return "TCP"
	case ipvs.UDP:
		return "UDP"
	case 58:
		return "ICMPv6"
	case ipvs.SCTP:
		return "SCTP"
	default:
		return fmt.Sprintf("IP_%d", p)
	}
}

// appendExpiry appends minutes and seconds to the left of their column; there
// may be more than 99 minutes.
func appendExpiry(b []byte, d time.Duration) []byte {
	start := len(b)
	b = appendTwoDigits(b, int64(d/time.Minute))
	b = appendTwoDigits(append(b, ':'), int64(d%time.Minute/time.Second))
	return pad(b, start, 6)
}

func appendTwoDigits(b []byte, n int64) []byte {
	if n < 10 {
		b = append(b, '0')
	}
	return appendInt(b, n, 0)
}
