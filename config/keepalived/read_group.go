package keepalived

import (
	"net/netip"
	"strconv"
	"strings"
)

func readServerGroup(r *reading, s *Statement, c *Configuration) {
	g := &ServerGroup{origin: origin{head: s}, Name: r.text(s)}
	for _, l := range s.Block {
		l.fate = Translated
		if e, ok := readGroupEntry(r, l); ok {
			g.Entries = append(g.Entries, e)
		}
	}
	c.ServerGroups = append(c.ServerGroups, g)
}

func readGroupEntry(r *reading, l *Statement) (GroupEntry, bool) {
	e := GroupEntry{at: l}
	if l.Word() == "fwmark" {
		mark, err := strconv.ParseUint(l.word(1), 0, 32)
		if e.Mark = uint32(mark); err != nil || mark == 0 {
			r.broken(l, "fwmark %q: expected a number from 1", l.word(1))
			return e, false
		}
		if family := l.word(2); family != "" {
			yes := family == "inet6"
			e.IPv6 = &yes
		}
		return e, true
	}
	var ok bool
	if e.First, e.Last, ok = addressRange(l.Word()); !ok {
		r.broken(l, "%q is neither an address, a range nor a network", l.Word())
		return e, false
	}
	port, good := 0, true
	if l.word(1) != "" {
		port, good = r.integerAt(l, 1, 0, 65535)
	}
	e.Port = uint16(port)
	r.checkWords(l, 1)
	return e, good
}

// addressRange reads A, A-B, A-LAST (the last number alone) or A/LENGTH.
func addressRange(text string) (first, last netip.Addr, ok bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil && prefix == prefix.Masked() {
		return prefix.Addr(), lastOf(prefix), true
	}
	from, to, several := strings.Cut(text, "-")
	first, err := netip.ParseAddr(from)
	if err != nil || first.Zone() != "" {
		return first, last, false
	}
	if !several {
		return first, first, true
	}
	if last, err = netip.ParseAddr(to); err != nil {
		cut := strings.LastIndexAny(from, ".:")
		last, err = netip.ParseAddr(from[:cut+1] + to)
	}
	return first, last, err == nil && last.Zone() == "" && first.Is4() == last.Is4() && !last.Less(first)
}

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		for bit := range 8 {
			if i*8+bit >= p.Bits() {
				b[i] |= 0x80 >> bit
			}
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
