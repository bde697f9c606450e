package keepalived

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// writing makes a document of a Configuration.
type writing struct {
	*notebook
	options Options
	c       *Configuration
	doc     *document
	// instances are those that are written, by name; trackers the names of trackers
	// by kind and keepalived's name.
	instances map[string]*table
	trackers  map[string]string
	names     map[string]bool
	// groups are the sync groups as they are written; alone are those of a single
	// instance, by its name, and relays where a group's scripts install the REDIRECT
	// rule.
	groups []*SyncGroup
	alone  map[string]*SyncGroup
	relays map[string]*Statement
	// held are the VIPs that some instance has.
	held map[netip.Addr]bool
	// vrids are those in use.
	vrids map[int]bool
	// rules counts those without a priority.
	rules int
}

func write(c *Configuration, n *notebook, name string, o Options) *document {
	w := &writing{
		notebook: n, options: o, c: c, doc: new(document), instances: map[string]*table{}, trackers: map[string]string{}, names: map[string]bool{},
		held: map[netip.Addr]bool{}, vrids: map[int]bool{}, alone: map[string]*SyncGroup{}, relays: map[string]*Statement{},
	}
	w.doc.title = []string{
		"Imported from " + name + " by lvsd import.",
		"",
		"Values that differ from lvsd's defaults are keepalived's, so that nothing changes",
		"with the daemon. docs/migration.md says which of them are worth a second thought.",
	}
	w.global()
	w.ipvs()
	w.sync()
	w.nameTrackers()
	w.prepareGroups()
	for _, i := range c.Instances {
		w.instance(i)
	}
	w.checkSync()
	w.unusedDelays()
	holders := len(w.doc.tables)
	for _, g := range w.groups {
		w.group(g)
	}
	w.writeTrackers()
	for _, v := range c.Services {
		w.service(v)
	}
	w.holders(holders)
	w.alerts()
	return w.doc
}

func (w *writing) global() {
	g := &w.c.Global
	// Without the line it is lvsd itself, which is root.
	user := strings.TrimPrefix(g.ScriptUser, "root")
	if g.RouterID == "" && user == "" {
		return
	}
	t := w.doc.add("[global]", g.head)
	if g.RouterID != "" {
		t.set("router_id", g.RouterID, g.at["router_id"])
	}
	if user != "" {
		t.set("script_user", user, g.at["script_user"])
	}
}

func (w *writing) ipvs() {
	g := &w.c.Global
	if g.TCPTimeout+g.TCPFinTimeout+g.UDPTimeout == 0 {
		return
	}
	at := g.at["lvs_timeouts"]
	t := w.doc.add("[ipvs]", at)
	for key, value := range map[string]time.Duration{"tcp_timeout": g.TCPTimeout, "tcpfin_timeout": g.TCPFinTimeout, "udp_timeout": g.UDPTimeout} {
		if value > 0 {
			t.set(key, value, at)
		}
	}
	slices.SortFunc(t.settings, func(a, b *setting) int { return cmp.Compare(a.key, b.key) })
}

// sync writes [sync] of lvs_sync_daemon, or of the first instance that has
// lvs_sync_daemon_interface.
func (w *writing) sync() {
	d := w.c.Global.Sync
	for _, i := range w.c.Instances {
		if i.SyncInterface == "" {
			continue
		}
		if at := i.at["lvs_sync_daemon_interface"]; d != nil {
			w.lost(at, "lvs_sync_daemon_interface of %s: the kernel has one pair of daemons, and lvsd lets it follow one instance", i.Name)
		} else {
			d = &SyncDaemon{at: at, Interface: i.SyncInterface, Instance: i.Name}
		}
	}
	if d == nil {
		return
	}
	t := w.doc.add("[sync]", d.at)
	t.explain("Directors tell each other of connections.")
	switch {
	case d.Instance != "":
		t.set("instance", d.Instance, d.at)
		t.set("daemons", "follow", d.at).explain("as keepalived does; \"both\" loses nothing at a switch")
	case len(w.c.Instances) > 0:
		t.set("instance", w.c.Instances[0].Name, d.at)
	}
	t.set("interface", d.Interface, d.at)
	switch {
	case d.ID != nil && *d.ID > 0:
		t.set("id", *d.ID, d.at)
	case d.ID != nil || d.Instance == "":
		w.differs(d.at, "lvs_sync_daemon: lvsd knows no id 0 and takes the vrid of the instance; directors with keepalived need that id too while both are there")
	}
	for key, value := range map[string]int{"max_length": d.MaxLength, "port": d.Port, "ttl": d.TTL} {
		if value > 0 {
			t.set(key, value, d.at)
		}
	}
	if d.Group.IsValid() {
		t.set("group", d.Group.String(), d.at)
	}
	slices.SortStableFunc(t.settings, func(a, b *setting) int {
		order := []string{"instance", "daemons", "interface", "id", "max_length", "group", "port", "ttl"}
		return cmp.Compare(slices.Index(order, a.key), slices.Index(order, b.key))
	})
}

// checkSync drops [sync] of an instance that is not there.
func (w *writing) checkSync() {
	for _, t := range w.doc.tables {
		if t.header != "[sync]" {
			continue
		}
		s := t.get("instance")
		if name := ""; s != nil {
			name, _ = strconv.Unquote(s.value)
			if w.instances[name] != nil {
				continue
			}
		}
		t.dropped = true
		w.lost(t.at, "%s: there is no instance whose role the synchronisation could follow", t.at.Word())
	}
}

// alerts writes who is told of changes.
func (w *writing) alerts() {
	g := &w.c.Global
	if g.FIFO != "" {
		t := w.doc.add("[alerts]", g.fifo)
		t.set("fifo", g.FIFO, g.fifo)
		if !strings.HasPrefix(g.FIFO, "/run/") {
			w.differs(g.fifo, "%s %s: the unit of lvsd writes below /run and /var/lib/lvsd alone, and has a /tmp of its own; put the FIFO into /run/lvsd", g.FIFOFor, g.FIFO)
		}
		if g.FIFOFor != "notify_fifo" {
			w.differs(g.fifo, "%s: lvsd's FIFO gets the lines of instances and those of services", g.FIFOFor)
		}
	}
	events := w.alertEvents()
	if len(g.Recipients) == 0 || g.MailServer == "" || len(events) == 0 {
		for _, word := range []string{"notification_email", "notification_email_from", "smtp_server"} {
			if at := g.at[word]; at != nil && at.fate == Translated {
				w.differs(at, "%s: keepalived sends no mail with these settings, so lvsd does not either", word)
			}
		}
		return
	}
	t := w.doc.add("[[alerts.mail]]", g.mailAt)
	server := g.MailServer
	if a, err := netip.ParseAddr(server); err == nil && a.Is6() {
		server = "[" + server + "]"
	}
	if !strings.Contains(strings.TrimSuffix(server, "]"), ":") || strings.HasSuffix(server, "]") {
		server += ":25"
	}
	t.set("server", server, g.at["smtp_server"])
	t.set("tls", "none", g.at["smtp_server"]).explain("keepalived knows no TLS; \"starttls\" is better")
	if strings.Contains(g.Sender, "@") {
		t.set("from", g.Sender, g.at["notification_email_from"])
	} else {
		t.set("from", "lvsd@localhost", g.mailAt)
		w.differs(g.mailAt, "notification_email_from is no address with a domain: set from of [[alerts.mail]]; keepalived sends as keepalived@ and the host name")
	}
	t.set("to", w.recipients(), g.mailAt)
	t.set("events", events, g.at["smtp_alert"])
}

// recipients are addresses with a domain: lvsd's mails need one.
func (w *writing) recipients() []string {
	var all []string
	for _, r := range w.c.Global.Recipients {
		if !strings.Contains(r, "@") {
			w.differs(w.c.Global.mailAt, "notification_email %s has no domain, so it is %s@localhost: write the right one", r, r)
			r += "@localhost"
		}
		all = append(all, r)
	}
	return all
}

// alertEvents are the kinds of event that keepalived would send a mail for: of
// roles and quorums where it is asked for, of servers unless it is told not to.
func (w *writing) alertEvents() []string {
	g := &w.c.Global
	pick := func(settings ...*bool) (yes, set bool) {
		for _, s := range settings {
			if s != nil {
				return *s, true
			}
		}
		return false, false
	}
	var events []string
	instances, _ := pick(g.MailAlertVRRP, g.MailAlert)
	for _, i := range w.c.Instances {
		instances = instances || i.MailAlert != nil && *i.MailAlert
	}
	for _, s := range w.c.Groups {
		if s.MailAlert != nil && *s.MailAlert {
			events = append(events, "group.state")
			break
		}
	}
	if instances {
		events = append(events, "instance.state")
	}
	checker, set := pick(g.MailAlertChecker, g.MailAlert)
	quorum := checker
	for _, v := range w.c.Services {
		quorum = quorum || v.MailAlert != nil && *v.MailAlert
	}
	if len(w.c.Services) > 0 {
		if checker || !set {
			events = append(events, "server.*")
		}
		if quorum {
			events = append(events, "service.*")
		}
	}
	return events
}
