package config

import (
	"math"
	"net/netip"
	"strings"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
)

var (
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

// kinds are those of services, servers and checks. They are made once, because
// a file may have 50,000 of them.
var kinds = struct {
	checkKinds
	label, word, protocol, family, scheduler, schedulerFlag, forwarding, onFailure kind[string]
	encapsulation, checksum, checkMode                                             kind[string]
	mark, port, weight, signedWeight, threshold, quorum                            kind[int]
	delay                                                                          kind[time.Duration]
	endpoint, server                                                               kind[target]
	addressRange                                                                   kind[addressRange]
	portRange, markedPorts                                                         kind[portRange]
	boolean                                                                        kind[bool]
	sourceNAT                                                                      kind[*SNAT]
}{
	checkKinds: newCheckKinds(),
	label:      label(), word: word(), boolean: boolean(),
	protocol:      choice("tcp", "udp", "sctp"),
	family:        choice("ipv4", "ipv6"),
	scheduler:     choice(schedulers...),
	schedulerFlag: choice("sh-port", "sh-fallback", "mh-port", "mh-fallback"),
	forwarding:    choice("dr", "nat", "tun"),
	onFailure:     choice(string(Quiesce), string(Remove)),
	encapsulation: encapsulation(),
	checksum:      choice("none", "checksum", "remote"),
	checkMode:     choice(allChecks, anyCheck),
	mark:          integer(1, math.MaxUint32),
	port:          integer(1, 65535),
	weight:        integer(0, 65535),
	signedWeight:  integer(-65535, 65535),
	threshold:     integer(0, math.MaxInt32),
	quorum:        quorum(),
	delay:         duration(0, time.Hour, 1),
	endpoint:      endpoint(),
	server:        serverAddress(),
	addressRange:  addresses(),
	portRange:     ports(0),
	markedPorts:   ports(1),
	sourceNAT:     sourceNAT(),
}

// service is a table [[virtual_service]] and where its keys are. Its
// VirtualService is the first that it makes.
type service struct {
	VirtualService
	*table
	front
	// origins are those of the real servers. A file may have very many, so that
	// they are small.
	origins       []origin
	sorryInherits bool
	// anyCheck is the check_mode of servers that have none of their own.
	anyCheck bool
	// viaVIP: some check goes by way of the VIP.
	viaVIP bool
	// mixed are those of another family than the service's.
	mixed []located[netip.Addr]
	// marks are those of mark_traffic.
	marks []located[markRule]
	// atPort are the real servers of the group's services with other ports than
	// the first.
	atPort map[uint16][]RealServer
}

// origin is what the file says of a real server.
type origin struct {
	// element is which of real_server it is, from 0.
	element int32
	// inherits: it takes the service's port.
	inherits bool
}

// readServices reads each [[virtual_service]]: the tables, or the pieces that
// the document has instead. The error is that of a piece which cannot be decoded
// on its own.
func (r *reader) readServices(tables []*table) ([]*service, error) {
	all := make([]*service, 0, len(tables)+len(r.document.services))
	for _, t := range tables {
		all = append(all, readService(t))
	}
	if err := r.readPieces(); err != nil {
		return nil, err
	}
	for _, p := range r.pieces {
		all = append(all, p.service)
	}
	checkDistinctServices(all)
	checkDistinctMarks(all)
	return all, nil
}

func readService(t *table) *service {
	defer t.forget()
	defer t.close()
	s := &service{table: t, front: readFront(t)}
	s.Name = read(t, "name", kinds.label).orElse("", "protocol and address, `tcp 192.0.2.1:25`")
	s.IPVS.ServiceKey = s.keys[0]
	if s.Name == "" {
		s.Name = serviceName(s.keys[0])
	}
	readScheduler(t, &s.IPVS)
	s.IPVS.Granularity = s.IPVS.Family.Bits()
	if p := t.sub("persistence"); p != nil {
		readPersistence(p, &s.IPVS)
	}
	readOnePacket(t, &s.IPVS)
	s.Forwarding = readForwarding(t, ipvs.DirectRoute, `"dr"`)
	s.OnFailure = OnFailure(read(t, "on_failure", kinds.onFailure).or(string(Quiesce)))
	tunnel := readTunnel(t, ipvs.Tunnel, ipvs.TunnelInfo{}, serviceTunnel)
	s.anyCheck = read(t, "check_mode", kinds.checkMode).or(allChecks) == anyCheck
	readRealServers(s, readChecks(t), tunnel)
	s.Sorry = readSorryServer(s, tunnel)
	s.checkTunnel()
	s.readQuorum()
	s.SlowStart = read(t, "slow_start", kinds.delay).or(0)
	s.Hooks = readServiceHooks(t)
	s.Omega = read(t, "omega", kinds.boolean).or(false)
	s.readMarks()
	s.SNAT = readSNAT(t, s)
	return s
}

// expand adds the virtual services that the table makes. Those of one port
// share their real servers.
func (s *service) expand(all []VirtualService) []VirtualService {
	for _, key := range s.keys {
		v := s.VirtualService
		v.IPVS.ServiceKey = key
		port := key.Address.Port()
		v.RealServers = s.serversAt(port)
		if s.sorryInherits && port != s.Sorry.Address.Port() {
			sorry := *s.Sorry
			sorry.Address = netip.AddrPortFrom(sorry.Address.Addr(), port)
			v.Sorry = &sorry
		}
		all = append(all, v)
	}
	return all
}

// serversAt are the real servers of the group's services with the port. Checks
// do not depend on it.
func (s *service) serversAt(port uint16) []RealServer {
	if port == s.keys[0].Address.Port() {
		return s.RealServers
	}
	if made, ok := s.atPort[port]; ok {
		return made
	}
	all := make([]RealServer, len(s.RealServers))
	for i, server := range s.RealServers {
		if s.origins[i].inherits {
			server.Address = netip.AddrPortFrom(server.Address.Addr(), port)
		}
		all[i] = server
	}
	if s.atPort == nil {
		s.atPort = make(map[uint16][]RealServer)
	}
	s.atPort[port] = all
	return all
}

func readScheduler(t *table, s *ipvs.Service) {
	s.Scheduler = read(t, "scheduler", kinds.scheduler).or("wlc")
	flags, _ := readList(t, "scheduler_flags", kinds.schedulerFlag, "[]")
	for _, f := range flags {
		if wants := f.value[:2]; s.Scheduler != "" && s.Scheduler != wants {
			t.fail(f.at, "%q is a flag of the scheduler %s, expected scheduler = %q", f.value, wants, wants)
		}
		s.Flags |= schedulerFlags[f.value]
	}
	checkDistinct(t, flags)
}

func readOnePacket(t *table, s *ipvs.Service) {
	if !read(t, "one_packet", kinds.boolean).or(false) {
		return
	}
	if s.Protocol == ipvs.TCP || s.Protocol == ipvs.SCTP {
		t.fail(t.at("one_packet"), `schedules each packet on its own, which breaks %s, expected protocol "udp"`, strings.ToUpper(s.Protocol.String()))
	}
	s.Flags |= ipvs.OnePacket
}

// readPersistence reads [virtual_service.persistence].
func readPersistence(t *table, s *ipvs.Service) {
	defer t.close()
	s.Flags |= ipvs.Persistent
	s.Timeout = read(t, "timeout", duration(time.Second, longestTimeout, time.Second)).or(5 * time.Minute)
	granularity := read(t, "granularity", integer(0, 128)).orElse(int(s.Family.Bits()), "32, of IPv6 128")
	switch {
	case s.Family == ipvs.IPv4 && granularity > 32:
		t.fail(t.at("granularity"), "%d is out of range, expected an integer 0..32 in IPv4", granularity)
	case s.Family == ipvs.IPv6 && t.raw("granularity") == int64(0):
		t.fail(t.at("granularity"), "0 is out of range, expected an integer 1..128 in IPv6")
	}
	s.Granularity = uint8(granularity)
	s.Engine = read(t, "engine", choice("sip")).optional()
	if s.Engine == "sip" && (s.Protocol == ipvs.TCP || s.Protocol == ipvs.SCTP) {
		t.fail(t.at("engine"), `the kernel reads SIP over UDP only, expected protocol "udp"`)
	}
}

func readForwarding(t *table, fallback ipvs.Forwarding, words string) ipvs.Forwarding {
	name := read(t, "forwarding", kinds.forwarding)
	if text := name.orElse("", words); text != "" {
		return forwardings[text]
	}
	return fallback
}

// checkTunnel reports the keys of tunnels in a service without any.
func (s *service) checkTunnel() {
	for _, server := range s.RealServers {
		if server.Forwarding == ipvs.Tunnel {
			return
		}
	}
	if s.Sorry != nil && s.Sorry.Forwarding == ipvs.Tunnel {
		return
	}
	if s.Forwarding != ipvs.Tunnel {
		wantNoTunnel(s.table)
	}
}
