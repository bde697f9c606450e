package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/config/keepalived"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/vrrp"
)

// programmed is what a daemon programs as a MASTER whose real servers are all up:
// by subject, what is said of it.
type programmed map[string]string

// compare prints what keepalived and lvsd would program side by side, for each
// node. It is made of keepalived's configuration without the TOML in between, and so
// finds what the import got wrong.
func (f *importFlags) compare(w io.Writer, files []keepalived.File, result *keepalived.Result) error {
	colours, err := newPalette(f.color, w)
	if err != nil {
		return err
	}
	different := false
	for n, file := range files {
		c := result.Config
		if n > 0 {
			fmt.Fprintln(w)
			if c, err = config.Parse("lvsd.toml", result.TOML, file.Node); err != nil {
				return err
			}
		}
		if file.Node != "" {
			fmt.Fprintf(w, "node %s\n", colours.paint(bold, file.Node))
		}
		theirs, ours := programmed{}, programmed{}
		theirs.keepalived(result.Sources[n])
		ours.lvsd(c)
		differences, err := compareNode(w, colours, theirs, ours)
		if err != nil {
			return err
		}
		different = different || differences > 0
	}
	if different {
		return outcome(exitFailed)
	}
	return nil
}

// compareNode prints the table of one node.
func compareNode(w io.Writer, colours palette, theirs, ours programmed) (differences int, err error) {
	subjects := slices.Collect(maps.Keys(theirs))
	for s := range ours {
		if _, both := theirs[s]; !both {
			subjects = append(subjects, s)
		}
	}
	slices.Sort(subjects)
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintf(table, "\tWHAT\tKEEPALIVED\tLVSD\n")
	for _, s := range subjects {
		verdict := verdictOf(theirs, ours, s)
		if verdict != "equal" {
			differences++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", verdict, s, cmp.Or(theirs[s], "-"), cmp.Or(ours[s], "-"))
	}
	if err := table.Flush(); err != nil {
		return 0, err
	}
	for line := range strings.Lines(b.String()) {
		sgr := yellow
		if strings.HasPrefix(line, "equal") || strings.HasPrefix(line, " ") {
			sgr = ""
		}
		text := strings.TrimRight(line, " \n")
		if sgr != "" {
			text = colours.paint(sgr, text)
		}
		fmt.Fprintln(w, text)
	}
	_, err = fmt.Fprintf(w, "\n%d compared, %d different\n", len(subjects), differences)
	return differences, err
}

func verdictOf(theirs, ours programmed, subject string) string {
	a, inTheirs := theirs[subject]
	b, inOurs := ours[subject]
	switch {
	case !inOurs:
		return "missing"
	case !inTheirs:
		return "added"
	case a != b:
		return "differs"
	}
	return "equal"
}

// lvsd is what the director plans.
func (p programmed) lvsd(c *config.Config) {
	roles := map[string]vrrp.Role{}
	for _, v := range c.VRRP {
		roles[v.Router.Name] = vrrp.Master
	}
	state := director.Plan(director.Facts{Config: c, Roles: roles, Up: func(healthcheck.Spec) bool { return true }})
	for vip := range state.VIPs {
		p.vip(vip.Interface, netip.PrefixFrom(vip.Addr, vip.Bits))
	}
	for key, s := range state.Services {
		p.service(s.Service)
		for _, d := range s.RealServers {
			p.server(key, d)
		}
	}
	for _, s := range c.Services {
		for _, server := range s.RealServers {
			for _, spec := range server.Checks {
				check := spec.Check()
				p.check(s.IPVS.ServiceKey, server.Address, spec.Type(), check.Interval.String())
			}
		}
	}
}

func (p programmed) vip(device string, prefix netip.Prefix) {
	p[fmt.Sprintf("VIP %s", prefix.Addr())] = fmt.Sprintf("/%d on %s", prefix.Bits(), device)
}

func (p programmed) service(s ipvs.Service) {
	p["service "+s.ServiceKey.String()] = strings.TrimPrefix(s.String(), s.ServiceKey.String()+" ")
}

func (p programmed) server(key ipvs.ServiceKey, d ipvs.Destination) {
	text := fmt.Sprintf("%v weight %d", d.Forwarding, d.Weight)
	if d.Upper+d.Lower > 0 {
		text += fmt.Sprintf(" upper %d lower %d", d.Upper, d.Lower)
	}
	if d.Tunnel != (ipvs.TunnelInfo{}) {
		text += fmt.Sprintf(" tunnel %d port %d flags %d", d.Tunnel.Type, d.Tunnel.Port, d.Tunnel.Flags)
	}
	p[fmt.Sprintf("service %v server %v", key, d.Address)] = text
}

// check adds a check to those of the server.
func (p programmed) check(key ipvs.ServiceKey, server netip.AddrPort, kind, interval string) {
	subject := fmt.Sprintf("service %v server %v checks", key, server)
	all := strings.Split(p[subject], ", ")
	if all[0] == "" {
		all = nil
	}
	all = append(all, kind+" every "+interval)
	slices.Sort(all)
	p[subject] = strings.Join(all, ", ")
}
