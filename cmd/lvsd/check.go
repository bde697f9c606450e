package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config"
)

const defaultConfig = "/etc/lvsd/lvsd.toml"

// fileFlags are the flags of every command that reads the configuration.
type fileFlags struct {
	path, node string
}

func (f *fileFlags) register(command *cobra.Command) {
	command.Flags().StringVarP(&f.path, "config", "c", defaultConfig, "configuration `FILE`")
	command.Flags().StringVar(&f.node, "node", "", "read the file as the node `NAME` does (default: this host's name)")
}

// load reads the file for the node.
func (f *fileFlags) load() (*config.Config, error) {
	node := f.node
	if node == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("host name: %w", err)
		}
		node = name
	}
	return config.Load(f.path, node)
}

func newCheck() *cobra.Command {
	var file fileFlags
	command := &cobra.Command{
		Use:   "check",
		Short: "Report every error of the configuration; exit 0 only for a valid file",
		Args:  noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := file.load()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(command.OutOrStdout(), "%s: valid; VRRP instances: %d, virtual services: %d\n",
				file.path, len(c.VRRP), len(c.Services))
			return err
		},
	}
	file.register(command)
	return command
}
