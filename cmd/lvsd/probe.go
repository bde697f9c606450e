package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

const (
	// exitFailing is probe's: a check does not pass. See plainCodes.
	exitFailing = 2
	// probeConcurrency is how many servers are asked at a time.
	probeConcurrency = 64
	// lookupTimeout bounds how long all host names are asked for.
	lookupTimeout = 5 * time.Second
)

// probeFlags are the flags of lvsd probe.
type probeFlags struct {
	file    fileFlags
	asJSON  bool
	verbose bool
	color   string
}

func newProbe() *cobra.Command {
	var flags probeFlags
	command := &cobra.Command{
		Use:   "probe [SERVER]",
		Short: "Carry out every check of the file once and print what came of it",
		Long: "Carry out every check of the file once, as the daemon would, and print what came\n" +
			"of it: to try a file before it is used. SERVER, an address, an address and port\n" +
			"or a host name, asks only that one. With --verbose the dialogue is shown.\n\n" +
			"No daemon is needed and nothing is changed. A check with via = \"vip\" passes only\n" +
			"where a daemon has put its path into the kernel.\n\n" +
			"The exit code is 0 if every check passes, 2 if one does not or a host name has no\n" +
			"address, 1 if they could not be carried out.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), unix.SIGINT, unix.SIGTERM)
			defer stop()
			return flags.run(ctx, command.OutOrStdout(), strings.Join(arguments, ""))
		},
	}
	flags.file.register(command)
	command.Flags().BoolVarP(&flags.asJSON, "json", "j", false, "print JSON")
	command.Flags().BoolVarP(&flags.verbose, "verbose", "v", false, "show what was said and heard")
	registerColor(command, &flags.color)
	plainCodes(command)
	return command
}

// probed is one check of the file and what came of it. Its JSON fields are only
// ever added to.
type probed struct {
	// Service is empty for the check of a tracker, and Tracker for others.
	Service string `json:"service,omitempty"`
	Tracker string `json:"tracker,omitempty"`
	// Server is the real server as the file has it.
	Server     string        `json:"server,omitempty"`
	Check      string        `json:"check"`
	OK         bool          `json:"ok"`
	Code       string        `json:"code"`
	Reason     string        `json:"reason"`
	Warning    string        `json:"warning,omitempty"`
	Weight     *int          `json:"weight,omitempty"`
	Duration   time.Duration `json:"duration_ns"`
	Transcript []string      `json:"transcript"`

	spec healthcheck.Spec
}

// probeReport is the JSON of lvsd probe.
type probeReport struct {
	// Schema is "lvsd.probe/1".
	Schema string   `json:"schema"`
	Probes []probed `json:"probes"`
	// Names are the host names without an address, and why.
	Names map[string]string `json:"names"`
}

func (f *probeFlags) run(ctx context.Context, w io.Writer, server string) error {
	colors, err := newPalette(f.color, w)
	if err != nil {
		return err
	}
	c, err := f.file.load()
	if err != nil {
		return err
	}
	names := c.Names()
	if slices.Contains(names, server) {
		names = []string{server}
	}
	report := probeReport{Schema: "lvsd.probe/1", Probes: []probed{}}
	addresses, failed := lookUp(ctx, names)
	if report.Names = failed; failed[server] == "" {
		if report.Probes, err = checksFor(c.WithAddresses(addresses), server); err != nil {
			return err
		}
		if server != "" {
			clear(report.Names) // of others
		}
	}
	carryOut(ctx, report.Probes)
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("not all was asked: %w", err)
	}
	if f.asJSON {
		err = writeJSON(w, report)
	} else {
		err = writeProbes(w, report, f.verbose, colors)
	}
	failing := func(p probed) bool { return !p.OK }
	if err == nil && (len(report.Names) > 0 || slices.ContainsFunc(report.Probes, failing)) {
		return outcome(exitFailing)
	}
	return err
}

// lookUp asks for the addresses of the names; failed says why one has none.
func lookUp(ctx context.Context, names []string) (found map[string][]netip.Addr, failed map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, failed = map[string][]netip.Addr{}, map[string]string{}
	var asking sync.WaitGroup
	var mu sync.Mutex
	for _, name := range names {
		asking.Go(func() {
			addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
			mu.Lock()
			defer mu.Unlock()
			if found[name] = addresses; err != nil {
				failed[name] = err.Error()
			}
		})
	}
	asking.Wait()
	return found, failed
}

// checksFor are the checks of the file, or of one server. Services of one name
// share their servers, so each is asked once.
func checksFor(c *config.Config, server string) ([]probed, error) {
	all := []probed{}
	var names []string
	done := map[string]bool{}
	for i := range c.Services {
		service := &c.Services[i]
		if done[service.Name] {
			continue
		}
		done[service.Name] = true
		for j := range service.RealServers {
			names = append(names, namesOf(&service.RealServers[j])...)
			all = append(all, checksOfServer(service, &service.RealServers[j], server)...)
		}
	}
	for _, t := range c.Trackers {
		if t.Kind == config.TrackCheck && server == "" {
			all = append(all, probed{Tracker: t.Name, spec: t.Check})
		}
	}
	if server == "" || slices.Contains(names, server) {
		return all, nil
	}
	if near := config.Nearest(server, names); near != "" {
		return nil, fmt.Errorf("no real server is %q, nearest is %q", server, near)
	}
	return nil, fmt.Errorf("no real server is %q", server)
}

// namesOf is how the server can be called.
func namesOf(server *config.RealServer) []string {
	names := []string{server.Address.String(), server.Address.Addr().String()}
	if server.Host != "" {
		names = append(names, server.Host)
	}
	return names
}

func checksOfServer(service *config.VirtualService, server *config.RealServer, only string) []probed {
	if only != "" && !slices.Contains(namesOf(server), only) {
		return nil
	}
	var all []probed
	add := func(spec healthcheck.Spec) {
		all = append(all, probed{Service: service.Name, Server: cmp.Or(server.Host, server.Address.String()), spec: spec})
	}
	for _, spec := range server.Checks {
		add(spec)
	}
	for _, check := range server.WeightChecks {
		add(check.Check)
	}
	return all
}

// carryOut asks what each is for, several at a time.
func carryOut(ctx context.Context, all []probed) {
	var asking sync.WaitGroup
	defer asking.Wait()
	slots := make(chan struct{}, probeConcurrency)
	for i := range all {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			all[i].take(all[i].spec.Request().Ask(ctx))
		})
	}
}

func (p *probed) take(r probe.Result) {
	// Some kinds ask no port.
	p.Check = p.spec.String()
	p.OK, p.Code, p.Reason, p.Duration = r.OK, string(r.Code), r.Reason, r.Duration
	p.Warning, p.Transcript = r.Warning, []string{}
	if r.Weight.Known {
		p.Weight = &r.Weight.Value
	}
	for line := range strings.Lines(r.Transcript) {
		p.Transcript = append(p.Transcript, strings.TrimSuffix(line, "\n"))
	}
}

func writeProbes(w io.Writer, report probeReport, verbose bool, colors palette) error {
	// The lines without tabs go past the table, or they would end its columns.
	table := probeTable(report.Probes, colors)
	var b strings.Builder
	of := ""
	for i, p := range report.Probes {
		if next := p.heading(); next != of {
			of = next
			fmt.Fprintln(&b, colors.paint(bold, of))
		}
		fmt.Fprintln(&b, table[i])
		if !verbose {
			continue
		}
		for _, line := range p.Transcript {
			fmt.Fprintf(&b, "    %s\n", line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(report.Names)) {
		fmt.Fprintf(&b, "%s has no address: %s\n", name, report.Names[name])
	}
	if len(report.Probes)+len(report.Names) == 0 {
		fmt.Fprintln(&b, "no checks")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// probeTable is a line for each, with the columns of all aligned.
func probeTable(all []probed, colors palette) []string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, p := range all {
		sgr := green
		if !p.OK {
			sgr = red
		}
		fmt.Fprintf(table, "  %s\t%s\t%.1f ms\t%s\n", p.asked(), colors.paint(sgr, p.Code), p.Duration.Seconds()*1e3, p.outcome())
	}
	_ = table.Flush() // never fails
	return strings.Split(b.String(), "\n")
}

// asked is the check, with the server where that is not whom it asks.
func (p probed) asked() string {
	_, target, _ := strings.Cut(p.Check, " ")
	if p.Server == "" || target == p.Server || strings.HasPrefix(p.Server, target+":") {
		return p.Check
	}
	return p.Check + " (" + p.Server + ")"
}

func (p probed) heading() string {
	if p.Tracker != "" {
		return "tracker " + p.Tracker
	}
	return p.Service
}

// outcome is the reason, which has the weight, and the warning.
func (p probed) outcome() string {
	if p.Warning == "" {
		return p.Reason
	}
	return p.Reason + "; " + p.Warning
}
