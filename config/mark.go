package config

import (
	"net/netip"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/iptables"
)

// markRule is one rule that gives packets a firewall mark.
type markRule struct{ iptables.Mark }

// readMarks reads [[virtual_service.mark_traffic]].
func (s *service) readMarks() {
	for _, t := range s.list("mark_traffic") {
		s.readMark(t)
	}
	if s.keys[0].Mark == 0 && len(s.marks) > 0 {
		s.failKey(s.at("mark_traffic"), "is for services by firewall mark, expected firewall_mark, or no mark_traffic")
		s.marks = nil
	}
	for _, m := range s.marks {
		s.Marks = append(s.Marks, m.value.Mark)
	}
}

func (s *service) readMark(t *table) {
	defer t.close()
	vip := read(t, "vip", address()).required()
	protocol := read(t, "protocol", kinds.protocol).orElse("", "every protocol")
	ports, whole := readList(t, "ports", kinds.markedPorts, "every port")
	wantElements(t, "ports", ports, whole)
	if t.has("ports") && !t.has("protocol") {
		t.missing("protocol", kinds.protocol.expected+": only they have ports")
	}
	rule := iptables.Mark{VIP: vip, Protocol: protocol, Mark: s.keys[0].Mark}
	if vip.IsValid() {
		if familyNumber(vip) == s.keys[0].Family {
			s.vips = append(s.vips, located[netip.Addr]{vip, t.at("vip")})
		} else {
			t.fail(t.at("vip"), "%s is %s and the service %v, expected one family", vip, familyOf(vip), s.keys[0].Family)
		}
	}
	for _, p := range ports {
		rule.First, rule.Last = p.value.first, p.value.last
		s.marks = append(s.marks, located[markRule]{markRule{rule}, p.at})
	}
	if !t.has("ports") {
		s.marks = append(s.marks, located[markRule]{markRule{rule}, t.path()})
	}
}

// overlaps reports whether some packet has both marks.
func (m markRule) overlaps(o markRule) bool {
	return m.VIP == o.VIP && m.VIP.IsValid() &&
		(m.Protocol == o.Protocol || m.Protocol == "" || o.Protocol == "") &&
		(m.Last == 0 || o.Last == 0 || m.First <= o.Last && o.First <= m.Last)
}

// checkDistinctMarks reports packets that would get two marks, be they of one
// service.
func checkDistinctMarks(services []*service) {
	byVIP := make(map[netip.Addr][]located[markRule])
	for _, s := range services {
		for _, m := range s.marks {
			for _, o := range byVIP[m.value.VIP] {
				if m.value.overlaps(o.value) {
					s.fail(m.at, "packets to %s get a mark in line %d already, expected one for each packet", m.value.VIP, s.line(o.at))
					break
				}
			}
			byVIP[m.value.VIP] = append(byVIP[m.value.VIP], m)
		}
	}
}

// readSNAT reads whether clients are hidden from real servers.
func readSNAT(t *table, s *service) *SNAT {
	snat := read(t, "snat", kinds.sourceNAT).orElse(nil, "false")
	switch {
	case snat == nil:
		return nil
	case s.keys[0].Mark != 0:
		t.fail(t.at("snat"), "goes by the address of the service, expected address and protocol in place of firewall_mark")
	case s.Forwarding != ipvs.Masquerade:
		t.fail(t.at("snat"), `changes what comes back through this node, expected it only with forwarding = "nat"`)
	case snat.Source.IsValid() && s.readable() && familyNumber(snat.Source) != s.keys[0].Family:
		t.fail(t.at("snat"), "%s is %s and the service %v, expected one family", snat.Source, familyOf(snat.Source), s.keys[0].Family)
	}
	return snat
}

// sourceNAT is true, false or an address of this node.
func sourceNAT() kind[*SNAT] {
	k := kind[*SNAT]{name: "boolean or address", allowed: "true, false or ADDRESS", expected: "true, false or an address in quotes"}
	k.parse = func(raw any) (*SNAT, error) {
		switch v := raw.(type) {
		case bool:
			if v {
				return &SNAT{}, nil
			}
			return nil, nil
		case string:
			source, err := parseReachable(v)
			return &SNAT{Source: source}, err
		default:
			return nil, k.wrongType(raw)
		}
	}
	return k
}
