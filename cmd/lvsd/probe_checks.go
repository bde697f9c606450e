package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

const (
	// probeConcurrency is how many servers are asked at a time.
	probeConcurrency = 64
	// lookupTimeout bounds how long all host names are asked for.
	lookupTimeout = 5 * time.Second
)

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
	Told       *int          `json:"told_weight,omitempty"`
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
		p.Told = &r.Weight.Value
	}
	for line := range strings.Lines(r.Transcript) {
		p.Transcript = append(p.Transcript, strings.TrimSuffix(line, "\n"))
	}
}
