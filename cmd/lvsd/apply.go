package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// useReload is what to do where a daemon runs.
const useReload = "a daemon runs and applies the file itself: systemctl reload lvsd"

func newApply() *cobra.Command {
	var flags planFlags
	var once bool
	command := &cobra.Command{
		Use:   "apply --once",
		Short: "Change the kernel as plan shows, without a daemon",
		Long: "Change the kernel as plan shows, without a daemon, and look whether anything is left\n" +
			"to do. Nothing follows health or roles after that. What was changed is remembered in\n" +
			"the run directory, for a daemon or an apply to come.\n\n" +
			"The exit code is 0 if all is applied, or nothing was to do, and 1 for every error.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			if !once {
				return errors.New("apply needs --once: it says that no daemon is to keep the kernel so;\n" +
					"to have one, start lvsd run, and to make it read the file again: systemctl reload lvsd")
			}
			view, err := flags.view(command.OutOrStdout())
			if err != nil {
				return err
			}
			return flags.apply(command.Context(), view)
		},
	}
	flags.register(command)
	command.Flags().BoolVar(&once, "once", false, "apply once, and leave it at that")
	return command
}

// apply applies the file, unless a daemon does.
func (f *planFlags) apply(ctx context.Context, view planView) error {
	_, err := control.Status(ctx, filepath.Join(f.runDirectory, socketName))
	if err == nil {
		return errors.New(useReload)
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return err
	}
	start, end, err := f.start()
	if err != nil {
		return err
	}
	defer end()
	unlock, err := lockRunDirectory(f.runDirectory)
	if err != nil {
		return fmt.Errorf("%w; %s", err, useReload)
	}
	defer unlock()
	preview, err := start.Preview(ctx)
	if err != nil {
		return err
	}
	return applyOnce(ctx, view, start, preview)
}

// applied is the JSON of apply. Its fields are only ever added to.
type applied struct {
	// Schema is "lvsd.apply/1".
	Schema string `json:"schema"`
	// Plan is what was to do, Left what still is.
	Plan director.Preview `json:"plan"`
	Left director.Preview `json:"left"`
	// Error is what went wrong; empty if nothing did.
	Error string `json:"error,omitempty"`
}

func applyOnce(ctx context.Context, view planView, start *director.Start, preview director.Preview) error {
	if !view.json {
		if err := view.plan(preview); err != nil {
			return err
		}
	}
	left, err := start.Apply(ctx, preview)
	if err == nil && !left.Empty() {
		err = fmt.Errorf("after that, %s: somebody else changes the kernel too", summary(left))
	}
	if view.json {
		result := applied{Schema: "lvsd.apply/1", Plan: preview, Left: left}
		if err != nil {
			result.Error = err.Error()
		}
		return errors.Join(err, writeJSON(view.w, result))
	}
	if err == nil && !preview.Empty() {
		_, err = fmt.Fprintln(view.w, "applied; a second plan has nothing to do")
	}
	return err
}
