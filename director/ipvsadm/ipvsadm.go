// Package ipvsadm prints the kernel's IPVS tables byte for byte as ipvsadm 1.31
// prints them, so that what reads the one can read the other: its -L in every
// format, and its -S. It knows columns, widths, order and truncation. It must
// not know where the tables come from, nor the daemon's own view of them.
//
// There is one difference. Of the counters of a real server ipvsadm reads the
// lower 32 bits, so that connections, packets and rates start again from zero
// after 4294967295. This package prints them as the kernel counts.
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
	Names   Names
	Columns Columns
	// Exact prints counters in full (--exact), which otherwise end in K, M, G or
	// T from 100,000,000 on.
	Exact bool
	// KernelOrder leaves services and destinations as they come (--nosort).
	KernelOrder bool
}

// bufferSize holds some hundred lines, so that a large table takes few writes.
const bufferSize = 64 << 10

// WriteTable prints the services and their destinations as ipvsadm -L does. It
// wants both in the kernel's order, on which ipvsadm's own depends, and leaves
// them in it.
func WriteTable(w io.Writer, info ipvs.Info, services []ipvs.ServiceEntry, o Options) error {
	out := bufio.NewWriterSize(w, bufferSize)
	fmt.Fprintf(out, "IP Virtual Server version %v\n", info)
	_, _ = out.WriteString(o.Columns.title())
	o.writeServices(out, services)
	return out.Flush()
}

// WriteService prints one service as ipvsadm -L does when it is told which.
func WriteService(w io.Writer, s ipvs.ServiceEntry, o Options) error {
	out := bufio.NewWriterSize(w, bufferSize)
	_, _ = out.WriteString(o.Columns.title())
	o.writeServices(out, []ipvs.ServiceEntry{s})
	return out.Flush()
}

// writeServices leaves errors to the flush of out, which keeps the first.
func (o Options) writeServices(out *bufio.Writer, services []ipvs.ServiceEntry) {
	var (
		bySelector order[ipvs.ServiceEntry]
		byAddress  order[ipvs.DestinationEntry]
	)
	for _, s := range bySelector.of(services, o.KernelOrder, compareServices) {
		_, _ = out.Write(o.appendService(out.AvailableBuffer(), s))
		for _, d := range byAddress.of(s.Destinations, o.KernelOrder, compareDestinations) {
			_, _ = out.Write(o.appendDestination(out.AvailableBuffer(), d, s.Protocol))
		}
	}
}

// WriteTimeouts prints what ipvsadm -L --timeout does.
func WriteTimeouts(w io.Writer, t ipvs.Timeouts) error {
	_, err := fmt.Fprintf(w, "Timeout (tcp tcpfin udp): %.0f %.0f %.0f\n",
		t.TCP.Seconds(), t.TCPFin.Seconds(), t.UDP.Seconds())
	return err
}

// WriteDaemons prints the synchronisation daemons as ipvsadm -L --daemon does:
// the master first, and nothing when none runs.
func WriteDaemons(w io.Writer, daemons []ipvs.Daemon) error {
	out := bufio.NewWriter(w)
	for _, row := range [...]struct {
		state ipvs.DaemonState
		name  string
	}{{ipvs.DaemonMaster, "master"}, {ipvs.DaemonBackup, "backup"}} {
		for _, d := range daemons {
			if d.State == row.state {
				fmt.Fprintf(out, "%s sync daemon (mcast=%s, syncid=%d, maxlen=%d, group=%s, port=%d, ttl=%d)\n",
					row.name, d.Interface, d.ID, d.MaxLen, appendAddress(nil, d.Group), d.Port, d.TTL)
			}
		}
	}
	return out.Flush()
}
