package config

import (
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// check is a check of the file: all of a Spec but its target's address.
type check struct {
	spec healthcheck.Spec
	*table
	asked
	weight int // 0: the check decides between up and down
}

// asked is whom a check asks, as far as the check says it.
type asked struct {
	// connectTo is asked instead of the server, if it has an address.
	connectTo target
	port      uint16 // 0 is the server's
	// portless: no port is needed. unported: none means anything, so that
	// servers that differ in it alone share a probe.
	portless, unported bool
	// viaVIP: the probe takes the way of a client's packets.
	viaVIP bool
	// source, if valid, is the address that probes leave from.
	source netip.Addr
	// anyLink: no interface is set, and one may be needed. inTheClear: a password
	// is sent without TLS.
	anyLink, inTheClear bool
}

// of is the check of one real server.
func (c check) of(server netip.AddrPort) healthcheck.Spec {
	addr, port := server.Addr(), server.Port()
	if c.connectTo.addr.IsValid() {
		addr = c.connectTo.addr
		if c.connectTo.hasPort {
			port = c.connectTo.port
		}
	}
	if c.port != 0 {
		port = c.port
	}
	if c.unported {
		port = 0
	}
	c.spec.Target = netip.AddrPortFrom(addr, port)
	return c.spec
}

// hasPort reports whether the check says which port to ask.
func (c check) hasPort() bool { return c.port != 0 || c.connectTo.hasPort }

// wantPort reports that the check has no port and the server none that it could
// take.
func (c check) wantPort(several bool) {
	if several {
		c.missing("port", "the port to ask: the service has several")
	} else {
		c.missing("port", "the port to ask: the real server has none")
	}
}

// readChecks reads the checks in a table of a service or a real server.
func readChecks(t *table) []check {
	var all []check
	for _, c := range t.listOrOne("check") {
		all = append(all, readCheck(c))
	}
	return all
}

func readCheck(t *table) check {
	defer t.close()
	c := check{table: t}
	how := readProbe(t)
	c.asked = readAsked(t, how)
	c.spec = how.Of(netip.AddrPort{})
	c.weight = read(t, "weight", kinds.signedWeight).or(0)
	return c
}

// readProbe reads a check but for whom to ask.
func readProbe(t *table) healthcheck.Check {
	name := read(t, "type", kinds.probe).required()
	c := healthcheck.Check{
		Interval:     read(t, "interval", kinds.interval).or(5 * time.Second),
		FastInterval: read(t, "fast_interval", kinds.interval).orElse(0, "the interval"),
		Timeout:      read(t, "timeout", kinds.timeout).or(5 * time.Second),
		Retries:      read(t, "retries", kinds.retries).or(0),
		RetryDelay:   read(t, "retry_delay", kinds.delay).or(time.Second),
		Warmup:       read(t, "warmup", kinds.warmup).orElse(0, "the interval, but at most 1s"),
		Rise:         read(t, "rise", kinds.count).or(2),
		Fall:         read(t, "fall", kinds.count).or(3),
		InitiallyUp:  read(t, "initial", kinds.initial).or("down") == "up",
		Flap: healthcheck.Flap{
			Limit:    read(t, "flap_limit", kinds.flapLimit).or(0),
			HalfLife: read(t, "flap_half_life", kinds.halfLife).or(healthcheck.DefaultHalfLife),
		},
		Route: readProbeRoute(t),
	}
	if c.FastInterval > c.Interval && c.Interval > 0 {
		t.fail(t.at("fast_interval"), "%q is longer than the interval, %s, expected at most that", t.raw("fast_interval"), formatDuration(c.Interval))
	}
	if c.Flap.Limit == 0 && t.has("flap_half_life") && !t.has("flap_limit") {
		t.failKey(t.at("flap_half_life"), "does nothing alone, expected flap_limit beside it")
	}
	c.Kind = readKind(t, name)
	checkOptions.check(t, "a check", name)
	return c
}

// readKind reads the options of the type, and reports what the probe would not
// take although each of them could be read.
func readKind(t *table, name string) probe.Kind {
	failed := t.failed
	kind := readKindOf(t, name)
	if kind != nil && t.failed == failed {
		failEach(t, t.at("type"), kind.Validate())
	}
	return kind
}
