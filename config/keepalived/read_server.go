package keepalived

import (
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lvsd/lvsd/config"
)

// schedulers are those that keepalived knows.
var schedulers = []string{"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"}

// readEndpoint reads ADDRESS [PORT] from the argument on.
func (r *reading) readEndpoint(s *Statement, at int) netip.AddrPort {
	address := r.address(s, s.word(at))
	if !address.IsValid() {
		return netip.AddrPort{}
	}
	port := 0
	if s.word(at+1) != "" {
		port, _ = r.integerAt(s, at+1, 0, 65535)
	}
	return netip.AddrPortFrom(address, uint16(port))
}

func readVirtualServer(r *reading, s *Statement, c *Configuration) {
	v := &VirtualServer{
		origin: origin{head: s}, Scheduler: "wlc", Forwarding: Forwarding{Method: "nat"}, Granularity: -1,
		Quorum: 1, Weight: 1, Flags: map[string]bool{}, seen: map[netip.AddrPort]bool{},
	}
	valid := true
	switch s.word(1) {
	case "fwmark":
		mark, err := strconv.ParseUint(s.word(2), 0, 32)
		if v.Mark = uint32(mark); err != nil || mark == 0 {
			r.broken(s, "virtual_server fwmark %q: expected a number from 1", s.word(2))
			valid = false
		}
	case "group":
		v.Group = s.word(2)
	default:
		v.Address = r.readEndpoint(s, 1)
		valid = v.Address.IsValid()
	}
	readAll(r, s.Block, serviceVocabulary(), v)
	if !valid {
		r.lostWith(s, "the virtual server is left out, since it is not known whose it is")
		return
	}
	v.complete()
	r.settleQuorum(v)
	c.Services = append(c.Services, v)
}

// lostWith reports a block that is left out with all that is in it.
func (r *reading) lostWith(s *Statement, message string) {
	r.broken(s, "%s: %s", s.text, message)
	for _, inner := range s.Block {
		inner.report()
	}
}

// report makes the fate of all that is in the block that of the block.
func (s *Statement) report() {
	s.fate = Reported
	for _, inner := range s.Block {
		inner.report()
	}
}

// complete does what keepalived does when it has read the block.
func (v *VirtualServer) complete() {
	if v.Protocol == "" && v.Mark == 0 {
		v.Protocol = "udp"
	}
	if v.Granularity >= 0 || v.Engine != "" {
		v.Persistent = true
	}
	if v.Address.IsValid() && v.Address.Port() == 0 {
		v.Persistent = true
	}
	if v.Persistent && v.Timeout == 0 {
		v.Timeout = 360 * time.Second
	}
	for _, server := range v.RealServers {
		if server.Weight < 0 {
			server.Weight = v.Weight
		}
	}
}

// settleQuorum lowers what the real servers cannot reach, as keepalived does; and
// what they could not reach again, which keepalived leaves as it is.
func (r *reading) settleQuorum(v *VirtualServer) {
	sum := 0
	for _, server := range v.RealServers {
		sum += server.Weight
	}
	if v.Quorum > 1 && v.Quorum > sum {
		r.broken(v.at["quorum"], "quorum %d is more than the real servers weigh together, %d; keepalived lowers it to that", v.Quorum, sum)
		v.Quorum = max(1, sum)
	}
	at := v.from("hysteresis")
	if v.Hysteresis >= v.Quorum {
		r.broken(at, "hysteresis %d is not below the quorum, %d; keepalived lowers it to %d", v.Hysteresis, v.Quorum, v.Quorum-1)
		v.Hysteresis = v.Quorum - 1
	}
	if most := max(0, sum-v.Quorum); v.Quorum > 1 && v.Hysteresis > most {
		r.differs(at, "hysteresis %d: with it the real servers, which weigh %d together, could not regain a lost quorum of %d, and with keepalived it stays lost; it is %d here",
			v.Hysteresis, sum, v.Quorum, most)
		v.Hysteresis = most
	}
}

func serviceVocabulary() vocabulary[VirtualServer] {
	v := vocabulary[VirtualServer]{
		"protocol": {read: readProtocol},
		"ha_suspend": lost[VirtualServer](
			"every node checks always, so that a BACKUP knows its servers when it becomes MASTER"),
		"ops":                     {words: -1, read: func(_ *reading, _ *Statement, v *VirtualServer) { v.OnePacket = true }},
		"alpha":                   truthOf(func(v *VirtualServer) *bool { return &v.Alpha }),
		"omega":                   truthOf(func(v *VirtualServer) *bool { return &v.Omega }),
		"inhibit_on_failure":      truthOf(func(v *VirtualServer) *bool { return &v.Inhibit }),
		"quorum":                  numberOf(func(v *VirtualServer) *int { return &v.Quorum }, 1, 1<<30),
		"hysteresis":              numberOf(func(v *VirtualServer) *int { return &v.Hysteresis }, 0, 1<<30),
		"quorum_up":               hookOf(func(v *VirtualServer) **Script { return &v.QuorumUp }),
		"quorum_down":             hookOf(func(v *VirtualServer) **Script { return &v.QuorumDown }),
		"persistence_timeout":     {read: readPersistence},
		"persistence_granularity": {read: readGranularity},
		"persistence_engine":      textOf(func(v *VirtualServer) *string { return &v.Engine }),
		"virtualhost":             textOf(func(v *VirtualServer) *string { return &v.VirtualHost }),
		"weight":                  numberOf(func(v *VirtualServer) *int { return &v.Weight }, 1, math.MaxInt32),
		"ip_family":               {read: readFamily},
		"smtp_alert":              optionalTruth(func(v *VirtualServer) **bool { return &v.MailAlert }),
		"snmp_name":               lost[VirtualServer]("name of the virtual service is what metrics, status and logs call it"),
		"hashed":                  none[VirtualServer]("keepalived itself does nothing with it"),
		"real_server":             {words: 2, again: adds, read: readRealServer},
		"sorry_server": {words: 2, read: func(r *reading, s *Statement, v *VirtualServer) {
			sorry(v).at, sorry(v).Address = s, r.readEndpoint(s, 1)
		}},
		"sorry_server_inhibit": {words: -1, read: func(_ *reading, _ *Statement, v *VirtualServer) { sorry(v).Inhibit = true }},
		"sorry_server_lvs_method": {words: anyWords, read: func(r *reading, s *Statement, v *VirtualServer) {
			if f, ok := r.readForwarding(s); ok {
				sorry(v).Forwarding = &f
			}
		}},
	}
	for _, word := range []string{"lvs_sched", "lb_algo"} {
		v[word] = entry[VirtualServer]{read: readScheduler}
	}
	for _, word := range []string{"lvs_method", "lb_kind"} {
		v[word] = entry[VirtualServer]{words: anyWords, read: func(r *reading, s *Statement, v *VirtualServer) {
			if f, ok := r.readForwarding(s); ok {
				v.Forwarding = f
			}
		}}
	}
	for _, word := range []string{"flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback"} {
		v[word] = entry[VirtualServer]{words: -1, read: func(_ *reading, s *Statement, v *VirtualServer) { v.Flags[s.Word()] = true }}
	}
	timingEntries(v, func(v *VirtualServer) *Timing { return &v.Timing }, 1)
	return v
}

// sorry is the service's sorry server, whose keywords come in any order.
func sorry(v *VirtualServer) *SorryServer {
	if v.Sorry == nil {
		v.Sorry = new(SorryServer)
	}
	return v.Sorry
}

// timingEntries adds what services, servers and checkers have alike; only a checker may
// say that it tries once, retry 0.
func timingEntries[T any](v vocabulary[T], timing func(*T) *Timing, leastRetry int) {
	v["delay_loop"] = optionalTimeWithin(func(t *T) **time.Duration { return &timing(t).DelayLoop }, time.Microsecond, longest)
	v["connect_timeout"] = optionalTimeWithin(func(t *T) **time.Duration { return &timing(t).ConnectTimeout }, time.Microsecond, 4294967295*time.Microsecond)
	v["delay_before_retry"] = optionalTime(func(t *T) **time.Duration { return &timing(t).DelayBeforeRetry })
	v["warmup"] = optionalTime(func(t *T) **time.Duration { return &timing(t).Warmup })
	v["retry"] = optionalNumber(func(t *T) **int { return &timing(t).Retry }, leastRetry, 1<<30)
}

func readProtocol(r *reading, s *Statement, v *VirtualServer) {
	switch word := strings.ToLower(s.word(1)); word {
	case "tcp", "udp", "sctp":
		v.Protocol = word
	default:
		r.broken(s, "protocol %q is unknown, expected TCP, UDP or SCTP; keepalived takes UDP", s.word(1))
	}
}

func readScheduler(r *reading, s *Statement, v *VirtualServer) {
	if !slices.Contains(schedulers, s.word(1)) {
		meant := ""
		if lower := strings.ToLower(s.word(1)); slices.Contains(schedulers, lower) {
			meant = "; " + lower + " was probably meant"
		}
		r.broken(s, "%s: the scheduler %q is unknown; keepalived ignores it, and takes wlc%s", s.Word(), s.word(1), meant)
		return
	}
	v.Scheduler = s.word(1)
}

func readPersistence(r *reading, s *Statement, v *VirtualServer) {
	v.Persistent = true
	if s.word(1) == "" {
		return
	}
	if n, ok := r.integer(s, 1, 31*24*3600); ok {
		v.Timeout = time.Duration(n) * time.Second
	}
}

func readGranularity(r *reading, s *Statement, v *VirtualServer) {
	text := s.word(1)
	if n, err := strconv.Atoi(text); err == nil && n >= 1 && n <= 128 {
		v.Granularity = n
		return
	}
	mask, err := netip.ParseAddr(text)
	if err != nil || !mask.Is4() {
		r.broken(s, "persistence_granularity: %q is neither a netmask nor a prefix length", text)
		return
	}
	bits := 0
	b := mask.As4()
	value := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	for value&(1<<31) != 0 {
		bits++
		value <<= 1
	}
	if v.Granularity = bits; value != 0 {
		r.broken(s, "persistence_granularity: %q has holes; its leading ones count", text)
	}
}

func readFamily(r *reading, s *Statement, v *VirtualServer) {
	yes := s.word(1) == "inet6"
	if !yes && s.word(1) != "inet" {
		r.broken(s, "ip_family: %q is not inet or inet6", s.word(1))
		return
	}
	v.IPv6 = &yes
}

// readForwarding reads NAT, DR or TUN, and what follows TUN. keepalived knows them in
// upper case alone, and goes on with what it had: NAT, or the service's for a server.
func (r *reading) readForwarding(s *Statement) (f Forwarding, ok bool) {
	f.Method = strings.ToLower(s.word(1))
	switch s.word(1) {
	case "NAT", "DR":
		r.checkWords(s, 1)
		return f, true
	case "TUN":
	default:
		meant := ""
		if word := config.Nearest(strings.ToUpper(s.word(1)), []string{"NAT", "DR", "TUN"}); word != "" {
			meant = "; " + word + " was probably meant, so this is a change to make with care"
		}
		r.broken(s, "%s: %q is not NAT, DR or TUN; keepalived ignores it, and takes NAT unless another line says otherwise%s", s.Word(), s.word(1), meant)
		return f, false
	}
	for at := 2; at < len(s.Words); at++ {
		switch word := s.word(at); word {
		case "type":
			at++
			f.Tunnel = s.word(at)
		case "port":
			at++
			f.Port, _ = r.integerAt(s, at, 1, 65535)
		case "nocsum":
			f.Checksum = "none"
		case "csum":
			f.Checksum = "checksum"
		case "remcsum":
			f.Checksum = "remote"
		default:
			r.broken(s, "%s: %q is unknown, expected type, port, nocsum, csum or remcsum", s.Word(), word)
		}
	}
	return f, true
}

func readRealServer(r *reading, s *Statement, v *VirtualServer) {
	server := &RealServer{origin: origin{head: s}, Address: r.readEndpoint(s, 1), Weight: -1}
	readAll(r, s.Block, serverVocabulary(), server)
	switch {
	case !server.Address.IsValid():
		r.lostWith(s, "the real server is left out")
	case v.seen[server.Address]:
		r.lostWith(s, "the service has this real server already; keepalived ignores the second")
	default:
		v.seen[server.Address] = true
		v.RealServers = append(v.RealServers, server)
	}
}

func serverVocabulary() vocabulary[RealServer] {
	v := vocabulary[RealServer]{
		"weight":             numberOf(func(s *RealServer) *int { return &s.Weight }, 0, math.MaxInt32),
		"uthreshold":         numberOf(func(s *RealServer) *int { return &s.Upper }, 0, 2147483647),
		"lthreshold":         numberOf(func(s *RealServer) *int { return &s.Lower }, 0, 2147483647),
		"inhibit_on_failure": optionalTruth(func(s *RealServer) **bool { return &s.Inhibit }),
		"notify_up":          hookOf(func(s *RealServer) **Script { return &s.NotifyUp }),
		"notify_down":        hookOf(func(s *RealServer) **Script { return &s.NotifyDown }),
		"virtualhost":        textOf(func(s *RealServer) *string { return &s.VirtualHost }),
		"alpha":              optionalTruth(func(s *RealServer) **bool { return &s.Timing.Alpha }),
		"smtp_alert":         none[RealServer]("alerts tell of every server, or of none"),
		"snmp_name":          lost[RealServer]("metrics call a real server by its address"),
	}
	for _, word := range []string{"lvs_method", "lb_kind"} {
		v[word] = entry[RealServer]{words: anyWords, read: func(r *reading, s *Statement, server *RealServer) {
			if f, ok := r.readForwarding(s); ok {
				server.Forwarding = &f
			}
		}}
	}
	for kind := range checkers {
		v[kind] = entry[RealServer]{words: -1, again: adds, read: func(r *reading, s *Statement, server *RealServer) {
			c := readChecker(r, s, kind)
			if (kind == "HTTP_GET" || kind == "SSL_GET") && len(c.URLs) == 0 {
				r.lostWith(s, "the checker has no url with a path; keepalived ignores it, so there is no check")
				return
			}
			server.Checks = append(server.Checks, c)
		}}
	}
	timingEntries(v, func(s *RealServer) *Timing { return &s.Timing }, 1)
	return v
}
