package main

import (
	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config"
)

func newSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema of the configuration, for editors",
		Long: "Print a JSON Schema of the configuration, for editors that complete and check TOML.\n\n" +
			"With taplo, a file that begins with the line\n\n" +
			"  #:schema /usr/share/lvsd/schema.json\n\n" +
			"is checked against what was saved there. lvsd check knows more: what belongs together.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := command.OutOrStdout().Write(config.Schema())
			return err
		},
	}
}
