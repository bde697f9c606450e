package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/ipvsadm"
)

// nameTimeout bounds all look-ups of host names together; what has no name by
// then is printed as a number.
const nameTimeout = 10 * time.Second

func newList() *cobra.Command {
	var numeric, connections bool
	command := &cobra.Command{
		Use:   "list",
		Short: "Print the kernel's IPVS table, or its connections, as ipvsadm -L does",
		Long: "Print the kernel's IPVS table, or its connections, byte for byte as ipvsadm -L does.\n" +
			"It reads the kernel: no daemon needs to run.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(command.Context(), nameTimeout)
			defer cancel()
			options, err := listOptions(ctx, numeric)
			if err != nil {
				return err
			}
			if connections {
				return listConnections(command.OutOrStdout(), options)
			}
			return listServices(command.OutOrStdout(), options)
		},
	}
	command.Flags().BoolVarP(&numeric, "numeric", "n", false, "print addresses and ports as numbers")
	command.Flags().BoolVarP(&connections, "connection", "c", false, "print the connections")
	return command
}

// listOptions resolves names as the system does, unless numeric.
func listOptions(ctx context.Context, numeric bool) (ipvsadm.Options, error) {
	if numeric {
		return ipvsadm.Options{}, nil
	}
	services, err := os.Open(ipvsadm.ServicesFile)
	if err != nil {
		return ipvsadm.Options{}, fmt.Errorf("names of ports: %w", err)
	}
	defer func() { _ = services.Close() }()
	names, err := ipvsadm.NewSystemNames(ctx, services)
	if err != nil {
		return ipvsadm.Options{}, fmt.Errorf("names of ports: %w", err)
	}
	return ipvsadm.Options{Names: names}, nil
}

func listServices(w io.Writer, options ipvsadm.Options) error {
	client, err := ipvs.Open()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	info, err := client.Info()
	if err != nil {
		return err
	}
	services, err := client.Services()
	if err != nil {
		return err
	}
	return ipvsadm.WriteTable(w, info, services, options)
}

func listConnections(w io.Writer, options ipvsadm.Options) error {
	client, err := ipvs.Open()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	table, err := os.Open(ipvs.ConnectionsFile)
	if err != nil {
		return fmt.Errorf("connections: %w", err)
	}
	defer func() { _ = table.Close() }()
	return ipvsadm.WriteConnections(w, ipvs.Connections(table), options)
}
