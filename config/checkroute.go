package config

import (
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// readProbeRoute reads how the packets of a probe leave this host.
func readProbeRoute(t *table) probe.Route {
	return probe.Route{
		Source:    read(t, "bind_address", kinds.endpoint).orElse(target{}, "the kernel's choice").with(0),
		Interface: read(t, "interface", kinds.interfaceName).orElse("", "any"),
		Mark:      uint32(read(t, "mark", kinds.mark).orElse(0, "none")),
	}
}

// readAsked reads whom a check asks where that is not the server itself.
func readAsked(t *table, c healthcheck.Check) asked {
	a := askedBy(c)
	a.connectTo = read(t, "connect_to", kinds.endpoint).orElse(target{}, "the real server")
	a.port = uint16(read(t, "port", kinds.port).orElse(0, "the real server's"))
	a.viaVIP = read(t, "via", kinds.via).or(viaServer) == viaVIP
	switch {
	case a.connectTo.hasPort && a.port != 0:
		t.failKey(t.at("port"), "connect_to has a port too, expected either port or ADDRESS:PORT")
	case a.connectTo.hasPort && a.connectTo.port == 0:
		t.fail(t.at("connect_to"), "port 0 is no port of a server, expected 1..65535")
	}
	if a.viaVIP {
		checkVia(t, c.Kind)
	}
	return a
}

// askedBy is what the check itself wants of whom it asks.
func askedBy(c healthcheck.Check) asked {
	a := asked{source: c.Route.Source.Addr()}
	switch kind := c.Kind.(type) {
	case probe.Script:
		a.portless = true
		return a
	case probe.File:
		a.portless, a.unported = true, true
		return a
	case probe.SMTP:
		a.inTheClear = kind.Username != "" && kind.Security == probe.Plain
	case probe.Portless:
		a.portless, a.unported = true, true
	}
	a.anyLink = c.Route.Interface == ""
	return a
}

// The values of via.
const (
	viaServer = "server"
	viaVIP    = "vip"
)

// viaTypes are the types of check that can go by way of the VIP: those that
// open a TCP connection, as clients do.
var viaTypes = []string{checkTCP, checkSMTP, checkHTTP, checkHTTPS, checkGRPC, checkBanner}

// checkVia reports what a check by way of the VIP cannot have.
func checkVia(t *table, kind probe.Kind) {
	if kind != nil && !slices.Contains(viaTypes, kind.Type()) {
		t.fail(t.at("via"), `"vip" is the way of TCP connections, expected type %s`, quotedTypes(viaTypes))
	}
	for _, key := range []string{"connect_to", "bind_address", "mark"} {
		if t.has(key) {
			t.failKey(t.at(key), `is not for via = "vip": there the packets go from the VIP's own node to the VIP, with a mark of their own`)
		}
	}
}

// checkVia reports a real server that no packet to the VIP reaches, and whether
// one does.
func (c check) checkVia(s *service, server *RealServer) bool {
	switch {
	case s.keys[0].Mark != 0:
		c.fail(c.at("via"), `a service by firewall mark has no VIP of its own, expected via = "server"`)
	case server.Forwarding == ipvs.Masquerade:
		c.fail(c.at("via"), `real servers by NAT do not have the VIP, expected via = "server", or forwarding "dr" or "tun"`)
	default:
		return s.readable()
	}
	return false
}

// checkTarget reports an address that the check of the table cannot ask.
func (a asked) checkTarget(t *table, to netip.Addr) {
	if !to.IsValid() {
		return
	}
	if a.source.IsValid() && a.source.Is4() != to.Is4() {
		t.fail(t.at("bind_address"), "%s is %s and the address to ask, %s, is %s, expected one family", a.source, familyOf(a.source), to, familyOf(to))
	}
	if a.anyLink && to.Is6() && to.IsLinkLocalUnicast() {
		t.missing("interface", "the interface of the link-local address "+to.String())
	}
	if a.inTheClear && !to.IsLoopback() {
		t.failKey(t.at("username"), `a password is not sent to another host in the clear, expected security = "starttls" or "tls"`)
	}
}
