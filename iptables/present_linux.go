package iptables

import (
	"os"
	"slices"
	"strings"
)

// Present returns those of the chains that can have rules, without making them:
// the legacy backend makes a table, and so turns connection tracking on, when it
// is first listed. A family whose command is not there has none.
func (t *Table) Present(chains []Chain) []Chain {
	return slices.DeleteFunc(slices.Clone(chains), func(c Chain) bool {
		command, err := t.command(c.IPv6)
		return err != nil || !command.nft && !slices.Contains(legacyTables(c.IPv6), c.Table)
	})
}

// legacyTables returns the tables that the legacy backend has made in this
// network namespace.
func legacyTables(ipv6 bool) []string {
	file := "/proc/thread-self/net/ip_tables_names"
	if ipv6 {
		file = "/proc/thread-self/net/ip6_tables_names"
	}
	names, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Fields(string(names))
}
