package doctor

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Ruleset is what one backend of iptables has of one family.
type Ruleset struct {
	// Legacy tells x_tables from nf_tables.
	Legacy, IPv6 bool
	Chains       []Chain
}

// Chain is one chain with its rules in their order.
type Chain struct {
	Table, Name string
	// Policy is "ACCEPT", "DROP", or "-" of a chain that is called by rules.
	Policy string
	Rules  []Rule
}

// Rule is one rule, as far as it is understood.
type Rule struct {
	// Text is the rule after the chain's name.
	Text string
	// Target is empty of a rule that only counts.
	Target string
	// Destination is zero for every address, Source too.
	Source, Destination netip.Prefix
	// Protocol is "tcp", "112"; empty is every one. Interface is the incoming
	// one, perhaps with a plus sign at the end; empty is every one.
	Protocol, Interface string
	// Ports are ranges of destination ports; none is every port.
	Ports []PortRange
	// Further tells that it has conditions beside these.
	Further bool
	// Established tells that one of them is a state that a first packet does not
	// have.
	Established bool
	// Ours tells that it bears lvsd's tag.
	Ours bool
}

// PortRange is a range of ports, both included.
type PortRange struct{ First, Last uint16 }

// ParseRuleset reads what iptables-save prints. What it does not understand it
// takes for further conditions.
func ParseRuleset(text string) Ruleset {
	var r Ruleset
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, ":"):
			if fields := strings.Fields(line[1:]); len(fields) >= 2 {
				r.Chains = append(r.Chains, Chain{Table: table, Name: fields[0], Policy: fields[1]})
			}
		case strings.HasPrefix(line, "-A "):
			name, rest, _ := strings.Cut(line[len("-A "):], " ")
			if chain := r.chain(table, name); chain != nil {
				chain.Rules = append(chain.Rules, parseRule(rest))
			}
		}
	}
	return r
}

// chain is nil if there is none.
func (r *Ruleset) chain(table, name string) *Chain {
	i := slices.IndexFunc(r.Chains, func(c Chain) bool { return c.Table == table && c.Name == name })
	if i < 0 {
		return nil
	}
	return &r.Chains[i]
}

// rules counts them.
func (r *Ruleset) rules() int {
	n := 0
	for _, c := range r.Chains {
		n += len(c.Rules)
	}
	return n
}

func parseRule(text string) Rule {
	rule := Rule{Text: text}
	arguments := words(text)
	for i := 0; i < len(arguments); i++ {
		option, value := arguments[i], ""
		if i+1 < len(arguments) {
			value = arguments[i+1]
		}
		switch option {
		case "-j", "-g":
			rule.Target = value
			return rule // what follows is the target's
		case "-m":
			i++
		case "--comment":
			rule.Ours = rule.Ours || value == "lvsd"
			i++
		case "!":
			rule.Further = true
			i += 2
		default:
			if strings.HasPrefix(option, "-") {
				rule.condition(option, value)
			}
		}
	}
	return rule
}

// condition adds one condition.
func (r *Rule) condition(option, value string) {
	understood := true
	switch option {
	case "-s":
		r.Source, understood = parsePrefix(value)
	case "-d":
		r.Destination, understood = parsePrefix(value)
	case "-p":
		r.Protocol = value
	case "-i":
		r.Interface = value
	case "--dport", "--dports":
		r.Ports, understood = parsePorts(value)
	case "--ctstate", "--state":
		r.Established = !slices.Contains(strings.Split(value, ","), "NEW")
		r.Further = true
	case "--reject-with", "--set-mark":
	default:
		understood = false
	}
	r.Further = r.Further || !understood
}

func parsePrefix(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr, addr.BitLen()), true
}

// parsePorts reads "25", "80:90" and "25,80:90".
func parsePorts(text string) ([]PortRange, bool) {
	var ports []PortRange
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(part, ":")
		first, err := strconv.ParseUint(low, 10, 16)
		if err != nil {
			return nil, false
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(high, 10, 16); err != nil {
				return nil, false
			}
		}
		ports = append(ports, PortRange{uint16(first), uint16(last)})
	}
	return ports, true
}

// words splits a rule as iptables-save writes it: quoted where there are spaces.
func words(text string) []string {
	var all []string
	var word strings.Builder
	quoted, open, escaped := false, false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped, open = true, true
		case r == '"':
			quoted, open = !quoted, true
		case r == ' ' && !quoted:
			if open {
				all = append(all, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if open {
		all = append(all, word.String())
	}
	return all
}
