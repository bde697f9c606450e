package keepalived

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// front is what clients connect to: addresses with a port, or a mark.
type front struct {
	at          *Statement
	first, last netip.Addr
	port        uint16
	mark        uint32
	ipv6        bool
	family      bool // a mark's is written
}

// fronts are those of the virtual server, of a group one for each line.
func (w *writing) fronts(v *VirtualServer) []front {
	switch {
	case v.Group != "":
		g := w.serverGroup(v.Group)
		if g == nil {
			return nil
		}
		var all []front
		for _, e := range g.Entries {
			f := front{at: e.at, first: e.First, last: e.Last, port: e.Port, mark: e.Mark, ipv6: e.First.Is6()}
			if e.Mark != 0 {
				f.ipv6, f.family = v.markFamily(e.IPv6), e.IPv6 != nil
			}
			all = append(all, f)
		}
		return all
	case v.Mark != 0:
		return []front{{at: v.head, mark: v.Mark, ipv6: v.markFamily(nil)}}
	default:
		a := v.Address.Addr()
		return []front{{at: v.head, first: a, last: a, port: v.Address.Port(), ipv6: a.Is6()}}
	}
}

// markFamily tells whether a mark is of IPv6: by what is said, else by the servers.
func (v *VirtualServer) markFamily(said *bool) bool {
	switch {
	case said != nil:
		return *said
	case v.IPv6 != nil:
		return *v.IPv6
	}
	return len(v.RealServers) > 0 && v.RealServers[0].Address.Addr().Is6()
}

func (w *writing) serverGroup(name string) *ServerGroup {
	for _, g := range w.c.ServerGroups {
		if g.Name == name {
			return g
		}
	}
	return nil
}

// service writes the tables of a virtual server: a group has one for each port and
// family, and for each mark.
func (w *writing) service(v *VirtualServer) {
	all := w.fronts(v)
	if len(all) == 0 {
		w.broken(v.head, "virtual_server group %s: there is no such virtual_server_group, or it is empty; the virtual server is left out", v.Group)
		return
	}
	if mixed(all) {
		at := v.head
		if g := w.serverGroup(v.Group); g != nil {
			at = g.head
		}
		w.differs(at, "virtual_server_group %s has IPv4, IPv6 and a fwmark without a family; keepalived 2.2 removes the virtual server then, and this file keeps it, with a service for each", v.Group)
	}
	w.serviceNotes(v)
	var done []front
	for _, f := range all {
		alike := func(o front) bool { return f.mark == 0 && o.mark == 0 && o.port == f.port && o.ipv6 == f.ipv6 }
		if slices.ContainsFunc(done, alike) {
			continue
		}
		done = append(done, f)
		same := []front{f}
		if f.mark == 0 {
			same = slices.DeleteFunc(slices.Clone(all), func(o front) bool { return !alike(o) })
		}
		w.serviceTable(v, same, len(all) > len(same))
	}
}

// mixed reports whether the entries are of both families, and some mark of none.
func mixed(all []front) bool {
	has := func(is func(front) bool) bool { return slices.ContainsFunc(all, is) }
	return has(func(f front) bool { return f.mark == 0 && f.ipv6 }) && has(func(f front) bool { return f.mark == 0 && !f.ipv6 }) &&
		has(func(f front) bool { return f.mark != 0 && !f.family })
}

// serviceNotes are those that are made once for a virtual server.
func (w *writing) serviceNotes(v *VirtualServer) {
	if v.Mark == 0 && !v.has("protocol") {
		w.differs(v.head, "%s has no protocol; keepalived takes UDP then, and so does this file", v.head.text)
	}
	for _, s := range v.RealServers {
		if port := s.Address.Port(); v.Mark == 0 && v.Group == "" && port != 0 && port != v.Address.Port() && v.forwarding(s).Method != "nat" {
			w.broken(s.head, "%s: by %s packets keep the port, so it is %d, as with keepalived", s.head.text, strings.ToUpper(v.forwarding(s).Method), v.Address.Port())
		}
	}
	if v.QuorumUp != nil || v.QuorumDown != nil {
		w.differs(v.from("quorum_up", "quorum_down"), "quorum_up, quorum_down: lvsd appends three arguments, SERVICE, the name and UP or DOWN")
	}
	for flag := range v.Flags {
		if name := schedulerFlag(v.Scheduler, flag); name == "" {
			w.broken(v.at[flag], "%s is no flag of the scheduler %s", flag, v.Scheduler)
		}
	}
	if v.Mark != 0 {
		if at := v.at["protocol"]; at != nil {
			w.broken(at, "a virtual server by fwmark has no protocol: it takes every packet with the mark")
		}
	}
}

// forwarding is the server's, or the service's.
func (v *VirtualServer) forwarding(s *RealServer) Forwarding {
	if s.Forwarding != nil {
		return *s.Forwarding
	}
	return v.Forwarding
}

// schedulerFlag is lvsd's name of a flag, or empty.
func schedulerFlag(scheduler, flag string) string {
	if scheduler != "sh" && scheduler != "mh" {
		return ""
	}
	switch flag {
	case "flag-1", scheduler + "-fallback":
		return scheduler + "-fallback"
	case "flag-2", scheduler + "-port":
		return scheduler + "-port"
	}
	return ""
}

func (w *writing) serviceTable(v *VirtualServer, fronts []front, several bool) {
	t := w.doc.add("[[virtual_service]]", v.head)
	f := fronts[0]
	if v.Group != "" {
		name := v.Group
		if several {
			name = fmt.Sprintf("%s %d", v.Group, f.port)
			if f.mark != 0 {
				name = fmt.Sprintf("%s mark %d", v.Group, f.mark)
			}
		}
		if v.Protocol == "udp" && slices.ContainsFunc(w.c.Services, func(o *VirtualServer) bool { return o != v && o.Group == v.Group }) {
			name += " " + v.Protocol
		}
		for w.names["service "+name] {
			name += "-"
		}
		w.names["service "+name] = true
		t.set("name", name, nil)
	}
	w.frontKeys(t, v, fronts)
	t.set("scheduler", v.Scheduler, v.from("lvs_sched", "lb_algo"))
	var flags []string
	for _, flag := range []string{"flag-1", "sh-fallback", "mh-fallback", "flag-2", "sh-port", "mh-port"} {
		if name := schedulerFlag(v.Scheduler, flag); v.Flags[flag] && name != "" && !slices.Contains(flags, name) {
			flags = append(flags, name)
		}
	}
	if flags != nil {
		t.set("scheduler_flags", flags, nil)
	}
	w.forwardingKeys(t, v.Forwarding, v.from("lvs_method", "lb_kind"))
	w.onFailure(t, v)
	if v.Quorum != 1 {
		t.set("quorum", v.Quorum, v.at["quorum"])
	}
	if v.Hysteresis > 0 {
		t.set("quorum_hysteresis", v.Hysteresis, v.at["hysteresis"])
	}
	if v.OnePacket && v.Protocol == "udp" {
		t.set("one_packet", true, v.at["ops"])
	} else if v.OnePacket {
		w.broken(v.at["ops"], "ops is for UDP alone; keepalived ignores it")
	}
	if v.Omega {
		t.set("omega", true, v.at["omega"])
	}
	w.persistence(t, v, f)
	w.sorryServer(t, v, f)
	w.hooks(t, v)
	w.servers(t, v, f)
}

// frontKeys writes whom clients connect to.
func (w *writing) frontKeys(t *table, v *VirtualServer, fronts []front) {
	f := fronts[0]
	if f.mark != 0 {
		t.set("firewall_mark", f.mark, f.at).explain("set by the host's own rules; mark_traffic lets lvsd do it")
		if f.ipv6 {
			t.set("family", "ipv6", f.at)
		}
		return
	}
	if len(fronts) == 1 && f.first == f.last {
		t.set("address", netip.AddrPortFrom(f.first, f.port).String(), f.at)
	} else {
		s := &setting{key: "addresses", at: f.at}
		for _, f := range fronts {
			text := f.first.String()
			if f.last != f.first {
				text += "-" + f.last.String()
			}
			s.elements = append(s.elements, &element{value: quote(text), at: f.at})
		}
		t.settings = append(t.settings, s)
		t.set("ports", raw(fmt.Sprintf("[%d]", f.port)), f.at)
	}
	t.set("protocol", v.Protocol, v.at["protocol"])
}

func (w *writing) forwardingKeys(t *table, f Forwarding, at *Statement) {
	t.set("forwarding", f.Method, at)
	if f.Tunnel != "" && f.Tunnel != "ipip" {
		t.set("encapsulation", f.Tunnel, at)
	}
	if f.Port != 0 {
		t.set("gue_port", f.Port, at)
	}
	if f.Checksum != "" && f.Checksum != "none" {
		t.set("tunnel_checksum", f.Checksum, at)
	}
}

// onFailure is of a service in lvsd, of each server in keepalived.
func (w *writing) onFailure(t *table, v *VirtualServer) {
	inhibits := func(s *RealServer) bool {
		if s.Inhibit != nil {
			return *s.Inhibit
		}
		return v.Inhibit
	}
	count := 0
	for _, s := range v.RealServers {
		if inhibits(s) {
			count++
		}
	}
	at := v.at["inhibit_on_failure"]
	switch {
	case count == 0:
		t.set("on_failure", "remove", at).explain("as keepalived without inhibit_on_failure; \"quiesce\" lets connections end in peace")
	case count == len(v.RealServers):
		t.set("on_failure", "quiesce", at)
	default:
		t.set("on_failure", "quiesce", at)
		for _, s := range v.RealServers {
			if !inhibits(s) {
				w.differs(s.head, "%s: on_failure is of a service, so this server too gets weight 0 in place of being removed", s.head.text)
			}
		}
	}
}

func (w *writing) persistence(t *table, v *VirtualServer, f front) {
	if !v.Persistent && v.Engine == "" {
		return
	}
	at := v.from("persistence_timeout", "persistence_granularity", "persistence_engine")
	p := t.sub("[persistence]", at)
	if v.Timeout > 0 {
		p.set("timeout", v.Timeout, v.at["persistence_timeout"])
	}
	if v.Granularity >= 0 && (f.ipv6 || v.Granularity != 32) {
		p.set("granularity", v.Granularity, v.at["persistence_granularity"])
	}
	if v.Engine != "" {
		p.set("engine", v.Engine, v.at["persistence_engine"])
	}
}
