package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/ipvsadm"
)

// nameTimeout bounds all look-ups of host names together; what has no name by
// then is printed as a number.
const nameTimeout = 10 * time.Second

const listHelp = `Print the kernel's IPVS tables byte for byte as ipvsadm 1.31 -L does, or with
--save as ipvsadm -S does. It reads the kernel: no daemon needs to run.

Of --stats, --rate, --thresholds, --persistent-conn and --tun-info the first in
this order counts. Like ipvsadm's, the rules of --save carry no thresholds (-x,
-y). Unlike ipvsadm's, the counters of real servers do not start again from zero
after 4294967295.`

// listing is what is to be listed, and how.
type listing struct {
	numeric, save, connections, timeouts, daemons bool
	service                                       serviceSelection

	stats, rate, thresholds, persistent, tunnel bool
	exact, kernelOrder                          bool
}

func newList() *cobra.Command {
	var l listing
	return l.command()
}

func (l *listing) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "list",
		Short: "Print the kernel's IPVS table, or its connections, as ipvsadm -L does",
		Long:  listHelp,
		Args:  noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := refuseConflicts(command); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(command.Context(), nameTimeout)
			defer cancel()
			return l.write(ctx, command.OutOrStdout())
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&l.numeric, "numeric", "n", false, "print addresses and ports as numbers")
	l.service.addFlags(command)
	flags.BoolVarP(&l.connections, "connection", "c", false, "print the connections")
	flags.BoolVar(&l.timeouts, "timeout", false, "print how long idle connections are kept (tcp tcpfin udp), in seconds")
	flags.BoolVar(&l.daemons, "daemon", false, "print the connection synchronisation daemons")
	flags.BoolVarP(&l.save, "save", "S", false, "print the table as rules for ipvsadm --restore")
	flags.BoolVar(&l.stats, "stats", false, "print counters")
	flags.BoolVar(&l.rate, "rate", false, "print rates per second")
	flags.BoolVar(&l.thresholds, "thresholds", false, "print the connection thresholds")
	flags.BoolVar(&l.persistent, "persistent-conn", false, "print persistent connections; with -c, persistence engines")
	flags.BoolVar(&l.tunnel, "tun-info", false, "print how tunnels wrap packets")
	flags.BoolVarP(&l.exact, "exact", "X", false, "print counters in full, without K, M, G and T")
	flags.Bool("sort", true, "sort by address; --nosort prevails")
	flags.BoolVar(&l.kernelOrder, "nosort", false, "print services and real servers in the kernel's order")
	return command
}

// services are the options that select one service.
var services = []string{"tcp-service", "udp-service", "sctp-service", "fwmark-service"}

// refuseConflicts refuses the options that ipvsadm refuses together.
func refuseConflicts(command *cobra.Command) error {
	columns := []string{"stats", "rate", "thresholds"}
	for _, conflict := range []struct {
		option string
		others [][]string
	}{
		{"save", [][]string{services, {"connection", "timeout", "daemon"}, columns, {"persistent-conn", "tun-info", "exact", "nosort"}}},
		{"connection", [][]string{services, {"timeout", "daemon"}, columns}},
		{"timeout", [][]string{services, {"daemon"}, columns, {"persistent-conn"}}},
		{"daemon", [][]string{services, columns, {"persistent-conn"}}},
	} {
		if !command.Flags().Changed(conflict.option) {
			continue
		}
		for _, others := range conflict.others {
			for _, other := range others {
				if command.Flags().Changed(other) {
					return usageError{fmt.Errorf("--%s and --%s exclude each other", conflict.option, other)}
				}
			}
		}
	}
	if command.Flags().Changed("ipv6") && !command.Flags().Changed("fwmark-service") {
		return usageError{errors.New("--ipv6 needs --fwmark-service: an address says its family itself")}
	}
	return nil
}

func (l *listing) write(ctx context.Context, w io.Writer) error {
	key, selected, err := l.service.key(ctx)
	if err != nil {
		return err
	}
	options, err := l.options(ctx)
	if err != nil {
		return err
	}
	client, err := ipvs.Open()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	switch {
	case l.connections:
		return listConnections(w, options)
	case l.timeouts:
		timeouts, err := client.Timeouts()
		if err != nil {
			return err
		}
		return ipvsadm.WriteTimeouts(w, timeouts)
	case l.daemons:
		daemons, err := client.Daemons()
		if err != nil {
			return err
		}
		return ipvsadm.WriteDaemons(w, daemons)
	case selected:
		return l.listService(w, client, key, options)
	default:
		return l.listTable(w, client, options)
	}
}

// options are those of the format; names are resolved as the system does,
// unless numeric.
func (l *listing) options(ctx context.Context) (ipvsadm.Options, error) {
	o := ipvsadm.Options{Columns: l.columns(), Exact: l.exact, KernelOrder: l.kernelOrder}
	if l.numeric || l.timeouts || l.daemons {
		return o, nil
	}
	var ports io.Reader = strings.NewReader("")
	file, err := os.Open(ipvsadm.ServicesFile)
	switch {
	case err == nil:
		defer func() { _ = file.Close() }()
		ports = file
	case !errors.Is(err, fs.ErrNotExist):
		return o, fmt.Errorf("names of ports: %w", err)
	}
	names, err := ipvsadm.NewSystemNames(ctx, ports)
	if err != nil {
		return o, fmt.Errorf("names of ports: %w", err)
	}
	o.Names = names
	return o, nil
}

func (l *listing) columns() ipvsadm.Columns {
	switch {
	case l.connections && l.persistent:
		return ipvsadm.Persistent
	case l.stats:
		return ipvsadm.Stats
	case l.rate:
		return ipvsadm.Rate
	case l.thresholds:
		return ipvsadm.Thresholds
	case l.persistent:
		return ipvsadm.Persistent
	case l.tunnel:
		return ipvsadm.Tunnel
	default:
		return ipvsadm.Connections
	}
}

func (l *listing) listTable(w io.Writer, client *ipvs.Client, options ipvsadm.Options) error {
	services, err := l.read(client)
	if err != nil {
		return err
	}
	if l.save {
		return ipvsadm.WriteRules(w, services, options)
	}
	info, err := client.Info()
	if err != nil {
		return err
	}
	return ipvsadm.WriteTable(w, info, services, options)
}

func (l *listing) listService(w io.Writer, client *ipvs.Client, key ipvs.ServiceKey, options ipvsadm.Options) error {
	services, err := l.read(client)
	if err != nil {
		return err
	}
	for _, s := range services {
		if s.ServiceKey == key {
			return ipvsadm.WriteService(w, s, options)
		}
	}
	return fmt.Errorf("service %v: %w", key, ipvs.ErrNotExist)
}

// read reads no more of the table than is printed.
func (l *listing) read(client *ipvs.Client) ([]ipvs.ServiceEntry, error) {
	if l.columns() == ipvsadm.Connections && !l.save {
		return client.Table()
	}
	return client.Services()
}

func listConnections(w io.Writer, options ipvsadm.Options) error {
	table, err := os.Open(ipvs.ConnectionsFile)
	if err != nil {
		return fmt.Errorf("connections: %w", err)
	}
	defer func() { _ = table.Close() }()
	return ipvsadm.WriteConnections(w, ipvs.Connections(table), options)
}
