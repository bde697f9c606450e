package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/director/netif"
)

// lastRule is the priority before the kernel's own rules for the tables main
// and default, 32766 and 32767.
const lastRule = 32765

// rule is a virtual rule and where its keys are.
type rule struct {
	netif.Rule
	*table
}

// readRule reads [[vrrp.rule]].
func readRule(t *table) rule {
	defer t.close()
	r := rule{table: t}
	r.Priority = uint32(read(t, "priority", integer(1, lastRule)).required())
	r.Table = read(t, "table", tableNumber()).required()
	r.From = read(t, "from", network("")).optional()
	r.To = read(t, "to", network("")).optional()
	r.Incoming = read(t, "incoming", interfaceName()).orElse("", "any")
	r.Outgoing = read(t, "outgoing", interfaceName()).orElse("", "any")
	m := read(t, "mark", firewallMark()).orElse(mark{}, "any")
	r.Mark, r.Mask = m.value, m.mask
	r.readFamily(read(t, "family", choice("ipv4", "ipv6")))
	return r
}

// readFamily is that of from and to, or the key's where there is neither.
func (r *rule) readFamily(family value[string]) {
	said := family.orElse("", "from's or to's")
	switch {
	case r.has("from") || r.has("to"):
		r.IPv6 = r.From.Addr().Is6() || r.To.Addr().Is6()
		if r.From.IsValid() && r.To.IsValid() && r.From.Addr().Is4() != r.To.Addr().Is4() {
			r.fail(r.at("to"), "%s is %s and from %s, expected one family", r.To, familyOf(r.To.Addr()), familyOf(r.From.Addr()))
		}
		if family.set {
			r.failKey(r.at("family"), "from and to have a family, expected family only without them")
		}
	case !family.set:
		r.missing("family", family.kind.expected+": the rule has neither from nor to")
	default:
		r.IPv6 = said == "ipv6"
	}
}

// checkRules reports rules that are there twice.
func checkRules(all []instance) {
	rules := make(seen[netif.Rule])
	for _, i := range all {
		for _, r := range i.rules {
			if r.Priority != 0 {
				rules.again(r.table, r.Rule, r.table.path(), "is the same rule as another")
			}
		}
	}
}

// mark is a firewall mark and which of its bits count.
type mark struct{ value, mask uint32 }

// firewallMark is a number, or VALUE/MASK in a string, decimal or hexadecimal.
func firewallMark() kind[mark] {
	k := kind[mark]{name: "firewall mark", allowed: "0..4294967295 or VALUE/MASK", expected: `a mark such as 16 or "0x10/0xff"`}
	k.parse = func(raw any) (mark, error) {
		if _, ok := raw.(string); !ok {
			n, err := integer(0, math.MaxUint32).parse(raw)
			return mark{uint32(n), math.MaxUint32}, err
		}
		value, mask, masked := strings.Cut(raw.(string), "/")
		if !masked {
			mask = "0xffffffff"
		}
		v, valueErr := strconv.ParseUint(value, 0, 32)
		m, maskErr := strconv.ParseUint(mask, 0, 32)
		switch {
		case valueErr != nil || maskErr != nil:
			return mark{}, fmt.Errorf("%q is not a firewall mark, expected %s", raw, k.expected)
		case m == 0:
			return mark{}, fmt.Errorf("%q has a mask without bits, expected one with some", raw)
		case v&^m != 0:
			return mark{}, fmt.Errorf("%q has bits outside its mask, expected \"%#x/%#x\"", raw, v&m, m)
		}
		return mark{uint32(v), uint32(m)}, nil
	}
	return k
}
