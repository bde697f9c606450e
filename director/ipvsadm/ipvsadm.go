// Package ipvsadm prints the kernel's IPVS tables byte for byte as ipvsadm 1.31
// prints them, so that what reads the one can read the other: its -L and -L -c,
// with and without -n. It knows columns, widths, order and truncation. It must
// not know where the tables come from, nor the daemon's own view of them.
package ipvsadm

import (
	"bufio"
	"fmt"
	"io"

	"github.com/lvsd/lvsd/director/ipvs"
)

// Options choose what ipvsadm chooses by its options.
type Options struct {
	// Names gives the names of hosts and ports; nil prints numbers, which is
	// ipvsadm's -n.
	Names Names
}

// WriteTable prints the services and their destinations as ipvsadm -L does. It
// wants both in the kernel's order, on which ipvsadm's own depends, and leaves
// them in it.
func WriteTable(w io.Writer, info ipvs.Info, services []ipvs.ServiceEntry, o Options) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "IP Virtual Server version %v\n", info)
	fmt.Fprint(b, "Prot LocalAddress:Port Scheduler Flags\n")
	fmt.Fprint(b, "  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn\n")
	for _, s := range sorted(services, compareServices) {
		writeService(b, s.Service, o)
		for _, d := range sorted(s.Destinations, compareDestinations) {
			writeDestination(b, d, s.Protocol, o)
		}
	}
	return b.Flush()
}

func writeDestination(w io.Writer, d ipvs.DestinationEntry, p ipvs.Protocol, o Options) {
	name := o.addressPort(d.Address, p)
	if d.Address.Addr().Is4() {
		name = truncated(name, destinationWidth)
	}
	fmt.Fprintf(w, "  -> %-*s %-7s %-6d %-10d %-10d\n",
		destinationWidth, name, forwarding(d.Forwarding), int32(d.Weight), d.Active, d.Inactive)
}

// forwarding is the method's name; for one that ipvsadm has no name for it
// prints what C prints for a missing string.
func forwarding(f ipvs.Forwarding) string {
	if f > ipvs.DirectRoute {
		return "(null)"
	}
	return f.String()
}
