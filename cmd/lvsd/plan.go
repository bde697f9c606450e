package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/vrrp"
)

// planFlags are the flags of plan and apply.
type planFlags struct {
	file           fileFlags
	runDirectory   string
	stateDirectory string
	asJSON         bool
	color          string
	health         string
	roles          []string
}

func (f *planFlags) register(command *cobra.Command) {
	f.file.register(command)
	registerRunDirectory(command, &f.runDirectory)
	registerStateDirectory(command, &f.stateDirectory)
	command.Flags().BoolVarP(&f.asJSON, "json", "j", false, "print JSON")
	registerColor(command, &f.color)
	command.Flags().StringVar(&f.health, "health", string(director.HealthKernel),
		"without a daemon, take the `VERDICTS` of checks from the weights in the kernel (kernel),\n"+
			"let every check pass (up), or carry each out now (probe)")
	command.Flags().StringArrayVar(&f.roles, "role", nil,
		"without a daemon, assume a role: `INSTANCE=master|backup`; may be repeated")
	plainCodes(command)
}

func newPlan() *cobra.Command {
	var flags planFlags
	command := &cobra.Command{
		Use:   "plan",
		Short: "Show what lvsd would change in the kernel; exit 0: nothing, 2: something, 1: an error",
		Long: "Show what lvsd would change in the kernel, in the order in which it would.\n\n" +
			"Where a daemon runs, it is asked what a reload of the file would change now.\n" +
			"Otherwise it is what a daemon that starts would change in its first step.\n" +
			"Nothing is changed, except that reading may load the kernel's modules.\n\n" +
			"The exit code is 0 if there is nothing to do, 2 if there is, 1 for every error.",
		Args: noArguments,
		RunE: func(command *cobra.Command, _ []string) error {
			view, err := flags.view(command.OutOrStdout())
			if err != nil {
				return err
			}
			preview, err := flags.preview(command.Context(), command.Flags().Changed)
			if err != nil {
				return err
			}
			if err := view.plan(preview); err != nil {
				return err
			}
			if preview.Empty() {
				return nil
			}
			return outcome(exitChanges)
		},
	}
	flags.register(command)
	return command
}

// preview asks the daemon, or finds out without one.
func (f *planFlags) preview(ctx context.Context, set func(flag string) bool) (director.Preview, error) {
	request, err := f.request()
	if err != nil {
		return director.Preview{}, err
	}
	preview, err := control.Plan(ctx, filepath.Join(f.runDirectory, socketName), request)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		return f.previewStart(ctx)
	case err == nil && (set("role") || set("health")):
		return director.Preview{}, errors.New("--role, --health: a daemon runs, and plans from its own roles and checks")
	}
	return preview, err
}

// request is the file for the daemon.
func (f *planFlags) request() (control.PlanRequest, error) {
	text, err := os.ReadFile(f.file.path)
	if err != nil {
		return control.PlanRequest{}, fmt.Errorf("configuration file: %w", err)
	}
	if !utf8.Valid(text) {
		return control.PlanRequest{}, fmt.Errorf("configuration file %s: not UTF-8", f.file.path)
	}
	return control.PlanRequest{Name: f.file.path, Text: string(text), Node: f.file.node}, nil
}

func (f *planFlags) previewStart(ctx context.Context) (director.Preview, error) {
	start, end, err := f.start()
	if err != nil {
		return director.Preview{}, err
	}
	defer end()
	return start.Preview(ctx)
}

// start is the daemon that would start. The caller ends it.
func (f *planFlags) start() (start *director.Start, end func(), err error) {
	health := director.Health(f.health)
	if !slices.Contains([]director.Health{director.HealthKernel, director.HealthUp, director.HealthProbe}, health) {
		return nil, nil, fmt.Errorf("--health %q: want kernel, up or probe", f.health)
	}
	c, err := f.file.load()
	if err != nil {
		return nil, nil, err
	}
	roles, err := parseRoles(f.roles, c)
	if err != nil {
		return nil, nil, err
	}
	host, err := director.OpenHost()
	if err != nil {
		return nil, nil, err
	}
	return &director.Start{
		Config: c, Kernel: host, Health: health, Roles: roles,
		Memory: director.MemoryFile{Path: filepath.Join(f.runDirectory, stateName)},
		Holds:  director.HoldFile{Path: filepath.Join(f.stateDirectory, holdsName)},

		OverrideFile: filepath.Join(f.stateDirectory, overridesName),
	}, func() { _ = host.Close() }, nil
}

// parseRoles reads INSTANCE=master|backup.
func parseRoles(texts []string, c *config.Config) (map[string]vrrp.Role, error) {
	var names []string
	for _, v := range c.VRRP {
		names = append(names, v.Router.Name)
	}
	known := map[string]vrrp.Role{"master": vrrp.Master, "backup": vrrp.Backup}
	roles := map[string]vrrp.Role{}
	for _, text := range texts {
		name, word, _ := strings.Cut(text, "=")
		role, ok := known[word]
		if !ok {
			return nil, fmt.Errorf("--role %q: want INSTANCE=master or INSTANCE=backup", text)
		}
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("--role %q: no instance %q%s", text, name, director.NearestName(name, names))
		}
		roles[name] = role
	}
	return roles, nil
}

// planner answers plan requests of the control socket beside the director.
type planner struct {
	*director.Director
	file fileFlags
}

// Plan implements control.Source. It reads the kernel by sockets of its own, so
// that the director is not held up.
func (p planner) Plan(ctx context.Context, request control.PlanRequest) (director.Preview, error) {
	node, err := p.file.nodeName()
	if err != nil {
		return director.Preview{}, err
	}
	if request.Node != "" && request.Node != node {
		return director.Preview{}, &control.Error{
			Code:    control.CodeBadRequest,
			Message: fmt.Sprintf("node %q: the daemon that runs here is node %q", request.Node, node),
		}
	}
	c, err := config.Parse(request.Name, []byte(request.Text), node)
	if err != nil {
		return director.Preview{}, &control.Error{Code: control.CodeInvalidFile, Message: err.Error()}
	}
	return p.preview(ctx, c)
}

func (p planner) preview(ctx context.Context, c *config.Config) (director.Preview, error) {
	host, err := director.OpenHost()
	if err != nil {
		return director.Preview{}, err
	}
	defer func() { _ = host.Close() }()
	return p.Preview(ctx, host, c)
}

// writeJSON prints a value for programs.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
