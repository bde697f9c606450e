package keepalived

import (
	"cmp"
	"net/netip"
	"slices"
)

// holders writes an instance for the VIPs of services that none has: keepalived
// leaves it to others to set these up, lvsd balances only what it holds.
func (w *writing) holders(at int) {
	missing := map[bool][]netip.Addr{}
	source := map[netip.Addr]*Statement{}
	for _, v := range w.c.Services {
		for _, f := range w.fronts(v) {
			for addr := f.first; addr.IsValid() && f.mark == 0; addr = addr.Next() {
				if !w.held[addr] {
					w.held[addr], source[addr] = true, v.head
					missing[addr.Is6()] = append(missing[addr.Is6()], addr)
				}
				if addr == f.last {
					break
				}
			}
		}
	}
	for _, ipv6 := range []bool{false, true} {
		if vips := missing[ipv6]; len(vips) > 0 {
			at = w.holder(vips, source, ipv6, at)
		}
	}
}

func (w *writing) holder(vips []netip.Addr, source map[netip.Addr]*Statement, ipv6 bool, at int) int {
	first := source[vips[0]]
	t := &table{header: "[[vrrp]]", at: first}
	name, limit := "services", 255
	if ipv6 {
		name, limit = "services-ipv6", 89
	}
	for w.instances[name] != nil {
		name += "-"
	}
	w.instances[name] = t
	device := w.device(vips)
	t.explain("No vrrp_instance has these addresses of virtual servers. lvsd balances what it holds, so")
	t.explain("they are an instance of their own: look at its interface and at its vrid.")
	t.set("name", name, nil)
	t.set("interface", device, nil)
	vrid := 255
	for vrid > 1 && w.vrids[vrid] {
		vrid--
	}
	w.vrids[vrid] = true
	t.set("vrid", vrid, nil)
	for key, some := range map[string][]netip.Addr{"vips": vips[:min(len(vips), limit)], "excluded_vips": vips[min(len(vips), limit):]} {
		if len(some) == 0 {
			continue
		}
		s := &setting{key: key, at: first}
		for _, v := range some {
			s.elements = append(s.elements, &element{value: quote(v.String()), at: source[v]})
		}
		t.settings = append(t.settings, s)
	}
	slices.SortStableFunc(t.settings[3:], func(a, b *setting) int { return -cmp.Compare(a.key, b.key) })
	told := map[*Statement]bool{}
	for _, v := range vips {
		if s := source[v]; !told[s] {
			told[s] = true
			w.differs(s, "no vrrp_instance has %s, so [[vrrp]] %q is made for it, on %s: put the right interface there, or the address into the instance that should have it", v, name, device)
		}
	}
	w.doc.tables = slices.Insert(w.doc.tables, at, t)
	return at + 1
}

// device is where the addresses probably are: where a static one of them is, else
// the interface of the instances if they have only one, else keepalived's default.
func (w *writing) device(vips []netip.Addr) string {
	for _, a := range w.c.Static {
		if slices.Contains(vips, a.Prefix.Addr()) && a.Interface != "" {
			return a.Interface
		}
	}
	var all []string
	for _, i := range w.c.Instances {
		if w.instances[i.Name] != nil && !slices.Contains(all, i.Interface) {
			all = append(all, i.Interface)
		}
	}
	if len(all) == 1 {
		return all[0]
	}
	return w.c.Global.DefaultInterface
}
