package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lvsd/lvsd/director"
)

func newService() *cobra.Command {
	return parent("service", "Drain or disable whole virtual services by hand",
		"Order by hand what virtual services are to be. Orders stand beside the health checks\n"+
			"and the file: over reloads, restarts and failovers, until they are taken back.",
		newServiceDrain(), newServiceEnable(), newServiceDisable())
}

func newServiceDrain() *cobra.Command {
	var wait waitFlags
	command := newServiceOrder("drain SERVICE", "Give its real servers no new connections; those that stand go on", director.Drain, &wait)
	command.Long = "Give the real servers of the virtual service no new connections; those that stand go on.\n\n" +
		"With --wait, wait until they have ended on every node, and tell how many are left.\n" +
		"Exit 6 if some are left after --timeout: the service stays drained."
	wait.register(command)
	return command
}

func newServiceDisable() *cobra.Command {
	return newServiceOrder("disable SERVICE", "Take its real servers out of the kernel's table; their connections end",
		director.Disabled, &waitFlags{})
}

func newServiceOrder(use, short string, state director.AdminState, wait *waitFlags) *cobra.Command {
	var flags orderFlags
	command := &cobra.Command{
		Use:               use,
		Short:             short,
		Args:              wantArguments("SERVICE"),
		ValidArgsFunction: completeService,
		RunE: func(command *cobra.Command, arguments []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return giveOrders(command, &flags, wait, []director.Target{{Service: arguments[0]}}, func(target director.Target) director.Order {
				return flags.order(target, state)
			})
		},
	}
	flags.register(command)
	return command
}

func newServiceEnable() *cobra.Command {
	var flags daemonFlags
	command := &cobra.Command{
		Use:     "enable SERVICE",
		Aliases: []string{"clear"},
		Short:   "Take back what was ordered of it",
		Long: "Take back what was ordered of the virtual service. Orders of single real servers and\n" +
			"of nodes go on.",
		Args:              wantArguments("SERVICE"),
		ValidArgsFunction: completeService,
		RunE: func(command *cobra.Command, arguments []string) error {
			return clearTargets(command, &flags, []director.Target{{Service: arguments[0]}})
		},
	}
	flags.register(command)
	return command
}

// allServices stands for every service that has the server.
func allServices(service string) bool { return service == "-" || service == "*" }

// serverTargets are the real servers meant, each with its address as the daemon
// writes it.
func serverTargets(status director.Status, service, server string) ([]director.Target, error) {
	var targets []director.Target
	var services, servers []string
	known := map[director.Target]bool{}
	for _, s := range status.Services {
		services = append(services, s.Name)
		if !allServices(service) && s.Name != service {
			continue
		}
		for _, r := range s.RealServers {
			servers = append(servers, r.Address)
			target := director.Target{Service: s.Name, Server: r.Address}
			if isServer(r, server) && !known[target] {
				known[target] = true
				targets = append(targets, target)
			}
		}
	}
	switch {
	case len(targets) > 0:
		return targets, nil
	case !allServices(service) && len(servers) == 0:
		return nil, usageError{fmt.Errorf("%w: %q%s", director.ErrUnknownService, service, director.NearestName(service, distinct(services)))}
	default:
		return nil, usageError{fmt.Errorf("%w in %s: %q%s", director.ErrUnknownServer, inServices(service), server, director.NearestName(server, distinct(servers)))}
	}
}

func inServices(service string) string {
	if allServices(service) {
		return "any virtual service"
	}
	return fmt.Sprintf("the virtual service %q", service)
}

// isServer reports whether the real server has the name: its address, with or without
// the port, or its host name.
func isServer(r director.RealServerStatus, name string) bool {
	return r.Address == name || addressOf(r.Address) == name || r.Host != "" && r.Host == name
}
