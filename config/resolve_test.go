package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
)

const namedServers = `
[[vrrp]]
name = "web"
interface = "eth0"
vrid = 20
vips = ["192.0.2.80"]

[[virtual_service]]
address = "192.0.2.80"
ports = [80, 443]
protocol = "tcp"
check = { type = "tcp", port = 81 }

  [virtual_service.sorry_server]
  address = "192.0.2.19"

  [[virtual_service.real_server]]
  address = "web.example.org"
  weight = 7
  check = [{ type = "tcp", port = 81 }, { type = "tcp", port = 82, weight = 3 }]

  [[virtual_service.real_server]]
  address = "192.0.2.12"

  [[virtual_service.real_server]]
  address = "spare.example.org"

[[virtual_service]]
address = "192.0.2.80:25"
protocol = "tcp"
forwarding = "tun"
check = { type = "tcp" }
real_server = [{ address = "mail.example.org" }]
`

// addresses lists the servers of each service.
func addressesOf(c *Config) (all [][]string) {
	for _, s := range c.Services {
		list := []string{}
		for _, server := range s.RealServers {
			list = append(list, fmt.Sprint(server.Host, " ", server.Address))
			for _, check := range server.Checks {
				list = append(list, check.String())
			}
			for _, check := range server.WeightChecks {
				list = append(list, fmt.Sprint(check.Check, " ", check.Weight))
			}
		}
		all = append(all, list)
	}
	return all
}

func TestWithAddresses(t *testing.T) {
	c := parse(t, namedServers, "relay1")
	if got, want := c.Names(), []string{"mail.example.org", "spare.example.org", "web.example.org"}; !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
	names := map[string][]netip.Addr{
		// Out of order, twice, of the other family, a VIP, the sorry server, a
		// server that is there, no host.
		"web.example.org": {
			ip("192.0.2.22"), ip("192.0.2.21"), ip("192.0.2.22"), ip("::ffff:192.0.2.22"), ip("::ffff:192.0.2.23"), ip("2001:db8::22"), ip("192.0.2.80"),
			ip("192.0.2.19"), ip("192.0.2.12"), ip("0.0.0.0"), ip("224.0.0.1"),
			{},
		},
		"mail.example.org":  {ip("2001:db8::25"), ip("192.0.2.25")},
		"other.example.org": {ip("192.0.2.99")},
	}
	got := addressesOf(c.WithAddresses(names))
	want := [][]string{
		{
			"web.example.org 192.0.2.21:80", "tcp 192.0.2.21:81", "tcp 192.0.2.21:82 3",
			"web.example.org 192.0.2.22:80", "tcp 192.0.2.22:81", "tcp 192.0.2.22:82 3",
			"web.example.org 192.0.2.23:80", "tcp 192.0.2.23:81", "tcp 192.0.2.23:82 3", " 192.0.2.12:80", "tcp 192.0.2.12:81",
		},
		{
			"web.example.org 192.0.2.21:443", "tcp 192.0.2.21:81", "tcp 192.0.2.21:82 3",
			"web.example.org 192.0.2.22:443", "tcp 192.0.2.22:81", "tcp 192.0.2.22:82 3",
			"web.example.org 192.0.2.23:443", "tcp 192.0.2.23:81", "tcp 192.0.2.23:82 3", " 192.0.2.12:443", "tcp 192.0.2.12:81",
		},
		{"mail.example.org 192.0.2.25:25", "tcp 192.0.2.25:25", "mail.example.org [2001:db8::25]:25", "tcp [2001:db8::25]:25"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	c.Sync = &Sync{}
	if got := addressesOf(c.WithAddresses(names))[2]; !slices.Equal(got, want[2][:2]) {
		t.Errorf("beside synchronisation: %q, want %q", got, want[2][:2])
	}
	none := [][]string{{" 192.0.2.12:80", "tcp 192.0.2.12:81"}, {" 192.0.2.12:443", "tcp 192.0.2.12:81"}, {}}
	if diff := cmp.Diff(none, addressesOf(c.WithAddresses(nil))); diff != "" {
		t.Errorf("without addresses, -want +got:\n%s", diff)
	}
}

// TestWithAddressesProperties draws services and answers of DNS.
func TestWithAddressesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, names := drawConfig(t), drawNames(t)
		before := cloneServers(c)
		resolved := c.WithAddresses(names)
		if !reflect.DeepEqual(c.Services, before) {
			t.Fatal("it changes the configuration that it is given")
		}
		if again := resolved.WithAddresses(drawNames(t)); !again.Equal(resolved) {
			t.Fatal("it resolves twice")
		}
		for n, s := range resolved.Services {
			if len(c.Services[n].RealServers) == 0 {
				continue
			}
			checkResolved(t, c, c.Services[n], s, names)
		}
	})
}

// checkResolved holds the service to what WithAddresses promises of it.
func checkResolved(t *rapid.T, c *Config, from, s VirtualService, names map[string][]netip.Addr) {
	taken := make(map[netip.AddrPort]bool)
	for _, server := range s.RealServers {
		addr := server.Address.Addr()
		if !addr.IsValid() || taken[server.Address] {
			t.Fatalf("%v is there twice, or no address", server.Address)
		}
		taken[server.Address] = true
		for _, check := range server.Checks {
			if check.Target.Addr() != addr || check.Target.Port() == 0 {
				t.Fatalf("%v has a check of %v", server.Address, check.Target)
			}
		}
		if server.Host == "" {
			continue
		}
		if !slices.Contains(names[server.Host], addr) {
			t.Fatalf("%v is no address of %s", addr, server.Host)
		}
		if familyNumber(addr) != s.IPVS.Family && (server.Forwarding != ipvs.Tunnel || c.Sync != nil) {
			t.Fatalf("%v is of another family", addr)
		}
	}
	// What could stand there does, be it by another server.
	for _, server := range from.RealServers {
		if server.Host == "" && !taken[server.Address] {
			t.Fatalf("%v is gone", server.Address)
		}
		for _, addr := range names[server.Host] {
			at := netip.AddrPortFrom(addr, server.Address.Port())
			usable := familyNumber(addr) == s.IPVS.Family && !addr.IsUnspecified() && addr != c.VRRP[0].VIPs[0].Addr
			if usable && !taken[at] {
				t.Fatalf("%v of %s is not there", at, server.Host)
			}
		}
	}
}

var hosts = []string{"a.example.org", "b.example.org", "c.example.org"}

func drawAddr(t *rapid.T) netip.Addr {
	return netip.MustParseAddr(rapid.SampledFrom([]string{
		"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.80", "0.0.0.0", "2001:db8::1", "2001:db8::2",
	}).Draw(t, "address"))
}

func drawNames(t *rapid.T) map[string][]netip.Addr {
	names := make(map[string][]netip.Addr)
	for _, host := range hosts {
		for range rapid.IntRange(0, 4).Draw(t, "addresses") {
			names[host] = append(names[host], drawAddr(t))
		}
	}
	return names
}

func drawConfig(t *rapid.T) *Config {
	c := &Config{VRRP: []VRRP{{VIPs: []VIP{{VIP: netif.HostVIP("eth0", ip("192.0.2.80"))}}}}}
	if rapid.Bool().Draw(t, "sync") {
		c.Sync = &Sync{}
	}
	for range rapid.IntRange(1, 3).Draw(t, "services") {
		family := rapid.SampledFrom([]ipvs.Family{ipvs.IPv4, ipvs.IPv6}).Draw(t, "family")
		s := VirtualService{IPVS: ipvs.Service{ServiceKey: ipvs.ServiceKey{Family: family}}}
		taken := make(map[netip.AddrPort]bool)
		for range rapid.IntRange(0, 4).Draw(t, "servers") {
			port := uint16(rapid.IntRange(80, 81).Draw(t, "port"))
			forwarding := rapid.SampledFrom([]ipvs.Forwarding{ipvs.DirectRoute, ipvs.Tunnel}).Draw(t, "forwarding")
			server := RealServer{Forwarding: forwarding, Address: netip.AddrPortFrom(netip.Addr{}, port)}
			if rapid.Bool().Draw(t, "named") {
				server.Host = rapid.SampledFrom(hosts).Draw(t, "host")
			} else {
				server.Address = netip.AddrPortFrom(drawAddr(t), port)
				if taken[server.Address] {
					continue
				}
				taken[server.Address] = true
			}
			server.Checks = []healthcheck.Spec{{Target: server.Address}}
			s.RealServers = append(s.RealServers, server)
		}
		c.Services = append(c.Services, s)
	}
	if rapid.Bool().Draw(t, "group") {
		c.Services = append(c.Services, c.Services[0])
	}
	return c
}

// cloneServers are the services with real servers and checks of their own.
func cloneServers(c *Config) []VirtualService {
	services := slices.Clone(c.Services)
	for n := range services {
		services[n].RealServers = slices.Clone(services[n].RealServers)
		for i := range services[n].RealServers {
			services[n].RealServers[i].Checks = slices.Clone(services[n].RealServers[i].Checks)
		}
	}
	return services
}
