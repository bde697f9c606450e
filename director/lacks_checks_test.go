package director

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

func TestLacksOfChecks(t *testing.T) {
	directory := t.TempDir()
	there, missing := filepath.Join(directory, "there"), filepath.Join(directory, "missing")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	server := config.RealServer{Address: netip.MustParseAddrPort("192.0.2.1:443")}
	for _, kind := range []probe.Kind{
		probe.TCP{},
		probe.HTTP{Secure: true, TLS: probe.TLS{CA: there, Certificate: missing + ".crt", Key: missing + ".key"}},
		probe.SMTP{Security: probe.StartTLS, TLS: probe.TLS{CA: missing + ".crt"}},
		probe.GRPC{Secure: true, TLS: probe.TLS{CA: missing + ".grpc"}},
		probe.Banner{Security: probe.Implicit, TLS: probe.TLS{CA: missing + ".banner"}},
		probe.Script{Command: probe.ListOf(missing+".sh", missing+".argument")},
		probe.Script{Command: probe.ListOf(there)},
	} {
		check := healthcheck.Check{Kind: kind, Route: probe.Route{Interface: "no" + kind.Type()}}
		server.Checks = append(server.Checks, check.Of(server.Address))
	}
	c := &config.Config{Services: []config.VirtualService{{RealServers: []config.RealServer{server}}}}
	want := []Lack{
		{What: "file " + missing + ".crt: no such file or directory", Breaks: "check https 192.0.2.1:443 does not count"},
		{What: "file " + missing + ".key: no such file or directory", Breaks: "check https 192.0.2.1:443 does not count"},
		{What: "file " + missing + ".grpc: no such file or directory", Breaks: "check grpc 192.0.2.1:443 does not count"},
		{What: "file " + missing + ".banner: no such file or directory", Breaks: "check banner 192.0.2.1:443 does not count"},
		{What: "file " + missing + ".sh: no such file or directory", Breaks: "check script 192.0.2.1:443 does not count"},
	}
	if diff := cmp.Diff(want, lacksOfChecks(c)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if lacks := lacksOfInterfaces(c); len(lacks) != 6 || lacks[1].What != "interface nohttps" ||
		lacks[1].Breaks != "check https 192.0.2.1:443 does not count" {
		t.Errorf("interfaces: %+v", lacks)
	}
}
