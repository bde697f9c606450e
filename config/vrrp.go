package config

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lvsd/lvsd/vrrp"
)

// maxPassword is the length of the authentication data of version 2 (RFC 2338
// section 5.3.10).
const maxPassword = 8

// instance is a VRRP instance and where its keys are.
type instance struct {
	VRRP
	*table
	vips  []located[netip.Addr]
	whole bool // every VIP could be read
}

// readInstances reads each [[vrrp]] for the node.
func readInstances(tables []*table, node string) []instance {
	var all []instance
	for _, t := range tables {
		all = append(all, readInstance(t.as(node)))
	}
	checkInstances(all)
	return all
}

func readInstance(main *table) instance {
	name := read(main, "name", label()).required()
	t := main.forNode()
	defer t.close()
	i := instance{table: t}
	i.Router = readRouter(t)
	i.Router.Name = name
	i.Interface = read(t, "interface", interfaceName()).required()
	i.vips, i.whole = readList(t, "vips", address(), "required")
	i.VIPs, i.Router.VIPs = plain(i.vips), plain(i.vips)
	i.ServeOnBackup = read(t, "serve_on_backup", boolean()).or(false)
	i.Redirect = RedirectScope(read(t, "redirect", choice(string(RedirectServices), string(RedirectAllTCP))).or(string(RedirectServices)))
	i.KeepRedirectOnStop = read(t, "keep_redirect_on_stop", boolean()).or(true)
	i.GARP = readGARP(t.subOrEmpty("garp"))
	i.Hooks = readHooks(t.subOrEmpty("notify"))
	checkVIPs(i)
	return i
}

// readRouter reads what the protocol needs.
func readRouter(t *table) vrrp.Config {
	c := vrrp.Config{
		Version:      vrrp.Version(read(t, "version", integer(2, 3)).or(3)),
		VRID:         uint8(read(t, "vrid", integer(1, 255)).required()),
		Priority:     uint8(read(t, "priority", integer(1, 255)).or(100)),
		Interval:     read(t, "advert_interval", duration(10*time.Millisecond, 255*time.Second, 1)).or(time.Second),
		Preempt:      read(t, "preempt", boolean()).or(true),
		PreemptDelay: read(t, "preempt_delay", duration(0, time.Hour, 1)).or(0),
		Source:       read(t, "source", address()).orElse(netip.Addr{}, "the interface's first address"),
	}
	c.Peers = readPeers(t, c.Source)
	checkInterval(t, c)
	if auth := t.sub("auth"); auth != nil {
		c.Password = readAuth(auth, c.Version)
	}
	return c
}

// readPeers reads whom to send adverts to. The node itself is left out, so that
// one list serves every node.
func readPeers(t *table, source netip.Addr) []netip.Addr {
	listed, _ := readList(t, "peers", address(), "[]")
	checkDistinct(t, listed)
	var peers []netip.Addr
	for _, p := range plain(listed) {
		if p != source {
			peers = append(peers, p)
		}
	}
	if len(listed) > 0 && len(peers) == 0 {
		t.fail(t.at("peers"), "lists only this node's own source, expected the other nodes")
	}
	return peers
}

// checkInterval reports an interval that the version cannot carry: whole
// seconds in 8 bits, or centiseconds in 12.
func checkInterval(t *table, c vrrp.Config) {
	if c.Interval == 0 {
		return // not readable, reported
	}
	const longest = 4095 * 10 * time.Millisecond
	switch at := t.at("advert_interval"); {
	case c.Version == 2 && c.Interval%time.Second != 0:
		t.fail(at, "%s is not whole seconds, expected 1s..255s in version 2", c.Interval)
	case c.Version == 3 && c.Interval > longest:
		t.fail(at, "%s is out of range, expected 10ms..%s in version 3", formatDuration(c.Interval), longest)
	case c.Version == 3 && c.Interval%(10*time.Millisecond) != 0:
		t.fail(at, "%s is not whole centiseconds, expected a multiple of 10ms in version 3", c.Interval)
	}
}

// readAuth reads [vrrp.auth] and returns the password.
func readAuth(t *table, version vrrp.Version) string {
	defer t.close()
	read(t, "type", choice("pass")).required()
	password := read(t, "password", text("1..8 bytes", "a string of 1..8 bytes", func(s string) error {
		switch {
		case s == "":
			return fmt.Errorf("is empty, expected 1..%d bytes", maxPassword)
		case len(s) > maxPassword:
			return fmt.Errorf("is %d bytes long, expected at most %d: an advert carries no more, keepalived would cut it", len(s), maxPassword)
		}
		return nil
	})).required()
	if version == 3 {
		t.failKey(t.path(), "version 3 has no authentication, expected version = 2 or no auth")
	}
	return password
}

// interfaceName is a name that Linux gives to interfaces (dev_valid_name).
func interfaceName() kind[string] {
	return text("1..15 bytes", "the name of an interface", func(s string) error {
		if s == "." || s == ".." || len(s) > 15 || !isWord(s) || strings.ContainsAny(s, "/:") {
			return fmt.Errorf("%q is not an interface name, expected 1..15 characters without spaces, slashes and colons", s)
		}
		return nil
	})
}

// readGARP reads [vrrp.garp].
func readGARP(t *table) GARP {
	defer t.close()
	return GARP{
		Count:   read(t, "count", integer(1, 100)).or(5),
		Delay:   read(t, "delay", duration(100*time.Millisecond, time.Hour, 1)).or(5 * time.Second),
		Refresh: read(t, "refresh", duration(0, 24*time.Hour, time.Second)).or(time.Minute),
	}
}

// readHooks reads [vrrp.notify].
func readHooks(t *table) Hooks {
	defer t.close()
	return Hooks{
		Master:      readCommand(t, "master"),
		Backup:      readCommand(t, "backup"),
		Fault:       readCommand(t, "fault"),
		Stop:        readCommand(t, "stop"),
		Any:         readCommand(t, "any"),
		Timeout:     read(t, "timeout", duration(100*time.Millisecond, time.Hour, 1)).or(30 * time.Second),
		Environment: readEnvironment(t),
	}
}

// readCommand reads the argument vector of a hook; an empty one is none.
func readCommand(t *table, key string) []string {
	argv, _ := readList(t, key, text("", "a string", func(s string) error {
		if strings.ContainsRune(s, 0) {
			return fmt.Errorf("%q contains a zero byte, which no argument can", s)
		}
		return nil
	}), "[]")
	for _, l := range t.layers {
		if first, ok := firstString(l.values[key]); ok && !filepath.IsAbs(first) {
			t.fail(l.path.key(key).index(0), "%q is not an absolute path, expected one that starts with /: hooks run without a shell", first)
		}
	}
	return plain(argv)
}

func firstString(raw any) (string, bool) {
	list, _ := raw.([]any)
	if len(list) == 0 {
		return "", false
	}
	first, ok := list[0].(string)
	return first, ok
}

// readEnvironment reads the variables of a hook.
func readEnvironment(t *table) map[string]string {
	env := t.sub("environment")
	t.describe("environment", "table of strings", "names of letters, digits and _", "none")
	if env == nil {
		return nil
	}
	variables := make(map[string]string)
	for _, l := range slices.Backward(env.layers) {
		for _, name := range slices.Sorted(maps.Keys(l.values)) {
			v, ok := l.values[name].(string)
			switch at := l.path.key(name); {
			case !isBare(name) || strings.Contains(name, "-"):
				t.failKey(at, "%q is not a variable name, expected letters, digits and _", name)
			case !ok:
				t.fail(at, "%s, expected a string", describe(l.values[name]))
			case strings.ContainsRune(v, 0):
				t.fail(at, "%q contains a zero byte, which no variable can", v)
			default:
				variables[name] = v
			}
		}
	}
	return variables
}
