package iptables

import (
	"net/netip"
	"strconv"
	"strings"
)

// tag is the comment that marks a rule as lvsd's.
const tag = "lvsd"

// synFlags is how iptables prints --syn: the flags examined and those set.
var synFlags = [2]string{"FIN,SYN,RST,ACK", "SYN"}

// Tagged is a rule of nat PREROUTING that bears lvsd's tag, whatever else it
// says. A rule that is there twice is two Tagged.
type Tagged struct {
	// Redirect is what the rule does, the zero Redirect unless Known.
	Redirect Redirect
	// Known is false for a tagged rule that this version would not write.
	Known bool
	// Position is the rule's place in the chain, from 1.
	Position int
	// Spec is the whole rule after "-A PREROUTING", as arguments.
	Spec []string
}

// spec is the rule for r as arguments of iptables, after the chain.
func (r Redirect) spec() []string {
	args := []string{"-d", r.VIP.String() + "/32", "-p", r.Protocol}
	if r.Port != 0 || r.NewOnly {
		args = append(args, "-m", r.Protocol)
	}
	if r.Port != 0 {
		args = append(args, "--dport", strconv.Itoa(int(r.Port)))
	}
	if r.NewOnly {
		args = append(args, "--syn")
	}
	return append(args, "-m", "comment", "--comment", tag, "-j", "REDIRECT")
}

// parseChain finds the tagged rules in what `iptables -t nat -S PREROUTING`
// printed. Lines that are no rules of the chain are passed over: the command
// also prints the chain's policy, and some versions print warnings.
func parseChain(lines []string) []Tagged {
	var tagged []Tagged
	position := 0
	for _, line := range lines {
		text, ok := strings.CutPrefix(line, "-A PREROUTING ")
		if !ok {
			continue
		}
		position++
		spec, ok := splitArguments(text)
		if !ok || !isTagged(spec) {
			continue
		}
		redirect, known := parseSpec(spec)
		tagged = append(tagged, Tagged{redirect, known, position, spec})
	}
	return tagged
}

// isTagged reports whether a comment of the rule is exactly the tag: a comment
// that only contains the word is somebody else's.
func isTagged(spec []string) bool {
	for i := 1; i < len(spec); i++ {
		if spec[i-1] == "--comment" && spec[i] == tag {
			return true
		}
	}
	return false
}

// parseSpec is the inverse of spec. It refuses every rule that says more or
// less than a Redirect, so that such a rule is not taken for one.
func parseSpec(spec []string) (Redirect, bool) {
	var r Redirect
	seen := make(map[string]bool)
	for len(spec) > 0 {
		option := spec[0]
		if option != "-m" && seen[option] {
			return Redirect{}, false
		}
		seen[option] = true
		n, ok := r.parseOption(spec)
		if !ok {
			return Redirect{}, false
		}
		spec = spec[n:]
	}
	if r.Validate() != nil || !seen["--comment"] || !seen["-j"] {
		return Redirect{}, false
	}
	return r, true
}

// parseOption takes the first option of spec into r and reports how many
// arguments that was.
func (r *Redirect) parseOption(spec []string) (n int, ok bool) {
	if spec[0] == "--syn" {
		r.NewOnly = true
		return 1, true
	}
	if len(spec) < 2 {
		return 0, false
	}
	value := spec[1]
	switch spec[0] {
	case "-d":
		prefix, err := netip.ParsePrefix(value)
		r.VIP = prefix.Addr()
		return 2, err == nil && prefix.Bits() == 32
	case "-p":
		r.Protocol = value
		return 2, true
	case "-m":
		return 2, value == "tcp" || value == "udp" || value == "comment"
	case "--dport":
		port, err := strconv.ParseUint(value, 10, 16)
		r.Port = uint16(port)
		return 2, err == nil && port != 0
	case "--tcp-flags":
		r.NewOnly = true
		return 3, len(spec) >= 3 && [2]string{value, spec[2]} == synFlags
	case "--comment":
		return 2, value == tag
	case "-j":
		return 2, value == "REDIRECT"
	}
	return 0, false
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
