package ipvsadm

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lvsd/lvsd/director/ipvs"
)

func TestServiceNames(t *testing.T) {
	n := exampleNames(t)
	for _, c := range []struct {
		port     uint16
		protocol ipvs.Protocol
		want     string
	}{
		{80, ipvs.TCP, "http"}, // the first of two lines
		{80, ipvs.UDP, ""},
		{53, ipvs.UDP, "domain"},
		{3868, ipvs.SCTP, ""},
		{80, 0, ""},
		{70000 - 65536, ipvs.TCP, ""},
	} {
		if got := n.Service(c.port, c.protocol); got != c.want {
			t.Errorf("port %d of %v is %q, want %q", c.port, c.protocol, got, c.want)
		}
	}
	if _, err := NewSystemNames(t.Context(), iotest.ErrReader(iotest.ErrTimeout)); err == nil {
		t.Error("an unreadable file is no error")
	}
}

// TestHostNames answers as a resolver does, with rooted names from DNS.
func TestHostNames(t *testing.T) {
	n, err := NewSystemNames(t.Context(), strings.NewReader(""))
	fatal(t, err)
	asked := make(map[string]int)
	n.lookup = func(_ context.Context, address string) ([]string, error) {
		asked[address]++
		if address == "192.0.2.11" {
			return []string{"mx1.example.com.", "alias.example.com."}, nil
		}
		return nil, &net.DNSError{IsNotFound: true}
	}
	for range 2 {
		for address, want := range map[string]string{"192.0.2.11": "mx1.example.com", "192.0.2.12": ""} {
			if got := n.Host(netip.MustParseAddr(address)); got != want {
				t.Errorf("%s is %q, want %q", address, got, want)
			}
		}
	}
	if asked["192.0.2.11"] != 1 || asked["192.0.2.12"] != 1 {
		t.Errorf("asked %v, want once for each address", asked)
	}
}
