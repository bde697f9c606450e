package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

const defaultConfig = "/etc/lvsd/lvsd.toml"

// fileFlags are the flags of every command that reads the configuration.
type fileFlags struct {
	path, node string
}

func (f *fileFlags) register(command *cobra.Command) {
	command.Flags().StringVarP(&f.path, "config", "c", defaultConfig, "configuration `FILE`")
	command.Flags().StringVar(&f.node, "node", "", "read the file as the node `NAME` does (default: this host's name)")
	completeFlag(command, "node", func(n names) []string { return n.nodes })
}

// load reads the file for the node.
func (f *fileFlags) load() (*config.Config, error) {
	node, err := f.nodeName()
	if err != nil {
		return nil, err
	}
	return config.Load(f.path, node)
}

// nodeName is the node that the file is read as.
func (f *fileFlags) nodeName() (string, error) {
	if f.node != "" {
		return f.node, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("host name: %w", err)
	}
	return name, nil
}

func newCheck() *cobra.Command {
	var file fileFlags
	var host bool
	command := &cobra.Command{
		Use:   "check",
		Short: "Report every error of the configuration; exit 0 only for a valid file",
		Long: "Report every error of the configuration; exit 0 only for a valid file.\n\n" +
			"With --host, also report what this host lacks for it: modules, interfaces,\n" +
			"iptables, kernel parameters. Exit 1 if something is missing.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := file.load()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: valid; VRRP instances: %d, virtual services: %d\n",
				file.path, len(c.VRRP), len(c.Services))
			if err != nil || !host {
				return err
			}
			for _, warning := range c.Warnings {
				if _, err := fmt.Fprintln(command.ErrOrStderr(), "warning:", warning); err != nil {
					return err
				}
			}
			return reportLacks(command.OutOrStdout(), director.Lacks(c))
		},
	}
	file.register(command)
	command.Flags().BoolVar(&host, "host", false, "also report what this host lacks for the configuration")
	return command
}

// reportLacks prints them; the error is that something is missing for sure.
func reportLacks(w io.Writer, lacks []director.Lack) error {
	missing := 0
	for _, lack := range lacks {
		if lack.Unknown == "" {
			missing++
		}
		if _, err := fmt.Fprintln(w, lack); err != nil {
			return err
		}
	}
	switch {
	case missing > 0:
		return fmt.Errorf("missing on this host: %d", missing)
	case len(lacks) == 0:
		_, err := fmt.Fprintln(w, "this host has what it needs")
		return err
	}
	return nil
}
