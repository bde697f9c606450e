package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// reloadFlags are the flags of lvsd reload.
type reloadFlags struct {
	daemonFlags
	file    fileFlags
	confirm time.Duration
	dryRun  bool
	color   string
}

func newReload() *cobra.Command {
	var flags reloadFlags
	command := &cobra.Command{
		Use:   "reload",
		Short: "Go over to the file as it is now, and wait until the kernel is as it says",
		Long: "Have the running daemon go over to its file as it is now, wait until the kernel is as\n" +
			"that says, and show what changed. Where that cannot be, all is as before, and the\n" +
			"command says why.\n\n" +
			"With --confirm, all is as before again after that time unless lvsd confirm comes\n" +
			"first: for a change that may cut off who makes it.\n" +
			"With --dry-run, only show what would change. --config and --node are for that.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := flags.check(command.Flags().Changed); err != nil {
				return err
			}
			view, err := flags.view(command.OutOrStdout())
			if err != nil {
				return err
			}
			if flags.dryRun {
				return flags.show(command, view)
			}
			answer, err := control.Reload(command.Context(), flags.socket(), control.ReloadRequest{Confirm: flags.confirm})
			if err != nil {
				return fmt.Errorf("reload: %w", err)
			}
			return flags.tell(view, answer)
		},
	}
	flags.register(command)
	flags.file.register(command)
	command.Flags().DurationVar(&flags.confirm, "confirm", 0, "roll back after this time unless it is confirmed, as 60s")
	command.Flags().BoolVar(&flags.dryRun, "dry-run", false, "show what would change, and change nothing")
	registerColor(command, &flags.color)
	hidden := newConfirm()
	hidden.Hidden = true
	command.AddCommand(hidden)
	return command
}

// check refuses what makes no sense.
func (f *reloadFlags) check(set func(flag string) bool) error {
	switch {
	case set("confirm") && (f.confirm < minConfirm || f.confirm > maxConfirm):
		return usageError{fmt.Errorf("--confirm %v: want %v..%v", f.confirm, minConfirm, maxConfirm)}
	case set("confirm") && f.dryRun:
		return usageError{errors.New("--confirm and --dry-run: want one of them")}
	case !f.dryRun && (set("config") || set("node")):
		return usageError{errors.New("--config, --node: want --dry-run beside them; the daemon reloads its own file, for its own node")}
	}
	return nil
}

// newConfirm is also below reload, for who looks for it there.
func newConfirm() *cobra.Command {
	var runDirectory string
	command := &cobra.Command{
		Use:   "confirm",
		Short: "Keep what a reload brought that waits to be confirmed",
		Args:  noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := control.Confirm(command.Context(), filepath.Join(runDirectory, socketName)); err != nil {
				return err
			}
			_, err := io.WriteString(command.OutOrStdout(), "confirmed\n")
			return err
		},
	}
	registerRunDirectory(command, &runDirectory)
	return command
}

func (f *reloadFlags) view(w io.Writer) (planView, error) {
	palette, err := newPalette(f.color, w)
	return planView{w: w, json: f.asJSON, palette: palette}, err
}

// show asks the running daemon what a reload would change. Unless told otherwise that
// is of the daemon's own file.
func (f *reloadFlags) show(command *cobra.Command, view planView) error {
	if !command.Flags().Changed("config") {
		status, err := f.status(command.Context())
		if err != nil {
			return err
		}
		if filepath.IsAbs(status.Config) {
			f.file.path = status.Config
		}
	}
	request, err := (&planFlags{file: f.file}).request()
	if err != nil {
		return err
	}
	preview, err := control.Plan(command.Context(), f.socket(), request)
	if err != nil {
		return err
	}
	return view.plan(preview)
}

// tell says what the reload did.
func (f *reloadFlags) tell(view planView, answer control.ReloadAnswer) error {
	if f.asJSON {
		return writeJSON(view.w, answer)
	}
	if err := view.did(answer.Plan); err != nil {
		return err
	}
	if answer.ConfirmUntil.IsZero() {
		return nil
	}
	_, err := fmt.Fprintf(view.w, "rolled back at %s unless confirmed before: lvsd confirm\n", answer.ConfirmUntil.Local().Format(time.TimeOnly))
	return err
}

// did prints what has changed.
func (v planView) did(p director.Preview) error {
	var b strings.Builder
	v.changes(&b, p.Changes)
	v.notes(&b, p)
	if b.Len() > 0 {
		b.WriteString("\n")
	}
	if p.Empty() {
		b.WriteString("reloaded; nothing changed in the kernel\n")
	} else {
		fmt.Fprintf(&b, "reloaded: %d added, %d changed, %d deleted\n", p.Summary.Add, p.Summary.Change, p.Summary.Delete)
	}
	_, err := io.WriteString(v.w, b.String())
	return err
}
