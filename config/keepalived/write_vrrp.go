package keepalived

import (
	"cmp"
	"net/netip"
	"strings"
	"time"
)

func (w *writing) instance(original *Instance) {
	changed := *original // what is read stays as it is
	i := &changed
	w.join(i, w.alone[i.Name])
	w.settleVIPs(i)
	if len(i.VIPs) == 0 || i.Interface == "" || i.VRID == 0 {
		w.lost(i.head, "vrrp_instance %s: lvsd needs a VIP, an interface and a virtual_router_id; the instance is left out", i.Name)
		return
	}
	w.vrids[i.VRID] = true
	t := w.doc.add("[[vrrp]]", i.head)
	w.instances[i.Name] = t
	t.set("name", i.Name, nil)
	t.set("interface", i.Interface, i.at["interface"])
	t.set("vrid", i.VRID, i.at["virtual_router_id"])
	version := w.version(t, i)
	w.priority(t, i)
	w.interval(t, i, version)
	w.preemption(t, i)
	if d := w.c.Global.StartupDelay; d > 0 {
		t.set("settle", d, w.c.Global.at["vrrp_startup_delay"])
	}
	w.linkDelays(t, i)
	w.network(t, i, version)
	w.addresses(t, i)
	w.track(t, i.Track, i.Priority == 255, w.weightless(i.Name))
	w.serveOnBackup(t, i)
	w.garp(t, i)
	w.auth(t, i, version)
	w.notify(t, i.Notify)
	w.routes(t, i)
}

func (i *Instance) ipv6() bool { return len(i.VIPs) > 0 && i.VIPs[0].Prefix.Addr().Is6() }

// settleVIPs does what keepalived does with addresses that an instance has twice, are
// of the other family, or are too many for an advert. Those that another instance has
// too are left to lvsd's own rules.
func (w *writing) settleVIPs(i *Instance) {
	limit := 255
	if i.ipv6() {
		limit = 89
	}
	type place struct {
		device string
		addr   netip.Addr
	}
	own := map[place]bool{}
	var vips, excluded []Address
	for n, a := range append(append([]Address{}, i.VIPs...), i.Excluded...) {
		addr := a.Prefix.Addr()
		at := place{cmp.Or(a.Interface, i.Interface), addr}
		switch {
		case own[at]:
			w.broken(a.at, "%s is a VIP of the instance already; the second is left out", addr)
			continue
		case n >= len(i.VIPs):
			excluded = append(excluded, a)
		case addr.Is6() != i.ipv6():
			w.differs(a.at, "%s is of another family than the first VIP, so it is one of excluded_vips", addr)
			excluded = append(excluded, a)
		case len(vips) == limit:
			w.differs(a.at, "%s has no room in the adverts any more, so it is one of excluded_vips", addr)
			excluded = append(excluded, a)
		default:
			vips = append(vips, a)
		}
		own[at], w.held[addr] = true, true
	}
	i.VIPs, i.Excluded = vips, excluded
}

func (w *writing) version(t *table, i *Instance) int {
	version := cmp.Or(i.Version, w.c.Global.Version)
	if i.ipv6() {
		if version == 2 && i.Version == 2 {
			w.differs(i.at["version"], "version 2 has no IPv6, so the instance speaks version 3, as with keepalived")
		}
		version = 3
	}
	if version == 2 {
		t.set("version", 2, i.from("version", "virtual_router_id")).explain("as keepalived does unless told otherwise; 3 once all nodes run lvsd")
	}
	return version
}

// priority writes it; keepalived's default depends on the state.
func (w *writing) priority(t *table, i *Instance) {
	if i.Priority == 0 {
		i.Priority = 100
		if i.State == "MASTER" {
			i.Priority = 255
		}
	}
	s := t.set("priority", i.Priority, i.at["priority"])
	if at := i.at["state"]; at != nil && at.fate == Translated {
		switch {
		case i.Priority == 255:
			s.explain("the owner of the addresses: no tracker changes it")
		case i.State == "MASTER":
			s.explain("there is no state: the highest priority becomes MASTER")
		}
	}
}

func (w *writing) interval(t *table, i *Instance, version int) {
	at := i.at["advert_int"]
	interval := i.AdvertInterval
	switch whole := interval.Round(time.Second); {
	case version == 2 && (interval%time.Second != 0 || interval < time.Second || interval > 255*time.Second):
		interval = min(max(whole, time.Second), 255*time.Second)
	case version == 3:
		interval = min(max(interval.Round(10*time.Millisecond), 10*time.Millisecond), 40950*time.Millisecond)
	}
	if interval != i.AdvertInterval {
		w.broken(at, "advert_int %s is nothing that version %d can carry; %s is taken", at.word(1), version, spell(interval))
	}
	if interval != time.Second {
		t.set("advert_interval", interval, at)
	}
}

func (w *writing) preemption(t *table, i *Instance) {
	fixed := i.State == "MASTER" || i.Priority == 255
	if at := i.at["nopreempt"]; i.NoPreempt {
		if fixed {
			w.broken(at, "nopreempt has no effect beside state MASTER or priority 255; the instance preempts, as with keepalived. If it should not, set preempt = false")
		} else {
			t.set("preempt", false, at)
		}
	}
	if at := i.at["preempt_delay"]; i.PreemptDelay > 0 {
		if i.State == "MASTER" || i.NoPreempt && !fixed {
			w.broken(at, "preempt_delay has no effect beside state MASTER or nopreempt, as with keepalived")
		} else {
			t.set("preempt_delay", i.PreemptDelay, at)
		}
	}
}

// network writes where adverts go and come from.
func (w *writing) network(t *table, i *Instance, version int) {
	if i.Source.IsValid() {
		t.set("source", i.Source.String(), i.from("unicast_src_ip", "mcast_src_ip"))
	}
	if len(i.Peers) > 0 {
		w.peers(t, i)
	} else if group := w.group4or6(i); group.IsValid() {
		t.set("multicast_group", group.String(), i.from("mcast_dst_ip"))
	}
	checksum := w.c.Global.Checksum2
	if i.Checksum2 != nil {
		checksum = *i.Checksum2
	}
	if checksum && version == 3 && !i.ipv6() {
		t.set("checksum", "rfc9568", i.from("v3_checksum_as_v2"))
	}
}

func (w *writing) group4or6(i *Instance) netip.Addr {
	group, usual := w.c.Global.Multicast4, netip.MustParseAddr("224.0.0.18")
	if i.ipv6() {
		group, usual = w.c.Global.Multicast6, netip.MustParseAddr("ff02::12")
	}
	if i.Multicast.IsValid() {
		group = i.Multicast
	}
	if group == usual {
		return netip.Addr{}
	}
	return group
}

// peers writes them with what keepalived checks of their adverts, which is less.
func (w *writing) peers(t *table, i *Instance) {
	at := i.at["unicast_peer"]
	var addresses []string
	ttl := 256
	for _, p := range i.Peers {
		addresses = append(addresses, p.Address.String())
		ttl = min(ttl, p.MinTTL)
	}
	t.set("peers", addresses, at)
	t.set("min_ttl", max(1, ttl), at).explain("keepalived looks at no TTL unless told to; without this line only neighbours count")
	check := w.c.Global.CheckUnicastSource || ttl > 0
	if i.CheckSource != nil {
		check = *i.CheckSource
	}
	if !check {
		t.set("check_source", false, at).explain("keepalived does not look; without this line adverts of others are discarded")
	}
}

func (w *writing) addresses(t *table, i *Instance) {
	for _, list := range []struct {
		key  string
		from string
		all  []Address
	}{{"vips", "virtual_ipaddress", i.VIPs}, {"excluded_vips", "virtual_ipaddress_excluded", i.Excluded}} {
		if len(list.all) == 0 {
			continue
		}
		s := &setting{key: list.key, at: i.from(list.from)}
		for _, a := range list.all {
			s.elements = append(s.elements, &element{value: w.vip(a, i.Interface), at: a.at})
		}
		t.settings = append(t.settings, s)
	}
}

// vip is the address, or a table where it has options.
func (w *writing) vip(a Address, own string) string {
	address := a.Prefix.String()
	if a.Whole {
		address = a.Prefix.Addr().String()
	}
	parts := []string{"address = " + quote(address)}
	add := func(key, value string) { parts = append(parts, key+" = "+quote(value)) }
	if a.Interface != "" && a.Interface != own {
		add("interface", a.Interface)
	}
	ipv6 := a.Prefix.Addr().Is6()
	if a.Scope != "" && a.Scope != "global" && a.Scope != "universe" && !ipv6 {
		add("scope", a.Scope)
	}
	if a.Label != "" && !ipv6 {
		add("label", a.Label)
	}
	if a.Broadcast.IsValid() && !ipv6 {
		add("broadcast", a.Broadcast.String())
	}
	if len(parts) == 1 {
		return quote(address)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// serveOnBackup turns the scripts that install the REDIRECT rule into lvsd's own.
func (w *writing) serveOnBackup(t *table, i *Instance) {
	n := &i.Notify
	if at := w.relays[i.Name]; at != nil {
		t.set("serve_on_backup", true, at).
			explain("in place of the notify scripts of the group: lvsd keeps the REDIRECT rule itself, and repairs it")
		w.withoutRedirects(n)
		return
	}
	if !w.redirects(n.Backup) && !w.redirects(n.Any) {
		return
	}
	problem := w.noRedirect()
	if problem != "" {
		w.lost(n.Backup.statement(i.head), "the script installs the REDIRECT rule by which a BACKUP accepts its share; lvsd cannot do that here, since %s", problem)
		return
	}
	t.set("serve_on_backup", true, n.Backup.statement(n.Any.statement(i.head))).
		explain("in place of the notify scripts: lvsd keeps the REDIRECT rule itself, and repairs it")
	w.withoutRedirects(n)
}

// noRedirect says why there can be no rule, or nothing.
func (w *writing) noRedirect() string {
	for _, v := range w.c.Services {
		if v.Mark != 0 {
			return "there is a service by firewall mark"
		}
		if v.Protocol == "sctp" {
			return "there is a service over SCTP"
		}
	}
	for _, g := range w.c.ServerGroups {
		for _, e := range g.Entries {
			if e.Mark != 0 {
				return "there is a service by firewall mark"
			}
		}
	}
	return ""
}

// statement is where the script is, or the other.
func (s *Script) statement(other *Statement) *Statement {
	if s == nil {
		return other
	}
	return s.at
}

func (w *writing) garp(t *table, i *Instance) {
	g, at := i.GARP, i.from("garp_master_refresh", "garp_master_delay", "garp_master_repeat")
	global := w.c.Global.GARP
	delay := cmp.Or(g.Delay, global.Delay)
	repeat := cmp.Or(g.Repeat, global.Repeat)
	refresh := cmp.Or(g.Refresh, global.Refresh)
	if global.Minimal && repeat == nil {
		one := 1
		repeat = &one
	}
	if repeat != nil && *repeat != 5 {
		t.set("garp.count", *repeat, i.at["garp_master_repeat"])
	}
	switch {
	case delay != nil && *delay == 0, delay == nil && global.Minimal:
		w.differs(at, "lvsd always sends a second burst of gratuitous ARP, garp.delay after the first")
	case delay != nil && *delay != 5*time.Second:
		t.set("garp.delay", *delay, i.at["garp_master_delay"])
	}
	if refresh != nil && *refresh > 0 {
		t.set("garp.refresh", max(time.Second, refresh.Round(time.Second)), at)
	} else {
		t.set("garp.refresh", time.Duration(0), at).explain("as keepalived; without this line a neighbour that missed the change learns of it within 60s")
	}
}

// notify writes the commands of an instance or group.
func (w *writing) notify(t *table, n Notify) {
	var sub *table
	var written []*Script
	for _, hook := range []struct {
		key    string
		script *Script
	}{{"master", n.Master}, {"backup", n.Backup}, {"fault", n.Fault}, {"stop", n.Stop}, {"any", n.Any}} {
		if hook.script == nil {
			continue
		}
		argv := w.command(hook.script)
		if argv == nil {
			w.broken(hook.script.at, "%s: the command is empty", hook.script.at.Word())
			continue
		}
		if sub == nil {
			sub = t.sub("[notify]", hook.script.at)
		}
		sub.set(hook.key, argv, hook.script.at)
		written = append(written, hook.script)
	}
	w.hookUser(sub, written)
}

// hookUser writes whom the commands of a table run as, which is one user for all.
func (w *writing) hookUser(t *table, scripts []*Script) {
	whom := func(s *Script) string {
		name, _, _ := strings.Cut(s.User, " ")
		return cmp.Or(name, w.c.Global.ScriptUser, "root")
	}
	for n, s := range scripts {
		if _, group, ok := strings.Cut(s.User, " "); ok {
			w.differs(s.at, "%s: lvsd takes the group %q from the user", s.at.Word(), group)
		}
		switch user := w.user(whom(s)); {
		case whom(s) != whom(scripts[0]):
			w.differs(s.at, "%s: the hooks of one table run as one user, %s; this one ran as %s", s.at.Word(), whom(scripts[0]), whom(s))
		case n == 0 && user != "":
			t.set("user", user, s.at)
		}
	}
}
