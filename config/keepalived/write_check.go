package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The types of checks by keepalived's words.
var checkTypes = map[string]string{
	"TCP_CHECK": "tcp", "SMTP_CHECK": "smtp", "HTTP_GET": "http", "SSL_GET": "https", "DNS_CHECK": "dns",
	"MISC_CHECK": "script", "UDP_CHECK": "udp", "PING_CHECK": "ping", "FILE_CHECK": "file",
}

// checks are the tables of the server's checks.
func (w *writing) checks(v *VirtualServer, s *RealServer, f front) []*table {
	var all []*table
	for _, c := range s.Checks {
		switch {
		case c.Kind == "BFD_CHECK":
			w.lost(c.head, "BFD_CHECK: lvsd speaks no BFD; use a check with interval = \"100ms\", or a script that asks the BFD daemon")
			c.head.report()
		case c.Hosts != nil:
			for _, h := range c.Hosts {
				h.HeloName, h.Timing = c.HeloName, c.Timing.orElse(h.Timing)
				all = append(all, w.check(v, s, h, f, nil))
			}
		case c.URLs != nil:
			for _, urls := range w.byHost(c) {
				all = append(all, w.check(v, s, c, f, urls))
			}
		default:
			all = append(all, w.check(v, s, c, f, nil))
		}
	}
	all = slices.DeleteFunc(all, func(t *table) bool { return t == nil })
	if len(all) == 1 {
		all[0].header = "[check]"
	}
	return all
}

// orElse fills in what t does not say.
func (t Timing) orElse(other Timing) Timing {
	return Timing{
		DelayLoop: cmp.Or(t.DelayLoop, other.DelayLoop), ConnectTimeout: cmp.Or(t.ConnectTimeout, other.ConnectTimeout),
		DelayBeforeRetry: cmp.Or(t.DelayBeforeRetry, other.DelayBeforeRetry), Warmup: cmp.Or(t.Warmup, other.Warmup),
		Retry: cmp.Or(t.Retry, other.Retry), Alpha: cmp.Or(t.Alpha, other.Alpha),
	}
}

// byHost are the URLs in groups of one host: lvsd's checks have one each.
func (w *writing) byHost(c *Checker) [][]*URL {
	var groups [][]*URL
	for _, u := range c.URLs {
		at := slices.IndexFunc(groups, func(g []*URL) bool { return g[0].VirtualHost == u.VirtualHost })
		if at < 0 {
			groups = append(groups, nil)
			at = len(groups) - 1
		}
		groups[at] = append(groups[at], u)
	}
	return groups
}

func (w *writing) check(v *VirtualServer, s *RealServer, c *Checker, f front, urls []*URL) *table {
	t := &table{header: "[[check]]", at: c.head}
	t.set("type", checkTypes[c.Kind], nil)
	w.timing(t, v, s, c)
	if !w.checkTarget(t, c, s, v, f) {
		return nil
	}
	ok := true
	switch c.Kind {
	case "SMTP_CHECK":
		if c.HeloName != "" {
			t.set("helo_name", c.HeloName, c.at["helo_name"])
		}
	case "HTTP_GET", "SSL_GET":
		w.http(t, v, s, c, urls)
	case "DNS_CHECK":
		if c.Name != "" {
			t.set("name", c.Name, c.at["name"])
		}
		if c.Query != "" {
			t.set("query", strings.ToUpper(c.Query), c.at["type"])
		}
	case "MISC_CHECK":
		ok = w.misc(t, c)
	case "UDP_CHECK":
		w.udp(t, c)
	case "FILE_CHECK":
		ok = w.file(t, c)
	}
	if !ok {
		return nil
	}
	return t
}

// timing writes when the check is made. Of a file it is lvsd's own.
func (w *writing) timing(t *table, v *VirtualServer, s *RealServer, c *Checker) {
	if c.Kind == "FILE_CHECK" {
		return
	}
	vs := v.Timing
	vs.Alpha = &v.Alpha
	timing := c.Timing.orElse(s.Timing).orElse(vs)
	loop := or(timing.DelayLoop, time.Minute)
	timeout, retry, delay := or(timing.ConnectTimeout, 5*time.Second), 1, time.Second
	switch c.Kind {
	case "HTTP_GET", "SSL_GET":
		delay = 3 * time.Second
	case "DNS_CHECK":
		retry, delay = 3, loop
	case "MISC_CHECK":
		retry, timeout = 0, or(c.MiscTimeout, loop)
	}
	if timing.Retry != nil {
		retry = *timing.Retry
	}
	delay = or(timing.DelayBeforeRetry, delay)
	if loop = w.bounded(v.at["delay_loop"], loop, 100*time.Millisecond, time.Hour); loop != 5*time.Second {
		t.set("interval", loop, nil)
	}
	if timeout = w.bounded(c.from("misc_timeout", "connect_timeout"), timeout, 10*time.Millisecond, 5*time.Minute); timeout != 5*time.Second {
		t.set("timeout", timeout, nil)
	}
	if retry > 100 {
		w.differs(c.from("retry", "nb_get_retry"), "retry %d: lvsd tries again 100 times at most", retry)
	}
	if retry > 0 {
		t.set("retries", min(retry, 100), nil)
		if delay != time.Second {
			t.set("retry_delay", min(delay, time.Hour), nil)
		}
	}
	if timing.Warmup != nil {
		t.set("warmup", min(max(*timing.Warmup, time.Millisecond), time.Hour), nil)
	}
	t.set("rise", 1, nil)
	t.set("fall", 1, nil)
	if !*timing.Alpha {
		t.set("initial", "up", nil).explain("as keepalived without alpha")
	}
}

func or(d *time.Duration, other time.Duration) time.Duration {
	if d != nil {
		return *d
	}
	return other
}

// checkTarget writes whom the check asks and from where; it reports whether there
// is a port to ask.
func (w *writing) checkTarget(t *table, c *Checker, s *RealServer, v *VirtualServer, f front) bool {
	if c.Kind == "MISC_CHECK" || c.Kind == "FILE_CHECK" {
		return true
	}
	inherited := w.port(s.Address, v.forwarding(s), f)
	port := cmp.Or(uint16(c.ConnectPort), inherited, s.Address.Port())
	if port == 0 && c.Kind != "PING_CHECK" {
		w.lost(c.head, "%s of %s: neither it nor the server has a port to ask; add the check with port", c.Kind, s.Address.Addr())
		return false
	}
	switch {
	case c.Kind == "PING_CHECK" && c.ConnectIP.IsValid():
		t.set("connect_to", c.ConnectIP.String(), c.at["connect_ip"])
	case c.Kind == "PING_CHECK":
	case c.ConnectIP.IsValid() && c.ConnectIP != s.Address.Addr():
		t.set("connect_to", netip.AddrPortFrom(c.ConnectIP, port).String(), c.at["connect_ip"])
	case port != inherited:
		t.set("port", port, c.at["connect_port"])
	}
	switch {
	case c.BindTo.IsValid() && c.BindPort != 0 && c.Kind != "PING_CHECK":
		t.set("bind_address", netip.AddrPortFrom(c.BindTo, uint16(c.BindPort)).String(), c.at["bindto"])
	case c.BindTo.IsValid():
		t.set("bind_address", c.BindTo.String(), c.at["bindto"])
	case c.BindPort != 0:
		w.lost(c.at["bind_port"], "bind_port without bindto: bind_address needs an address too")
	}
	if c.BindIf != "" {
		t.set("interface", c.BindIf, c.at["bind_if"])
	}
	if c.Mark != 0 {
		t.set("mark", c.Mark, c.at["fwmark"])
	}
	return true
}

func (w *writing) misc(t *table, c *Checker) bool {
	if c.Script == nil || len(c.Script.argv()) == 0 {
		w.broken(c.head, "MISC_CHECK has no misc_path; keepalived does without it")
		return false
	}
	if c.Script.User != "" {
		w.differs(c.Script.at, "misc_path: what follows the command, %q, is left out; quotes hold a command and its arguments together", c.Script.User)
	}
	t.set("command", w.command(c.Script), c.Script.at)
	if user := w.user(c.User); user != "" {
		t.set("user", user, c.from("user"))
	}
	if c.Dynamic {
		t.set("dynamic", true, c.at["misc_dynamic"])
	}
	return true
}

func (w *writing) udp(t *table, c *Checker) {
	if c.Payload != "" {
		t.set("payload_hex", hexadecimal(c.Payload), c.at["payload"])
	}
	if c.Reply != "" {
		t.set("reply", hexadecimal(c.Reply), c.at["require_reply"])
	}
	if c.ReplyRequired {
		t.set("reply_required", true, c.at["require_reply"])
	}
	if c.MinReply != nil {
		t.set("reply_min", *c.MinReply, c.at["min_reply_length"])
	}
	if c.MaxReply != nil {
		t.set("reply_max", *c.MaxReply, c.at["max_reply_length"])
	}
}

// hexadecimal writes keepalived's free form, in which a digit that is alone is a
// byte of its own, with two digits for each byte.
func hexadecimal(text string) string {
	var b strings.Builder
	for _, word := range strings.Fields(text) {
		for ; len(word) > 1; word = word[2:] {
			b.WriteString(word[:2])
		}
		if word != "" {
			fmt.Fprintf(&b, "0%s", word)
		}
	}
	return strings.ReplaceAll(b.String(), "x", "X")
}

func (w *writing) file(t *table, c *Checker) bool {
	for _, f := range w.c.Files {
		if f.Name == c.File && f.File != "" {
			t.set("file", f.File, c.at["track_file"])
			w.differs(c.head, "FILE_CHECK: the file holds the weight itself, or up or down; keepalived's holds a number that is added to the weight")
			return true
		}
	}
	w.broken(c.head, "FILE_CHECK: there is no track_file %q; keepalived does without the check", c.File)
	return false
}
