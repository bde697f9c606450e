package keepalived

import (
	"net/netip"
	"strings"
)

func (w *writing) sorryServer(t *table, v *VirtualServer, f front) {
	s := v.Sorry
	if s == nil {
		return
	}
	if !s.Address.IsValid() {
		w.broken(v.from("sorry_server_inhibit", "sorry_server_lvs_method"), "the virtual server has no sorry_server")
		return
	}
	method := v.Forwarding
	if s.Forwarding != nil {
		method = *s.Forwarding
	}
	if port := s.Address.Port(); method.Method != "nat" && port != 0 && f.mark == 0 && port != f.port {
		w.broken(s.at, "%s: by %s packets keep the port, so it is %d, as with keepalived", s.at.text, strings.ToUpper(method.Method), f.port)
	}
	sub := t.sub("[sorry_server]", s.at)
	sub.set("address", w.target(s.Address, method, f), nil)
	if s.Forwarding != nil && *s.Forwarding != v.Forwarding {
		w.forwardingKeys(sub, method, nil)
	}
	if s.Inhibit {
		sub.set("inhibit", true, v.at["sorry_server_inhibit"])
	}
}

// target is the address, with its port if that is not the service's and packets get
// it: only NAT changes ports.
func (w *writing) target(a netip.AddrPort, method Forwarding, f front) string {
	if method.Method != "nat" || a.Port() == 0 || a.Port() == f.port && f.mark == 0 {
		return a.Addr().String()
	}
	return a.String()
}

// port is the one that checks of the server ask unless they say otherwise; 0 is
// none.
func (w *writing) port(a netip.AddrPort, method Forwarding, f front) uint16 {
	if method.Method == "nat" && a.Port() != 0 {
		return a.Port()
	}
	return f.port
}

func (w *writing) hooks(t *table, v *VirtualServer) {
	var sub *table
	var written []*Script
	set := func(key string, s *Script) {
		argv := []string(nil)
		if s != nil {
			argv = w.command(s)
		}
		if argv == nil {
			return
		}
		if sub == nil {
			sub = t.sub("[hooks]", s.at)
		}
		sub.set(key, argv, s.at)
		written = append(written, s)
	}
	set("quorum_up", v.QuorumUp)
	set("quorum_down", v.QuorumDown)
	set("server_up", w.commonHook(v, "notify_up", func(s *RealServer) *Script { return s.NotifyUp }))
	set("server_down", w.commonHook(v, "notify_down", func(s *RealServer) *Script { return s.NotifyDown }))
	w.hookUser(sub, written)
}

// commonHook is the script of all real servers, if it is one: hooks are of a
// service.
func (w *writing) commonHook(v *VirtualServer, keyword string, of func(*RealServer) *Script) *Script {
	var common *Script
	same := true
	for _, s := range v.RealServers {
		script := of(s)
		switch {
		case script == nil:
			same = false
		case common == nil:
			common = script
		case script.Line != common.Line:
			same = false
		}
	}
	if common == nil {
		return nil
	}
	if same {
		w.differs(common.at, "%s: hooks are of a service, for all its servers; lvsd appends four arguments, SERVER, service, address and UP or DOWN", keyword)
		return common
	}
	for _, s := range v.RealServers {
		if script := of(s); script != nil {
			w.lost(script.at, "%s of one server: hooks are of a service; write one command for server_up and one for server_down of [virtual_service.hooks], which get SERVER, service, address and UP or DOWN", keyword)
		}
	}
	return nil
}

// servers writes the real servers, with their checks in one place if they are the
// same for all.
func (w *writing) servers(t *table, v *VirtualServer, f front) {
	checks := make([][]*table, len(v.RealServers))
	same := len(v.RealServers) > 0
	for n, s := range v.RealServers {
		checks[n] = w.checks(v, s, f)
		same = same && alike(checks[n], checks[0])
	}
	if same {
		t.tables = append(t.tables, checks[0]...)
	}
	for n, s := range v.RealServers {
		method := v.forwarding(s)
		sub := t.sub("[[real_server]]", s.head)
		sub.set("address", w.target(s.Address, method, f), nil)
		if s.Forwarding != nil && *s.Forwarding != v.Forwarding {
			w.forwardingKeys(sub, method, s.from("lvs_method", "lb_kind"))
		}
		if weight := w.serverWeight(v, s); weight != 1 {
			sub.set("weight", weight, s.at["weight"])
		}
		if s.Upper > 0 {
			sub.set("upper_connections", s.Upper, s.at["uthreshold"])
		}
		if s.Lower > 0 {
			sub.set("lower_connections", s.Lower, s.at["lthreshold"])
		}
		if !same {
			sub.tables = append(sub.tables, checks[n]...)
		}
	}
}

// mostWeight is the kernel's as well as lvsd's: more is cut off there.
const mostWeight = 65535

func (w *writing) serverWeight(v *VirtualServer, s *RealServer) int {
	if s.Weight > mostWeight {
		at := s.at["weight"]
		if at == nil {
			at = v.from("weight")
		}
		w.lost(at, "weight %d: lvsd takes at most %d", s.Weight, mostWeight)
		return mostWeight
	}
	return s.Weight
}

// alike reports whether two lists of tables say the same.
func alike(a, b []*table) bool {
	text := func(tables []*table) string {
		var w writer
		for _, t := range tables {
			w.table(t, "", "")
		}
		return w.String()
	}
	return text(a) == text(b)
}
