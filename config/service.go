package config

import (
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

// longestPersistence is ipvsadm's limit, 31 days.
const longestPersistence = 31 * 24 * time.Hour

var (
	protocols = map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP}
	// schedulers are the kernel's, net/netfilter/ipvs/ip_vs_*.c.
	schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}
	// schedulerFlags are the flags by name; each starts with its scheduler's.
	schedulerFlags = map[string]ipvs.Flags{
		"sh-fallback": ipvs.Sched1, "sh-port": ipvs.Sched2,
		"mh-fallback": ipvs.Sched1, "mh-port": ipvs.Sched2,
	}
	forwardings = map[string]ipvs.Forwarding{
		"dr": ipvs.DirectRoute, "nat": ipvs.Masquerade, "tun": ipvs.Tunnel,
	}
)

// service is a virtual service and where its keys are.
type service struct {
	VirtualService
	*table
	// targets are the addresses of real servers and sorry server.
	targets []located[netip.Addr]
}

// readServices reads each [[virtual_service]].
func readServices(tables []*table) []service {
	var all []service
	for _, t := range tables {
		all = append(all, readService(t))
	}
	checkDistinctServices(all)
	return all
}

func readService(t *table) service {
	defer t.close()
	s := service{table: t}
	s.Name = read(t, "name", label()).orElse("", "protocol and address, `tcp 192.0.2.1:25`")
	s.IPVS.ServiceKey = readServiceKey(t)
	if s.Name == "" {
		s.Name = serviceName(s.IPVS.ServiceKey)
	}
	readScheduler(t, &s.IPVS)
	s.IPVS.Granularity = 32
	if p := t.sub("persistence"); p != nil {
		readPersistence(p, &s.IPVS)
	}
	readOnePacket(t, &s.IPVS)
	s.Forwarding = readForwarding(t, ipvs.DirectRoute, `"dr"`)
	s.OnFailure = OnFailure(read(t, "on_failure", choice(string(Quiesce), string(Remove))).or(string(Quiesce)))
	s.RealServers = readRealServers(&s, readChecks(t))
	s.Sorry = readSorryServer(&s)
	return s
}

// readServiceKey reads what identifies the service: protocol and address, or
// family and firewall mark.
func readServiceKey(t *table) ipvs.ServiceKey {
	address := read(t, "address", endpoint())
	protocol := read(t, "protocol", choice("tcp", "udp"))
	mark := read(t, "firewall_mark", integer(1, math.MaxUint32))
	family := read(t, "family", choice("ipv4", "ipv6"))
	key := ipvs.ServiceKey{
		Family:   ipvs.IPv4,
		Protocol: protocols[protocol.orElse("", "required with address")],
		Address:  address.orElse(target{}, "required, or firewall_mark").with(0),
		Mark:     uint32(mark.orElse(0, "required, or address")),
	}
	if family.or("ipv4") == "ipv6" {
		t.fail(t.at("family"), `"ipv6" does not work yet, expected "ipv4"`)
	}
	switch {
	case address.set && mark.set:
		t.failKey(t.at("firewall_mark"), "the service has an address too, expected either address or firewall_mark")
	case mark.set && protocol.set:
		t.failKey(t.at("protocol"), "a firewall mark selects packets of every protocol, expected no protocol")
	case mark.set:
	case !address.set:
		t.missing("address", "ADDRESS:PORT, or firewall_mark")
	case family.set:
		t.failKey(t.at("family"), "the address has a family, expected family only with firewall_mark")
	case !protocol.set:
		t.missing("protocol", protocol.kind.expected+": there is no default protocol")
	}
	switch v := address.value; {
	case !v.addr.IsValid():
	case !v.hasPort:
		t.fail(t.at("address"), `"%s" has no port, expected ADDRESS:PORT`, v.addr)
	case v.port == 0 && !t.has("persistence"):
		t.fail(t.at("address"), "port 0 is every port, expected a port, or persistence to keep a client's ports together")
	}
	return key
}

func serviceName(key ipvs.ServiceKey) string {
	switch {
	case key.Mark != 0:
		return fmt.Sprintf("mark %d", key.Mark)
	case key.Protocol == ipvs.UDP:
		return "udp " + key.Address.String()
	default:
		return "tcp " + key.Address.String()
	}
}

func readScheduler(t *table, s *ipvs.Service) {
	s.Scheduler = read(t, "scheduler", choice(schedulers...)).or("wlc")
	flags, _ := readList(t, "scheduler_flags", choice("sh-port", "sh-fallback", "mh-port", "mh-fallback"), "[]")
	for _, f := range flags {
		if wants := f.value[:2]; s.Scheduler != "" && s.Scheduler != wants {
			t.fail(f.at, "%q is a flag of the scheduler %s, expected scheduler = %q", f.value, wants, wants)
		}
		s.Flags |= schedulerFlags[f.value]
	}
	checkDistinct(t, flags)
}

func readOnePacket(t *table, s *ipvs.Service) {
	if !read(t, "one_packet", boolean()).or(false) {
		return
	}
	if s.Protocol == ipvs.TCP {
		t.fail(t.at("one_packet"), `schedules each packet on its own, which breaks TCP, expected protocol "udp"`)
	}
	s.Flags |= ipvs.OnePacket
}

// readPersistence reads [virtual_service.persistence].
func readPersistence(t *table, s *ipvs.Service) {
	defer t.close()
	s.Flags |= ipvs.Persistent
	s.Timeout = read(t, "timeout", duration(time.Second, longestPersistence, time.Second)).or(5 * time.Minute)
	s.Granularity = uint8(read(t, "granularity", integer(0, 32)).or(32))
	s.Engine = read(t, "engine", choice("sip")).optional()
	if s.Engine == "sip" && s.Protocol == ipvs.TCP {
		t.fail(t.at("engine"), `the kernel reads SIP over UDP only, expected protocol "udp"`)
	}
}

func readForwarding(t *table, fallback ipvs.Forwarding, words string) ipvs.Forwarding {
	name := read(t, "forwarding", choice("dr", "nat", "tun"))
	if text := name.orElse("", words); text != "" {
		return forwardings[text]
	}
	return fallback
}

// readRealServers reads [[virtual_service.real_server]]; checks are the
// service's, for the servers that have none of their own.
func readRealServers(s *service, checks []check) []RealServer {
	var all []RealServer
	first := make(map[netip.AddrPort]path)
	for _, t := range s.list("real_server") {
		server := readRealServer(t, s, checks)
		all = append(all, server)
		if !server.Address.IsValid() {
			continue
		}
		if other, again := first[server.Address]; again {
			t.fail(t.at("address"), "%s is already a real server of this service (line %d), expected each only once", server.Address, t.line(other))
			continue
		}
		first[server.Address] = t.at("address")
	}
	return all
}

func readRealServer(t *table, s *service, checks []check) RealServer {
	defer t.close()
	server := RealServer{
		Address:    readTarget(t, s, s.Forwarding),
		Forwarding: s.Forwarding,
		Weight:     read(t, "weight", integer(0, 65535)).or(1),
		Upper:      uint32(read(t, "upper_connections", integer(0, math.MaxUint32)).or(0)),
		Lower:      uint32(read(t, "lower_connections", integer(0, math.MaxUint32)).or(0)),
	}
	if server.Lower > server.Upper {
		t.fail(t.at("lower_connections"), "%d is above upper_connections, %d, expected at most that", server.Lower, server.Upper)
	}
	if own := readChecks(t); t.has("check") {
		checks = own
	}
	for _, c := range checks {
		server.Checks = append(server.Checks, c.spec(server.Address))
	}
	return server
}

// readTarget reads the address that a service sends to. Its port is the
// service's unless it says otherwise, which only NAT can.
func readTarget(t *table, s *service, forwarding ipvs.Forwarding) netip.AddrPort {
	v := read(t, "address", endpoint()).required()
	if !v.addr.IsValid() {
		return netip.AddrPort{}
	}
	s.targets = append(s.targets, located[netip.Addr]{v.addr, t.at("address")})
	port := s.IPVS.Address.Port()
	switch {
	case v.hasPort && s.IPVS.Address.IsValid() && forwarding != ipvs.Masquerade && v.port != port:
		t.fail(t.at("address"), `port %d is not the service's, %d, expected that or forwarding = "nat": only NAT rewrites ports`, v.port, port)
	case v.hasPort && v.port == 0 && port != 0:
		t.fail(t.at("address"), "port 0 is no port of a server, expected 1..65535")
	}
	return v.with(port)
}

// readSorryServer reads [virtual_service.sorry_server].
func readSorryServer(s *service) *SorryServer {
	t := s.sub("sorry_server")
	if t == nil {
		return nil
	}
	defer t.close()
	forwarding := readForwarding(t, s.Forwarding, "the service's")
	sorry := &SorryServer{Address: readTarget(t, s, forwarding), Forwarding: forwarding, Weight: 1, Mode: SorryReplaces}
	for _, server := range s.RealServers {
		if server.Address == sorry.Address && sorry.Address.IsValid() {
			t.fail(t.at("address"), "%s is a real server of this service, expected another", sorry.Address)
		}
	}
	return sorry
}
