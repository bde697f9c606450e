package ipvsadm

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// connectionRow is a line of the connection table: protocol, expiry, state,
// source, virtual, destination.
const connectionRow = "%-3s %-6s %-11s %-18s %-18s %s\n"

// WriteConnections prints the connections as ipvsadm -L -c does, in the order
// in which they come and as they come. The first error among them ends it.
func WriteConnections(w io.Writer, connections iter.Seq2[ipvs.Connection, error], o Options) error {
	b := bufio.NewWriter(w)
	fmt.Fprint(b, "IPVS connection entries\n")
	fmt.Fprintf(b, connectionRow, "pro", "expire", "state", "source", "virtual", "destination")
	for c, err := range connections {
		if err != nil {
			_ = b.Flush()
			return err
		}
		fmt.Fprintf(b, connectionRow, connectionProtocol(c.Protocol), expiry(c.Expires), c.State,
			o.addressPort(c.Client, c.Protocol),
			o.addressPort(c.Virtual, c.Protocol),
			o.addressPort(c.Destination, c.Protocol))
	}
	return b.Flush()
}

// connectionProtocol is the kernel's name of a protocol.
func connectionProtocol(p ipvs.Protocol) string {
	switch p {
	case 0, ipvs.TCP, ipvs.UDP, ipvs.SCTP:
		return strings.ToUpper(p.String())
	case 1:
		return "ICMP"
	case 58:
		return "ICMPv6"
	default:
		return fmt.Sprintf("IP_%d", p)
	}
}

// expiry is minutes and seconds; there may be more than 99 minutes.
func expiry(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", d/time.Minute, d%time.Minute/time.Second)
}
