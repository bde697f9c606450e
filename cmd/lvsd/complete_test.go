package main

import (
	"slices"
	"testing"

	"github.com/lvsd/lvsd/config"
)

// TestNamesOfTheFile: without a daemon, the file knows the same names.
func TestNamesOfTheFile(t *testing.T) {
	c, err := config.Load(example, "relay1")
	if err != nil {
		t.Fatal(err)
	}
	n := namesOfFile(c)
	if !slices.Equal(n.instances, []string{"mail_relay"}) || !slices.Equal(n.services, []string{"smtp"}) {
		t.Errorf("instances %q, services %q", n.instances, n.services)
	}
	if got := n.serversOf("smtp"); len(got) == 0 || !slices.Equal(got, n.serversOf("-")) {
		t.Errorf("servers %q, of all services %q", got, n.serversOf("-"))
	}
	if got := n.serversOf("absent"); len(got) > 0 {
		t.Errorf("servers of no service: %q", got)
	}
}
