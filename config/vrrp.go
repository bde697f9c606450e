package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// instance is a VRRP instance and where its keys are.
type instance struct {
	VRRP
	*table
	// vips are the VIPs, the advertised first.
	vips   []located[VIP]
	whole  bool // every VIP could be read
	peers  []located[netip.Addr]
	routes []route
	rules  []rule
}

// readInstances reads each [[vrrp]] for the node.
func readInstances(tables []*table, node string, trackers []tracker) []instance {
	var all []instance
	for _, t := range tables {
		all = append(all, readInstance(t.as(node), trackers))
	}
	checkInstances(all)
	return all
}

func readInstance(main *table, trackers []tracker) instance {
	name := read(main, "name", label()).required()
	t := main.forNode()
	defer t.close()
	i := instance{table: t}
	i.Interface = read(t, "interface", interfaceName()).required()
	i.vips, i.whole = readVIPs(t, i.Interface)
	i.VIPs = plain(i.vips)
	i.Router, i.peers = readRouter(t)
	i.Router.Name, i.Router.VIPs = name, advertised(i.vips)
	i.readRoutes()
	track := readTrack(t, trackers)
	i.Track = plain(track)
	i.ServeOnBackup = read(t, "serve_on_backup", boolean()).or(false)
	i.Redirect = RedirectScope(read(t, "redirect", choice(string(RedirectServices), string(RedirectAllTCP))).or(string(RedirectServices)))
	i.KeepConnections = read(t, "keep_connections", boolean()).or(false)
	i.KeepRedirectOnStop = read(t, "keep_redirect_on_stop", boolean()).or(true)
	i.GARP = readGARP(t.subOrEmpty("garp"))
	i.Hooks = readHooks(t.subOrEmpty("notify"))
	checkVIPs(i)
	checkRouter(i)
	checkWeights(t, track, i)
	return i
}

func (i *instance) readRoutes() {
	family := i.family()
	i.routes = readTables(i.table, "route", func(t *table) route { return readRoute(t, family) })
	i.rules = readTables(i.table, "rule", readRule)
	for _, r := range i.routes {
		i.Routes = append(i.Routes, r.Route)
	}
	for _, r := range i.rules {
		i.Rules = append(i.Rules, r.Rule)
	}
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
