package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config/keepalived"
)

// importFlags are the flags of import.
type importFlags struct {
	nodes    []string
	configID string
	check    bool
	output   string
	color    string
}

func newImport() *cobra.Command {
	var flags importFlags
	command := &cobra.Command{
		Use:   "import FILE | --node NAME=FILE...",
		Short: "Write a keepalived.conf as lvsd's TOML; exit 0: written, 1: an error or, with --check, a difference",
		Long: "Write a keepalived.conf as lvsd's TOML, to standard output or to a file; - reads standard input.\n\n" +
			"What has no counterpart is named at the end of the result and on standard error,\n" +
			"with its line and what to do instead. So are errors in the file; the rest is imported.\n" +
			"The result is always valid.\n\n" +
			"With --node several times, the files are those of the nodes of one cluster: what\n" +
			"differs between them becomes overrides by host name.\n\n" +
			"With --check nothing is written: a table compares what keepalived would program for\n" +
			"the file with what lvsd would.",
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments)+len(flags.nodes) == 0 {
				return usageError{errors.New("import: which file? lvsd import keepalived.conf")}
			}
			return nil
		},
		RunE: func(command *cobra.Command, arguments []string) error {
			return flags.run(command, arguments)
		},
	}
	command.Flags().StringArrayVar(&flags.nodes, "node", nil, "the file of a node of the cluster, `NAME=FILE`; may be repeated")
	command.Flags().StringVarP(&flags.configID, "config-id", "i", "", "keepalived's `ID`, for lines that begin with @ (default: the short name of the node, else of this host)")
	command.Flags().BoolVar(&flags.check, "check", false, "compare what keepalived and lvsd would program, and write nothing")
	command.Flags().StringVarP(&flags.output, "output", "o", "", "write to `FILE`, which must not exist, in place of standard output")
	registerColor(command, &flags.color)
	return command
}

func (f *importFlags) run(command *cobra.Command, arguments []string) error {
	files, err := f.files(command.InOrStdin(), arguments)
	if err != nil {
		return err
	}
	options := keepalived.Options{ConfigID: f.configID, Node: files[0].Node}
	if options.ConfigID == "" && files[0].Node == "" {
		options.ConfigID = shortHostName()
	}
	result, err := keepalived.Import(files, options)
	if result != nil {
		for _, n := range result.Notes {
			fmt.Fprintln(command.ErrOrStderr(), n)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", files[0].Name, err)
	}
	if f.check {
		return f.compare(command.OutOrStdout(), files, result)
	}
	return f.write(command.OutOrStdout(), result.TOML)
}

// files reads the arguments and the nodes' files.
func (f *importFlags) files(stdin io.Reader, arguments []string) ([]keepalived.File, error) {
	var files []keepalived.File
	for _, name := range arguments {
		files = append(files, keepalived.File{Name: name})
	}
	for _, text := range f.nodes {
		node, name, ok := strings.Cut(text, "=")
		if !ok && len(arguments) == 1 && len(f.nodes) == 1 {
			files[0].Node = node
			continue
		}
		if !ok || node == "" || name == "" {
			return nil, usageError{fmt.Errorf("--node %q: want NAME=FILE", text)}
		}
		files = append(files, keepalived.File{Name: name, Node: node})
	}
	for i := range files {
		if err := readImport(&files[i], stdin); err != nil {
			return nil, err
		}
		if files[i].Node == "" && len(files) > 1 {
			return nil, usageError{fmt.Errorf("import: several files need the node that each is of: --node NAME=%s", files[i].Name)}
		}
	}
	return files, nil
}

func readImport(file *keepalived.File, stdin io.Reader) (err error) {
	if file.Name == "-" {
		file.Name = "keepalived.conf"
		file.Text, err = io.ReadAll(stdin)
	} else {
		file.Text, err = os.ReadFile(file.Name)
	}
	if err != nil {
		return fmt.Errorf("keepalived's configuration: %w", err)
	}
	return nil
}

// write never replaces a file: it may have been worked on.
func (f *importFlags) write(stdout io.Writer, text []byte) error {
	if f.output == "" || f.output == "-" {
		_, err := stdout.Write(text)
		return err
	}
	file, err := os.OpenFile(filepath.Clean(f.output), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}

func shortHostName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	name, _, _ = strings.Cut(name, ".")
	return name
}
