package config

import (
	"net/netip"
	"testing"
)

func TestClientsInclude(t *testing.T) {
	clients := Clients{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("fe80::/10")}
	for client, want := range map[string]bool{
		"192.0.2.7:1024":          true,
		"192.0.3.7:1024":          false,
		"[::ffff:192.0.2.7]:1024": true,
		"[fe80::1%eth0]:1024":     true,
		"[2001:db8::1]:1024":      false,
		"@":                       false,
		"":                        false,
	} {
		if got := clients.Include(client); got != want {
			t.Errorf("%q: %v, want %v", client, got, want)
		}
	}
	if !Clients(nil).Include("@") {
		t.Error("none is all")
	}
}
