package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newGenerate is for who makes packages: it writes what describes the commands.
func newGenerate() *cobra.Command {
	var reference string
	command := &cobra.Command{
		Use:    "generate DIRECTORY",
		Short:  "Write man pages and the files for completion",
		Hidden: true,
		Args:   oneDirectory,
		RunE: func(command *cobra.Command, arguments []string) error {
			return generate(command.Root(), arguments[0], reference)
		},
	}
	command.Flags().StringVar(&reference, "reference", "", "`FILE` in Markdown that becomes lvsd.toml(5)")
	return command
}

func oneDirectory(command *cobra.Command, arguments []string) error {
	if len(arguments) != 1 {
		return usageError{fmt.Errorf("%s takes one directory, got %q", command.CommandPath(), arguments)}
	}
	return nil
}

// generate writes man/*.8, with a reference man/lvsd.toml.5, and completion/lvsd.bash,
// _lvsd and lvsd.fish.
func generate(root *cobra.Command, directory, reference string) error {
	man, completion := filepath.Join(directory, "man"), filepath.Join(directory, "completion")
	for _, path := range []string{man, completion} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
	}
	header := doc.GenManHeader{Section: "8", Source: "lvsd " + version(), Manual: "lvsd"}
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, &header, man); err != nil {
		return fmt.Errorf("man pages: %w", err)
	}
	if reference != "" {
		text, err := os.ReadFile(reference)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(man, "lvsd.toml.5"), referencePage(text), 0o644); err != nil {
			return err
		}
	}
	return completions(root, completion)
}

// referencePage is lvsd.toml(5). The text's own title becomes the section NAME that
// man(1) and apropos(1) look for.
func referencePage(text []byte) []byte {
	if bytes.HasPrefix(text, []byte("# ")) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	head := "% \"lvsd.toml\" \"5\" \"\" \"lvsd " + version() + "\" \"lvsd\"\n" +
		"# NAME\n\nlvsd.toml - the configuration file of lvsd(8)\n\n# DESCRIPTION\n\n"
	return md2man.Render(append([]byte(head), text...))
}

func completions(root *cobra.Command, directory string) error {
	const described = true
	if err := root.GenBashCompletionFileV2(filepath.Join(directory, "lvsd.bash"), described); err != nil {
		return fmt.Errorf("completion for bash: %w", err)
	}
	if err := root.GenZshCompletionFile(filepath.Join(directory, "_lvsd")); err != nil {
		return fmt.Errorf("completion for zsh: %w", err)
	}
	if err := root.GenFishCompletionFile(filepath.Join(directory, "lvsd.fish"), described); err != nil {
		return fmt.Errorf("completion for fish: %w", err)
	}
	return nil
}
