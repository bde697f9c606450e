package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director"
)

// topRow is a row of a pane, and what it is of.
type topRow struct {
	cells []string
	color string
	// what, name and service are for an explanation; there is none without a name.
	what          subject
	name, service string
}

// topColumn is a column of a pane. The last one of a pane takes what is left.
type topColumn struct {
	title string
	width int
	right bool
	// from is the least width of the terminal that has room for it.
	from int
}

// columns are those of the pane.
func (p topPane) columns() []topColumn {
	switch p {
	case topInstances:
		return []topColumn{
			{title: "INSTANCE", width: 14},
			{title: "STATE", width: 10},
			{title: "PRIO", width: 4, right: true},
			{title: "MASTER", width: 15},
			{title: "SINCE", width: 9},
			{title: "REASON"},
		}
	case topNodes:
		return []topColumn{
			{title: "NODE", width: 12},
			{title: "ADDRESS", width: 15},
			{title: "HEARD", width: 9},
			{title: "CONFIG", width: 7},
			{title: "VERSION", width: 9, from: 100},
			{title: "ROLES"},
		}
	case topEvents:
		return []topColumn{{title: "TIME", width: 8}, {title: "KIND", width: kindWidth}, {title: "EVENT"}}
	default:
		return []topColumn{
			{title: "SERVICE", width: 12},
			{title: "SERVER", width: 19},
			{title: "STATE", width: 8},
			{title: "WEIGHT", width: 6, right: true},
			{title: "ACTIVE", width: 6, right: true},
			{title: "CONN/S", width: 6, right: true},
			{title: "IN/S", width: 7, right: true, from: 110},
			{title: "OUT/S", width: 7, right: true, from: 110},
			{title: "CHECK", width: 8, right: true},
			{title: "LAST RESULT"},
		}
	}
}

// rows are those of the pane that pass the filter.
func (m *topModel) rows() []topRow {
	var rows []topRow
	switch m.pane {
	case topInstances:
		rows = m.instanceRows()
	case topNodes:
		rows = m.nodeRows()
	case topEvents:
		rows = m.eventRows()
	default:
		rows = m.serverRows()
	}
	if m.filter == "" {
		return rows
	}
	return slices.DeleteFunc(rows, func(r topRow) bool {
		return !strings.Contains(strings.ToLower(strings.Join(r.cells, " ")), strings.ToLower(m.filter))
	})
}

func (m *topModel) instanceRows() []topRow {
	var rows []topRow
	for _, i := range m.last.status.Instances {
		rows = append(rows, topRow{
			cells: []string{i.Name, strings.ToUpper(i.State), fmt.Sprint(i.Priority), orDash(i.Master), ago(m.last.at, i.Since), i.Reason},
			color: roleColor(i.State), what: anInstance, name: i.Name,
		})
	}
	return rows
}

func (m *topModel) nodeRows() []topRow {
	var rows []topRow
	for _, n := range m.last.status.Nodes {
		color := green
		if !n.Reachable || differs(m.last.status, n) {
			color = yellow
		}
		text := orDash(roles(n))
		if remarks := nodeRemarks(n); remarks != "" {
			text += "; " + remarks
		}
		rows = append(rows, topRow{
			cells: []string{n.Name, n.Address, lastHeard(n, m.last.at), configuration(m.last.status, n), orDash(n.Version), text}, color: color,
		})
	}
	return rows
}

// eventRows are the events, the newest first.
func (m *topModel) eventRows() []topRow {
	var rows []topRow
	for _, e := range slices.Backward(m.events) {
		rows = append(rows, topRow{cells: []string{eventTime(e.At, m.last.at), string(e.Kind), e.Text}, color: eventColor(e.Severity)})
	}
	return rows
}

// topServer is a real server of one service name, on all its addresses.
type topServer struct {
	director.RealServerStatus
	service       string
	known         bool // that the rates are
	rate, in, out uint64
}

// check is how long the last probe took that decides.
func (s topServer) check() time.Duration {
	for _, c := range s.Checks {
		if c.State == s.State {
			return c.Duration
		}
	}
	if len(s.Checks) > 0 {
		return s.Checks[0].Duration
	}
	return 0
}

func (m *topModel) servers() []topServer {
	var servers []topServer
	all := m.last.status.Services
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].Name == all[0].Name {
			n++
		}
		for _, r := range together(all[:n]).RealServers {
			servers = append(servers, m.withRates(topServer{RealServerStatus: r, service: all[0].Name}))
		}
		all = all[n:]
	}
	slices.SortStableFunc(servers, m.sort.compare)
	return servers
}

// withRates adds what the kernel counts.
func (m *topModel) withRates(s topServer) topServer {
	for _, service := range m.last.traffic.Services {
		if service.Name != s.service {
			continue
		}
		for _, r := range service.Servers {
			if r.Address == s.Address {
				s.known = true
				s.rate += r.ConnectionRate
				s.in += r.InByteRate
				s.out += r.OutByteRate
			}
		}
	}
	return s
}

// compare puts first what is to be looked at first.
func (o topSort) compare(a, b topServer) int {
	switch o {
	case sortState:
		return cmp.Compare(urgency(a), urgency(b))
	case sortActive:
		return cmp.Compare(b.Active, a.Active)
	case sortRate:
		return cmp.Compare(b.rate, a.rate)
	case sortCheck:
		return cmp.Compare(b.check(), a.check())
	default:
		return 0
	}
}

// urgency is the lower the more a state wants to be looked at.
func urgency(s topServer) int {
	if i := slices.Index([]string{"down", "unknown", "draining"}, s.State); i >= 0 {
		return i
	}
	if s.Admin != "" && s.Admin != director.Enabled {
		return 3
	}
	return 4
}

func (m *topModel) serverRows() []topRow {
	var rows []topRow
	for _, s := range m.servers() {
		state, color := s.State, stateColor(s.State)
		if s.Admin != "" && s.Admin != director.Enabled {
			state, color = stateWord(s.Admin), yellow
		}
		weight, check := fmt.Sprint(s.KernelWeight), "-"
		if s.KernelWeight < 0 {
			weight = "absent"
		}
		if d := s.check(); d > 0 {
			check = took(d)
		}
		rate, in, out := "-", "-", "-"
		if s.known {
			rate, in, out = quantity(s.rate), quantity(s.in), quantity(s.out)
		}
		rows = append(rows, topRow{
			cells: []string{s.service, name(s.RealServerStatus), state, weight, quantity(uint64(s.Active)), rate, in, out, check, lastResult(s.RealServerStatus)},
			color: color, what: aServer, name: s.Address, service: s.service,
		})
	}
	return rows
}

// quantity is a number in at most 5 characters, as 12.3k.
func quantity(n uint64) string {
	const thousand = 1000
	if n < 10*thousand {
		return fmt.Sprint(n)
	}
	value := float64(n)
	for _, unit := range []string{"k", "M", "G", "T", "P", "E"} {
		value /= thousand
		if value < 99.95 {
			return fmt.Sprintf("%.1f%s", value, unit)
		}
		if value < 999.5 {
			return fmt.Sprintf("%.0f%s", value, unit)
		}
	}
	return fmt.Sprint(n)
}
