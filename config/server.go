package config

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// serverName is what identifies a real server in the file.
type serverName struct {
	host    string
	address netip.AddrPort
}

// readRealServers reads [[virtual_service.real_server]]; checks are the
// service's, for the servers that have none of their own, and so is the tunnel.
func readRealServers(s *service, checks []check, tunnel ipvs.TunnelInfo) {
	tables := s.list("real_server")
	if len(tables) == 0 {
		return
	}
	s.RealServers = make([]RealServer, 0, len(tables))
	s.origins = make([]origin, 0, len(tables))
	for _, t := range tables {
		s.RealServers = append(s.RealServers, readRealServer(t, s, checks, tunnel))
	}
	s.checkDistinctServers(tables)
}

// checkDistinctServers reports real servers that the service has twice. Most
// files have them in order, or few, so that they are soon sorted.
func (s *service) checkDistinctServers(tables []*table) {
	order := make([]int, len(tables))
	for n := range order {
		order[n] = n
	}
	nameOf := func(n int) serverName { return serverName{s.RealServers[n].Host, s.RealServers[n].Address} }
	slices.SortStableFunc(order, func(a, b int) int { return nameOf(a).compare(nameOf(b)) })
	first := order[0]
	for _, n := range order[1:] {
		switch name := nameOf(n); {
		case name != nameOf(first):
			first = n
		case name.host != "" || name.address.IsValid():
			tables[n].fail(tables[n].at("address"), "%s is already a real server of this service (line %d), expected each only once", name, tables[n].line(tables[first].at("address")))
		}
	}
}

func (n serverName) compare(other serverName) int {
	return cmp.Or(strings.Compare(n.host, other.host), n.address.Compare(other.address))
}

func (n serverName) String() string {
	if n.host != "" {
		return n.host
	}
	return n.address.String()
}

func readRealServer(t *table, s *service, checks []check, tunnel ipvs.TunnelInfo) RealServer {
	defer t.close()
	forwarding := readForwarding(t, s.Forwarding, "the service's")
	host, address, inherits := readTarget(t, s, forwarding, kinds.server)
	s.origins = append(s.origins, origin{int32(t.path().last.element - 1), inherits})
	server := RealServer{
		Host:       host,
		Address:    address,
		Forwarding: forwarding,
		Tunnel:     readTunnel(t, forwarding, tunnel, serverTunnel),
		Weight:     read(t, "weight", kinds.weight).or(1),
		Upper:      uint32(read(t, "upper_connections", kinds.threshold).or(0)),
		Lower:      uint32(read(t, "lower_connections", kinds.threshold).or(0)),
	}
	if server.Lower > server.Upper {
		t.fail(t.at("lower_connections"), "%d is above upper_connections, %d, expected at most that", server.Lower, server.Upper)
	}
	mode := read(t, "check_mode", kinds.checkMode).orElse("", "the service's")
	server.AnyCheck = mode == anyCheck || mode == "" && s.anyCheck
	if own := readChecks(t); t.has("check") {
		checks = own
	}
	s.addChecks(&server, checks, inherits)
	return server
}

// The values of check_mode.
const (
	allChecks = "all"
	anyCheck  = "any"
)

// addChecks gives the server its checks. One that takes the service's port has
// none of its own if there are several: then the checks must say whom to ask.
func (s *service) addChecks(server *RealServer, checks []check, inherits bool) {
	several := inherits && len(s.ports) > 1
	hasTarget := server.Host != "" || server.Address.IsValid()
	for _, c := range checks {
		spec := c.of(server.Address)
		if !c.portless && !c.hasPort() && hasTarget && (several || spec.Target.Port() == 0) && (!inherits || s.readable()) {
			c.wantPort(several)
		}
		c.checkTarget(c.table, spec.Target.Addr())
		if c.viaVIP && c.checkVia(s, server) {
			spec = s.through(server, spec)
			s.viaVIP = true
		}
		if c.weight != 0 {
			server.WeightChecks = append(server.WeightChecks, WeightCheck{Check: spec, Weight: c.weight})
			continue
		}
		if server.Checks == nil {
			server.Checks = make([]healthcheck.Spec, 0, len(checks))
		}
		server.Checks = append(server.Checks, spec)
	}
}

// readTarget reads the address that a service sends to. Its port is the
// service's unless it says otherwise, which only NAT can.
func readTarget(t *table, s *service, forwarding ipvs.Forwarding, k kind[target]) (host string, address netip.AddrPort, inherits bool) {
	v := read(t, "address", k).required()
	if !v.addr.IsValid() && v.host == "" {
		return "", netip.AddrPort{}, true
	}
	if v.addr.IsValid() {
		s.checkFamily(t, v.addr, forwarding)
	}
	if v.hasPort && s.keys[0].Address.IsValid() {
		s.checkPort(t, v, forwarding)
	}
	return v.host, v.with(s.keys[0].Address.Port()), !v.hasPort
}

// checkPort reports the port of a server that is not the service's.
func (s *service) checkPort(t *table, v target, forwarding ipvs.Forwarding) {
	port := s.ports[0]
	switch rewrites := forwarding == ipvs.Masquerade; {
	case !rewrites && len(s.ports) > 1:
		t.fail(t.at("address"), `port %d is not all the service's %d ports, expected none or forwarding = "nat": only NAT rewrites ports`, v.port, len(s.ports))
	case !rewrites && v.port != port:
		t.fail(t.at("address"), `port %d is not the service's, %d, expected that or forwarding = "nat": only NAT rewrites ports`, v.port, port)
	case v.port == 0 && port != 0:
		t.fail(t.at("address"), "port 0 is no port of a server, expected 1..65535")
	}
}

// checkFamily reports a server of another family than the service, which only a
// tunnel reaches.
func (s *service) checkFamily(t *table, addr netip.Addr, forwarding ipvs.Forwarding) {
	family := s.keys[0].Family
	if !s.readable() || familyNumber(addr) == family || family == 0 {
		return
	}
	if forwarding != ipvs.Tunnel {
		t.fail(t.at("address"), `%s is %s and the service %v, expected one family or forwarding = "tun": only a tunnel joins two`, addr, familyOf(addr), family)
		return
	}
	s.mixed = append(s.mixed, located[netip.Addr]{addr, t.at("address")})
}

// readSorryServer reads [virtual_service.sorry_server].
func readSorryServer(s *service, tunnel ipvs.TunnelInfo) *SorryServer {
	t := s.sub("sorry_server")
	if t == nil {
		return nil
	}
	defer t.close()
	sorry := &SorryServer{Forwarding: readForwarding(t, s.Forwarding, "the service's")}
	_, sorry.Address, s.sorryInherits = readTarget(t, s, sorry.Forwarding, kinds.endpoint)
	sorry.Tunnel = readTunnel(t, sorry.Forwarding, tunnel, serverTunnel)
	sorry.Weight = read(t, "weight", integer(1, 65535)).or(1)
	sorry.Inhibit = read(t, "inhibit", kinds.boolean).or(false)
	sorry.Mode = SorryMode(read(t, "mode", choice(string(SorryReplaces), string(SorryBeside))).or(string(SorryReplaces)))
	for _, server := range s.RealServers {
		if server.Address == sorry.Address && sorry.Address.Addr().IsValid() {
			t.fail(t.at("address"), "%s is a real server of this service, expected another", sorry.Address)
		}
	}
	return sorry
}
