package iptables

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parseTable finds the tagged rules of the chains in what `iptables -S` printed
// of their table, in the order of the listing. Lines that are no rules of these
// chains are passed over: the command also prints policies and other chains, and
// some versions print warnings.
func parseTable(lines []string, chains []Chain) []Tagged {
	var tagged []Tagged
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, "-A ")
		if !ok || !strings.Contains(line, tag) {
			continue
		}
		name, text, _ := strings.Cut(text, " ")
		i := slices.IndexFunc(chains, func(c Chain) bool { return c.Name == name })
		if i < 0 {
			continue
		}
		if spec, ok := splitArguments(text); ok && isTagged(spec) {
			completeVIP(spec)
			tagged = append(tagged, Tagged{parseRule(chains[i], spec), chains[i], spec})
		}
	}
	return tagged
}

// completeVIP makes the arguments of a listed rule such as delete it. iptables
// prints a VIP without its prefix length, and does not find the rule by that.
func completeVIP(spec []string) {
	for i := 1; i < len(spec); i++ {
		if spec[i-1] == "--vaddr" {
			spec[i] = wholeIfBare(spec[i])
		}
	}
}

// isTagged reports whether a comment of the rule is exactly a tag: a comment
// that only contains the word is somebody else's.
func isTagged(spec []string) bool {
	for i := 1; i < len(spec); i++ {
		if spec[i-1] == "--comment" && (spec[i] == tag || spec[i] == holdTag) {
			return true
		}
	}
	return false
}

// parseRule is the inverse of a rule's spec. It returns nil for every rule that
// says more or less than a rule of lvsd's in that chain, so that such a rule is
// not taken for one.
func parseRule(c Chain, spec []string) Rule {
	found, ok := readOptions(spec)
	if !ok {
		return nil
	}
	var rule Rule
	switch c.Table + " " + c.Name {
	case "nat PREROUTING":
		rule = readRedirect(found)
	case "nat POSTROUTING":
		rule = readSNAT(found)
	case "mangle PREROUTING":
		rule = readMark(found)
	case "mangle FORWARD":
		rule = Hold{IPv6: c.IPv6}
	case "mangle OUTPUT":
		rule = readMute(found)
	default:
		return nil
	}
	if rule.Validate() != nil || rule.Chain() != c {
		return nil
	}
	// What the kind has no word for is in found and not in wanted.
	if wanted, _ := readOptions(rule.spec()); !maps.Equal(wanted, found) {
		return nil
	}
	return rule
}

// options are a rule's options with their values, each in one way of writing. A
// match ("-m tcp") is an option of its own without a value.
type options map[string]string

// readOptions fails on an option that no rule of lvsd's has, and on one that is
// there twice.
func readOptions(spec []string) (options, bool) {
	found := options{}
	for len(spec) > 0 {
		option, value, length := readOption(spec)
		if _, twice := found[option]; length == 0 || twice {
			return nil, false
		}
		found[option] = value
		spec = spec[length:]
	}
	return found, true
}

// synFlags is how iptables prints --syn: the flags examined and those set.
var synFlags = []string{"--tcp-flags", "FIN,SYN,RST,ACK", "SYN"}

// readOption takes the first option of spec; length is how many arguments that
// was, 0 if it is no option of lvsd's.
func readOption(spec []string) (option, value string, length int) {
	option = spec[0]
	switch {
	case option == "--syn":
		return option, "", 1
	case len(spec) >= 3 && slices.Equal(spec[:3], synFlags):
		return "--syn", "", 3
	case len(spec) >= 3 && slices.Equal(spec[:3], resetFlags):
		return "--tcp-flags", "RST", 3
	case len(spec) < 2:
		return "", "", 0
	}
	value = spec[1]
	switch option {
	case "-m":
		return "-m " + value, "", 2
	case "-s", "-d", "-p", "-j", "--comment", "--ctstate", "--dport", "--vport", "--to-source":
		return option, canonicalAddress(value), 2
	case "--vaddr":
		return option, canonicalAddress(wholeIfBare(value)), 2
	case "--vmethod":
		return option, strings.ToLower(value), 2
	case "--set-mark":
		return option, value, 2
	case "--set-xmark":
		mark, ok := strings.CutSuffix(value, "/0xffffffff")
		if number, err := strconv.ParseUint(mark, 0, 32); ok && err == nil {
			return "--set-mark", strconv.FormatUint(number, 10), 2
		}
	}
	return "", "", 0
}

// canonicalAddress is an address or prefix as netip prints it; the C library
// writes some IPv6 addresses otherwise. Other values stay as they are.
func canonicalAddress(value string) string {
	if a, err := netip.ParseAddr(value); err == nil {
		return a.String()
	}
	if p, err := netip.ParsePrefix(value); err == nil {
		return p.String()
	}
	return value
}

// wholeIfBare adds the prefix length that iptables leaves out of --vaddr.
func wholeIfBare(value string) string {
	if a, err := netip.ParseAddr(value); err == nil {
		return wholeLength(a)
	}
	return value
}

// address is the option's value without the prefix length, zero if it is none.
func (o options) address(option string) netip.Addr {
	text, _, _ := strings.Cut(o[option], "/")
	a, _ := netip.ParseAddr(text)
	return a
}

// ports is the option's value as a range of ports, zeros if it is none.
func (o options) ports(option string) (first, last uint16) {
	low, high, isRange := strings.Cut(o[option], ":")
	if !isRange {
		high = low
	}
	a, _ := strconv.ParseUint(low, 10, 16)
	b, _ := strconv.ParseUint(high, 10, 16)
	return uint16(a), uint16(b)
}

// splitArguments splits a line of `iptables -S` at its spaces. Arguments with
// unusual characters stand in double quotes there, with a backslash before
// quotes and backslashes. It fails on a quote that is not closed.
func splitArguments(line string) (args []string, ok bool) {
	var arg strings.Builder
	inArgument, inQuotes, escaped := false, false, false
	for _, c := range []byte(line) {
		switch {
		case escaped:
			arg.WriteByte(c)
			escaped = false
		case inQuotes && c == '\\':
			escaped = true
		case c == '"':
			inArgument, inQuotes = true, !inQuotes
		case c == ' ' && !inQuotes:
			if inArgument {
				args = append(args, arg.String())
				arg.Reset()
			}
			inArgument = false
		default:
			inArgument = true
			arg.WriteByte(c)
		}
	}
	if inArgument {
		args = append(args, arg.String())
	}
	return args, !inQuotes
}
