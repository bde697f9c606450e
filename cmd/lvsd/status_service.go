package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lvsd/lvsd/director"
)

// writeServices prints the virtual services. Those of one name are one service
// on several addresses and ports.
func writeServices(b *strings.Builder, all []director.ServiceStatus, now time.Time) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Name == all[0].Name {
			n++
		}
		writeService(b, together(all[:n]), where(all[:n]), now)
		all = all[n:]
	}
}

// shownAddresses is how many addresses of a service are printed.
const shownAddresses = 4

// where says what the members of a service are on.
func where(members []director.ServiceStatus) string {
	var all []string
	for _, member := range members[:min(len(members), shownAddresses)] {
		all = append(all, member.Service)
	}
	text := strings.Join(all, ", ")
	if more := len(members) - len(all); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// together is the service with the connections of all its members.
func together(members []director.ServiceStatus) director.ServiceStatus {
	whole := members[0]
	whole.RealServers = slices.Clone(whole.RealServers)
	for _, member := range members[1:] {
		for _, server := range member.RealServers {
			i := slices.IndexFunc(whole.RealServers, func(r director.RealServerStatus) bool { return r.Address == server.Address })
			if i < 0 {
				whole.RealServers = append(whole.RealServers, server)
				continue
			}
			whole.RealServers[i].Active += server.Active
			whole.RealServers[i].Inactive += server.Inactive
		}
	}
	return whole
}

func writeService(b *strings.Builder, s director.ServiceStatus, where string, now time.Time) {
	fmt.Fprintf(b, "\n%s  %s  %s  %s  %d of %d up\n", s.Name, where, s.Scheduler, s.Forwarding,
		s.Up, len(s.RealServers))
	switch q := s.Quorum; {
	case q.Needed == 0:
	case !q.Quorate:
		fmt.Fprintf(b, "  no quorum for %s: weight %d is up, %d needed\n", ago(now, q.Since), q.Up, q.Needed)
	case q.Needed > 1:
		fmt.Fprintf(b, "  quorum for %s: weight %d is up, %d needed\n", ago(now, q.Since), q.Up, q.Needed)
	}
	if o := s.Override; o != nil && !o.Cleared {
		b.WriteString(printableLine("  %s %s", overrideState(*o), orderedBy(*o, now)) + "\n")
	}
	if s.Sorry {
		fmt.Fprintf(b, "  the sorry server %s is in use\n", s.SorryServer)
	}
	table := tabwriter.NewWriter(b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "  REAL SERVER\tSTATE\tSINCE\tWEIGHT\tACTIVE\tINACTIVE\tLAST RESULT")
	for _, server := range s.RealServers {
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%d\t%d\t%s\n", name(server), serverState(server),
			ago(now, server.Since), weight(server, now), server.Active, server.Inactive, lastResult(server))
	}
	_ = table.Flush()
	for _, server := range s.RealServers {
		writeRemarks(b, server)
	}
}

// writeRemarks prints what is remarkable about the checks of the real server.
func writeRemarks(b *strings.Builder, s director.RealServerStatus) {
	checks := slices.Clone(s.Checks)
	for _, check := range s.WeightChecks {
		checks = append(checks, check.CheckStatus)
	}
	for _, c := range checks {
		remark := func(format string, args ...any) {
			fmt.Fprintf(b, "  %s, check %s: %s\n", name(s), c.Kind, fmt.Sprintf(format, args...))
		}
		if c.Held != "" {
			remark("held: %s", c.Held)
		}
		switch {
		case c.FlapSuppressed:
			remark("kept down because it comes and goes, flap score %.1f", c.FlapScore)
		case c.FlapScore > 0:
			remark("flap score %.1f", c.FlapScore)
		}
		if c.Warning != "" {
			remark("warning: %s", c.Warning)
		}
	}
}

// serverState is the state by the checks, and what operators want of it.
func serverState(s director.RealServerStatus) string {
	if s.Admin == "" || s.Admin == director.Enabled {
		return s.State
	}
	return s.State + ", " + stateWord(s.Admin)
}

// name is the address, and the name that the file gives the real server by.
func name(s director.RealServerStatus) string {
	if s.Host == "" {
		return s.Address
	}
	return s.Address + " " + s.Host
}

// weight is the one in force, and the one to have if it differs.
func weight(s director.RealServerStatus, now time.Time) string {
	switch {
	case s.KernelWeight < 0:
		return "absent"
	case s.SlowStart.After(now):
		return fmt.Sprintf("%d (of %d, rising for %s)", s.KernelWeight, s.Weight, s.SlowStart.Sub(now).Round(time.Second))
	case s.KernelWeight != s.Weight && s.Weight > 0:
		return fmt.Sprintf("%d (of %d)", s.KernelWeight, s.Weight)
	case s.Kept:
		return fmt.Sprintf("%d (as before)", s.KernelWeight)
	case s.Told != nil && s.Weight == *s.Told:
		return fmt.Sprintf("%d (told)", s.KernelWeight)
	case s.Told != nil:
		return fmt.Sprintf("%d (%d told, %+d by checks)", s.KernelWeight, *s.Told, s.Weight-*s.Told)
	case len(s.WeightChecks) > 0 && s.Weight != s.Configured:
		return fmt.Sprintf("%d (%d by checks)", s.KernelWeight, s.Weight-s.Configured)
	default:
		return fmt.Sprint(s.KernelWeight)
	}
}

// writeHosts prints the host names whose addresses may be wrong.
func writeHosts(b *strings.Builder, hosts []director.HostStatus, now time.Time) {
	for _, host := range hosts {
		if host.Error == "" {
			continue
		}
		fmt.Fprintf(b, "host name %s: %s; ", host.Host, host.Error)
		switch {
		case len(host.Addresses) == 0:
			b.WriteString("no address is known\n")
		case host.At.IsZero():
			fmt.Fprintf(b, "using %s\n", strings.Join(host.Addresses, " "))
		default:
			fmt.Fprintf(b, "using %s of %s ago\n", strings.Join(host.Addresses, " "), ago(now, host.At))
		}
	}
}

// lastResult is that of the first check which agrees with the verdict on the real
// server.
func lastResult(s director.RealServerStatus) string {
	if len(s.Checks) == 0 {
		return "-"
	}
	deciding := s.Checks[0]
	for _, check := range s.Checks {
		if check.State == s.State {
			deciding = check
			break
		}
	}
	if deciding.Code == "" {
		return deciding.Kind + ": not yet checked"
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", deciding.Kind, deciding.Code, deciding.Reason))
}
