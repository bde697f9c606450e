package main

import (
	"context"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// completionTimeout bounds what a completion may cost. A daemon answers in
// milliseconds; this is for one that is stuck, or a machine that is busy.
const completionTimeout = 2 * time.Second

// names are what arguments may name.
type names struct {
	instances, services, nodes []string
	// servers are the addresses and host names of each service's real servers.
	servers map[string][]string
}

// knownNames asks the running daemon for the names, or reads them in the file. It
// knows none where there is neither, and says nothing of that: who presses Tab did not
// ask.
func knownNames(command *cobra.Command) names {
	directory := defaultRunDirectory
	if flag := command.Flag("run-dir"); flag != nil {
		directory = flag.Value.String()
	}
	// Cobra completes with a context of its own only if it was given one.
	ctx, cancel := context.WithTimeout(contextOf(command), completionTimeout)
	defer cancel()
	if status, err := control.Status(ctx, filepath.Join(directory, socketName)); err == nil {
		return namesOfStatus(status)
	}
	file := fileFlags{path: defaultConfig}
	if flag := command.Flag("config"); flag != nil {
		file.path = flag.Value.String()
	}
	if c, err := file.load(); err == nil {
		return namesOfFile(c)
	}
	return names{}
}

func contextOf(command *cobra.Command) context.Context {
	if ctx := command.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}

func namesOfStatus(s director.Status) names {
	n := names{servers: map[string][]string{}, nodes: []string{s.RouterID}}
	for _, node := range s.Nodes {
		n.nodes = append(n.nodes, node.Name)
	}
	for _, i := range s.Instances {
		n.instances = append(n.instances, i.Name)
	}
	for _, service := range s.Services {
		n.services = append(n.services, service.Name)
		for _, r := range service.RealServers {
			n.add(service.Name, r.Address, r.Host)
		}
	}
	n.services = distinct(n.services)
	return n
}

func namesOfFile(c *config.Config) names {
	n := names{servers: map[string][]string{}}
	if c.Cluster != nil {
		n.nodes = slices.Sorted(maps.Keys(c.Cluster.Nodes))
	}
	for _, v := range c.VRRP {
		n.instances = append(n.instances, v.Router.Name)
	}
	for i := range c.Services {
		service := &c.Services[i]
		n.services = append(n.services, service.Name)
		for j := range service.RealServers {
			r := &service.RealServers[j]
			address := ""
			if r.Address.IsValid() {
				address = r.Address.String()
			}
			n.add(service.Name, address, r.Host)
		}
	}
	n.services = distinct(n.services)
	return n
}

func (n names) add(service string, servers ...string) {
	for _, server := range servers {
		if server != "" {
			n.servers[service] = append(n.servers[service], server)
		}
	}
}

// serversOf are the real servers of the service, or of all.
func (n names) serversOf(service string) []string {
	if !allServices(service) {
		return distinct(n.servers[service])
	}
	var all []string
	for _, servers := range n.servers {
		all = append(all, servers...)
	}
	return distinct(all)
}

// beginning are the names that begin as what was typed.
func beginning(all []string, typed string) []string {
	var found []string
	for _, one := range all {
		if strings.HasPrefix(one, typed) {
			found = append(found, one)
		}
	}
	return found
}

const noFiles = cobra.ShellCompDirectiveNoFileComp

func completeInstance(command *cobra.Command, arguments []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(arguments) > 0 {
		return nil, noFiles
	}
	return beginning(knownNames(command).instances, typed), noFiles
}

func completeService(command *cobra.Command, arguments []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(arguments) > 0 {
		return nil, noFiles
	}
	return beginning(knownNames(command).services, typed), noFiles
}

// completeServer completes SERVICE SERVER.
func completeServer(command *cobra.Command, arguments []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch len(arguments) {
	case 0:
		return beginning(knownNames(command).services, typed), noFiles
	case 1:
		return beginning(knownNames(command).serversOf(arguments[0]), typed), noFiles
	default:
		return nil, noFiles
	}
}

// completeAny completes the name of an instance, a service or a server.
func completeAny(command *cobra.Command, arguments []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(arguments) > 0 {
		return nil, noFiles
	}
	n := knownNames(command)
	all := append(append(n.serversOf("-"), n.services...), n.instances...)
	return beginning(distinct(all), typed), noFiles
}

// completeFlag completes the value of a flag.
func completeFlag(command *cobra.Command, flag string, of func(names) []string) {
	// The error is that there is no such flag, or that it is completed already.
	_ = command.RegisterFlagCompletionFunc(flag, func(command *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return beginning(of(knownNames(command)), typed), noFiles
	})
}
