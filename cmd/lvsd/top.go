package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lvsd/lvsd/director/control"
)

// topRefresh is how often lvsd top looks.
const topRefresh = time.Second

func newTop() *cobra.Command {
	var runDirectory, color string
	command := &cobra.Command{
		Use:   "top",
		Short: "Watch roles, services, real servers and events live",
		Long: "Watch roles, services, real servers, connection rates, check times and events live,\n" +
			"once a second.\n\n" +
			"Keys: tab or 1 to 4 for another pane, arrows or j and k to move, / to filter,\n" +
			"s to sort otherwise, e to explain what is selected, q to quit.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			output, ok := command.OutOrStdout().(*os.File)
			if !ok || !term.IsTerminal(int(output.Fd())) || !term.IsTerminal(int(os.Stdin.Fd())) {
				return errors.New("standard input and output are no terminal; see lvsd status")
			}
			colors, err := newPalette(color, output)
			if err != nil {
				return err
			}
			asks := &explainFlags{daemonFlags: daemonFlags{runDirectory: runDirectory}, color: string(colorNever)}
			// Without a daemon there is nothing to watch.
			if _, err := asks.status(command.Context()); err != nil {
				return err
			}
			_, err = tea.NewProgram(newTopModel(topAsker{asks}, colors), tea.WithContext(command.Context()),
				tea.WithAltScreen(), tea.WithInput(os.Stdin), tea.WithOutput(output)).Run()
			return err
		},
	}
	registerRunDirectory(command, &runDirectory)
	registerColor(command, &color)
	return command
}

// topSource is what lvsd top asks.
type topSource interface {
	// look is everything as it is now.
	look(after uint64) topLook
	// explain says why what is selected stands as it does, in words.
	explain(what subject, name, service string) (string, error)
}

// topAsker asks the running daemon.
type topAsker struct{ *explainFlags }

func (a topAsker) look(after uint64) topLook {
	ctx, cancel := context.WithTimeout(context.Background(), 5*topRefresh)
	defer cancel()
	look := topLook{at: time.Now()}
	if look.status, look.err = a.status(ctx); look.err != nil {
		return look
	}
	// Without rates and events the rest is worth seeing still.
	look.traffic, _ = control.Traffic(ctx, a.socket())
	look.events, _ = control.Events(ctx, a.socket(), after)
	return look
}

func (a topAsker) explain(what subject, name, service string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*topRefresh)
	defer cancel()
	flags := *a.explainFlags
	if what == aServer {
		flags.service = service
	}
	var b strings.Builder
	err := flags.explain(ctx, a.socket(), what, name, &b)
	return b.String(), err
}
