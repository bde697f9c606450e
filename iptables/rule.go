package iptables

import (
	"fmt"
	"strings"
)

// tag is the comment that marks a rule as lvsd's.
const tag = "lvsd"

// Rule is a rule of one of the kinds that lvsd writes: Redirect, Mark, SNAT, Mute
// or Hold. It is comparable.
type Rule interface {
	fmt.Stringer
	// Validate says why the rule cannot be written.
	Validate() error
	// Chain is where the rule stands.
	Chain() Chain
	// spec is the rule as arguments of iptables, after the chain.
	spec() []string
	// leads reports whether the rule must come before others' rules.
	leads() bool
}

// Chain is a chain of the kernel's that lvsd writes to. It is comparable.
type Chain struct {
	// IPv6 tells ip6tables from iptables.
	IPv6 bool
	// Table and Name are as in iptables(8): "nat", "PREROUTING".
	Table, Name string
}

// Chains returns every chain that some rule of lvsd's may stand in.
func Chains() []Chain {
	return []Chain{
		{false, "nat", "PREROUTING"},
		{false, "nat", "POSTROUTING"},
		{false, "mangle", "PREROUTING"},
		{false, "mangle", "FORWARD"},
		{false, "mangle", "OUTPUT"},
		{true, "nat", "PREROUTING"},
		{true, "nat", "POSTROUTING"},
		{true, "mangle", "PREROUTING"},
		{true, "mangle", "FORWARD"},
		{true, "mangle", "OUTPUT"},
	}
}

// String is the chain as messages name it: "nat PREROUTING", "IPv6 nat
// POSTROUTING".
func (c Chain) String() string {
	name := c.Table + " " + c.Name
	if c.IPv6 {
		return "IPv6 " + name
	}
	return name
}

// command is the command that knows the chain.
func (c Chain) command() string {
	if c.IPv6 {
		return "ip6tables"
	}
	return "iptables"
}

// Tagged is a rule that bears lvsd's tag, whatever else it says. A rule that is
// there twice is two Tagged.
type Tagged struct {
	// Rule is what the rule does, nil for one that this version would not
	// write.
	Rule  Rule
	Chain Chain
	// Spec is the whole rule after "-A PREROUTING", as arguments.
	Spec []string
}

// Deletion is the command that deletes the rule, as a shell takes it.
func (t Tagged) Deletion() string {
	command := []string{t.Chain.command(), "-t", t.Chain.Table, "-D", t.Chain.Name}
	for _, argument := range t.Spec {
		command = append(command, quote(argument))
	}
	return strings.Join(command, " ")
}

// quote writes an argument so that a shell takes it for one.
func quote(argument string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,=@%+", r)
	}
	if argument != "" && strings.TrimFunc(argument, safe) == "" {
		return argument
	}
	return "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
}
