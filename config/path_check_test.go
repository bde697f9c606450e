package config

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

const pathInstance = `
[[vrrp]]
name = "one"
interface = "eth0"
vrid = 20
vips = ["192.0.2.100", "192.0.2.101"]
excluded_vips = ["2001:db8::100"]
`

// pathFile has a service with two real servers, asked by way of the VIP.
func pathFile(service string) string {
	return pathInstance + `
[[virtual_service]]
` + service + `
  [[virtual_service.check]]
  type = "tcp"
  via = "vip"
  [[virtual_service.real_server]]
  address = "192.0.2.11"
  [[virtual_service.real_server]]
  address = "192.0.2.12"
`
}

const pathService = `address = "192.0.2.100:80"
protocol = "tcp"
`

func parsePaths(t *testing.T, text string) *Config {
	t.Helper()
	c, err := parseFiles("lvsd.toml", []byte(text), "node")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPathCheckGoesByTheVIP(t *testing.T) {
	for name, test := range map[string]struct {
		options, via string
		hops         uint8
	}{
		"direct routing": {pathService, "192.0.2.100:80", 2},
		"tunnel":         {pathService + "forwarding = \"tun\"\n", "192.0.2.100:80", 0},
	} {
		t.Run(name, func(t *testing.T) {
			for _, server := range parsePaths(t, pathFile(test.options)).Services[0].RealServers {
				spec := server.Checks[0]
				if err := spec.Validate(); err != nil {
					t.Error(err)
				}
				request := spec.Request()
				want := probe.Route{Mark: spec.Mark, Toward: server.Address.Addr(), Hops: test.hops}
				if diff := cmp.Diff(want, request.Route, cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
					t.Errorf("route (-want +got):\n%s", diff)
				}
				if spec.Target != server.Address || request.Target.String() != test.via {
					t.Errorf("%v asks %v", spec, request.Target)
				}
			}
		})
	}
}

// TestPathChecksOfGroup: a server of a group is asked once, at the group's first
// address.
func TestPathChecksOfGroup(t *testing.T) {
	text := pathFile("addresses = [\"192.0.2.100\", \"192.0.2.101\"]\nports = [80, 443]\nprotocol = \"tcp\"\n")
	c := parsePaths(t, strings.ReplaceAll(text, `via = "vip"`, "via = \"vip\"\nport = 8080"))
	specs := map[healthcheck.Spec]bool{}
	for _, s := range c.Services {
		for _, server := range s.RealServers {
			specs[server.Checks[0]] = true
		}
	}
	if len(c.Services) != 4 || len(specs) != 2 {
		t.Errorf("%d services have %d checks, want 2 for 4: %v", len(c.Services), len(specs), specs)
	}
	for spec := range specs {
		if via := spec.Check().Via; via.String() != "192.0.2.100:8080" {
			t.Errorf("%v goes to %v", spec, via)
		}
	}
}

func TestPathChecksGetMarksWithAddresses(t *testing.T) {
	named := parsePaths(t, strings.ReplaceAll(pathFile(pathService), "192.0.2.12", "two.example"))
	if mark := named.Services[0].RealServers[1].Checks[0].Mark; mark != 0 {
		t.Errorf("a server without an address has mark %#x", mark)
	}
	resolved := named.WithAddresses(map[string][]netip.Addr{
		"two.example": {netip.MustParseAddr("192.0.2.12"), netip.MustParseAddr("192.0.2.13")},
	})
	got := pathMarks(resolved)
	want := pathMarks(parsePaths(t, pathFile(pathService)))
	third := netip.MustParseAddr("192.0.2.13")
	if len(got) != 3 || got[third] == 0 {
		t.Errorf("marks %#x", got)
	}
	delete(got, third)
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("the marks of those that have addresses either way (-file +resolved):\n%s", diff)
	}
	if again := pathMarks(named.WithAddresses(nil)); len(again) != 1 {
		t.Errorf("without addresses of the name: marks %#x", again)
	}
}

// pathMarks are the marks by server.
func pathMarks(c *Config) map[netip.Addr]uint32 {
	marks := map[netip.Addr]uint32{}
	for _, s := range c.Services {
		for i := range s.RealServers {
			for spec := range s.RealServers[i].specs {
				marks[spec.Target.Addr()] = spec.Mark
			}
		}
	}
	return marks
}

func TestPathCheckProblems(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"kept connections": {
			strings.NewReplacer(
				"vrid = 20", "vrid = 20\nserve_on_backup = true\nkeep_connections = true",
				"excluded_vips = [\"2001:db8::100\"]\n", "",
			).Replace(pathFile(pathService)) +
				"[sync]\ninterface = \"eth0\"\nid = 1\n",
			`"keep_connections"`,
		},
		"a server of the other family": {
			strings.Replace(pathFile(pathService+"forwarding = \"tun\"\n"), "192.0.2.12", "2001:db8::12", 1),
			"2001:db8::12 is IPv6 and the service IPv4",
		},
		"a mark on the way": {
			pathFile(pathService) + `
[[virtual_service]]
firewall_mark = 7
mark_traffic = [{ vip = "192.0.2.100", protocol = "tcp", ports = ["70-90"] }]
  [[virtual_service.real_server]]
  address = "192.0.2.11"
`,
			"go to 192.0.2.100:80",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseFiles("lvsd.toml", []byte(test.text), "node")
			if err == nil || !strings.Contains(err.Error(), strings.Trim(test.want, `"`)) || strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("got %v, want one problem with %q", err, test.want)
			}
		})
	}
	other := pathFile(pathService) + `
[[virtual_service]]
firewall_mark = 7
mark_traffic = [{ vip = "192.0.2.100", protocol = "tcp", ports = [81] }, { vip = "192.0.2.100", protocol = "udp" }]
  [[virtual_service.real_server]]
  address = "192.0.2.11"
`
	if _, err := parseFiles("lvsd.toml", []byte(other), "node"); err != nil {
		t.Errorf("marks of other packets: %v", err)
	}
}

// drawPaths are services with path checks, of few servers, so that they share
// some.
func drawPaths(t *rapid.T) []VirtualService {
	var services []VirtualService
	for n := range rapid.IntRange(1, 4).Draw(t, "services") {
		s := VirtualService{IPVS: ipvs.Service{ServiceKey: ipvs.ServiceKey{
			Family: ipvs.IPv4, Protocol: ipvs.TCP,
			Address: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), 80),
		}}}
		taken := map[byte]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "servers") {
			number := rapid.ByteRange(0, 7).Draw(t, "server")
			if taken[number] {
				continue
			}
			taken[number] = true
			server := RealServer{
				Address:    netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, number}), 80),
				Forwarding: rapid.SampledFrom([]ipvs.Forwarding{ipvs.DirectRoute, ipvs.Tunnel}).Draw(t, "forwarding"),
			}
			check := healthcheck.Check{Via: s.IPVS.Address}
			if rapid.IntRange(0, 3).Draw(t, "plain") == 0 {
				check = healthcheck.Check{Route: probe.Route{Mark: 7}}
			}
			server.Checks = []healthcheck.Spec{check.Of(server.Address)}
			server.WeightChecks = []WeightCheck{{Check: check.Of(server.Address)}}
			s.RealServers = append(s.RealServers, server)
		}
		services = append(services, s)
	}
	return services
}

// TestPathMarks: each way has one mark and no other has it, whatever the order of
// the services, and what the file uses is left out.
func TestPathMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		services := drawPaths(t)
		ways := pathWays(services)
		taken := map[uint32]bool{}
		if len(ways) > 0 && rapid.Bool().Draw(t, "taken") {
			mark := ways[0].mark()
			services[0].Marks = nil
			services = append(services, VirtualService{IPVS: ipvs.Service{ServiceKey: ipvs.ServiceKey{Mark: mark}}})
			taken[mark] = true
		}
		marked := withPathMarks(services)
		for _, s := range services {
			for i := range s.RealServers {
				for spec := range s.RealServers[i].specs {
					if spec.Mark != 0 {
						t.Fatalf("it changed what it was given: %v has mark %#x", spec, spec.Mark)
					}
				}
			}
		}
		byWay, byMark := map[pathWay]uint32{}, map[uint32]pathWay{}
		for _, s := range marked {
			for i := range s.RealServers {
				server := &s.RealServers[i]
				way := wayTo(server, s.IPVS.Family)
				for spec := range server.specs {
					if !isPath(*spec) {
						if spec.Mark != 0 {
							t.Fatalf("%v has mark %#x", spec, spec.Mark)
						}
						continue
					}
					if spec.Mark < FirstPathMark || spec.Mark > LastPathMark || taken[spec.Mark] {
						t.Fatalf("%v has mark %#x", spec, spec.Mark)
					}
					if other, ok := byMark[spec.Mark]; ok && other != way {
						t.Fatalf("mark %#x is of %v and %v", spec.Mark, other, way)
					}
					if other, ok := byWay[way]; ok && other != spec.Mark {
						t.Fatalf("%v has marks %#x and %#x", way, other, spec.Mark)
					}
					byWay[way], byMark[spec.Mark] = spec.Mark, way
				}
			}
		}
		reversed := slices.Clone(services)
		slices.Reverse(reversed)
		if again := markWays(pathWays(reversed), otherMarks(reversed)); !maps.Equal(again, byWay) {
			t.Fatalf("in another order %v, before %v", again, byWay)
		}
	})
}

// TestPathMarksGoRound: the search for a free mark goes on at the beginning of the
// range.
func TestPathMarksGoRound(t *testing.T) {
	const near = 1 << 16 // of the end
	var way pathWay
	for server := netip.MustParseAddr("10.0.0.1"); way.mark() < LastPathMark-near; server = server.Next() {
		way = pathWay{family: ipvs.IPv4, server: server, forwarding: ipvs.DirectRoute}
	}
	taken := map[uint32]bool{}
	for mark := way.mark(); mark <= LastPathMark; mark++ {
		taken[mark] = true
	}
	if got := markWays([]pathWay{way}, taken)[way]; got != FirstPathMark {
		t.Errorf("with all above taken: %#x, want the first", got)
	}
}
