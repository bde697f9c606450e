package main

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// serversPerService is how many real servers every service has.
	serversPerService = 10
	// servicesPerVIP are told apart by their ports, which begin at firstPort.
	servicesPerVIP = 1000
	firstPort      = 10000
	// rackServers is how many real servers die at once, and rackPort what is
	// asked whether they live.
	rackServers = 1000
	rackPort    = 5000
)

// rackAddress is the machine that all real servers of the rack are on.
var rackAddress = netip.AddrFrom4([4]byte{10, 9, 0, 1})

// site is a set of virtual services, the same for every contestant.
type site struct {
	services []siteService
	// checks is how it is found out that real servers are dead.
	checks siteChecks
	// every is the time between two probes of a real server where all are checked;
	// zero where not all are.
	every time.Duration
}

// siteChecks are the ways to find out.
type siteChecks int

// The ways.
const (
	// noChecks: nobody asks, every real server is always up.
	noChecks siteChecks = iota
	// oneVerdict: one fact decides for the whole rack. lvsd has one check for
	// equal questions; keepalived looks at one file for all.
	oneVerdict
	// ownChecks: every real server of the rack is asked at its own port.
	ownChecks
	// everyTCP and everyHTTP: every real server is asked at its own address. There
	// is no rack.
	everyTCP
	everyHTTP
)

// checkInterval is the time between two probes of a check of the rack, and
// checkTimeout how long one of any check may take.
const (
	checkInterval = 2 * time.Second
	checkTimeout  = time.Second
)

// serverNetwork has the addresses of all real servers outside the rack, as many
// as may be checked.
var serverNetwork = netip.MustParsePrefix("10.16.0.0/16")

type siteService struct {
	address netip.AddrPort
	servers []siteServer
}

type siteServer struct {
	address netip.AddrPort
	weight  int
	// inRack servers are addressed by NAT, for they differ in their ports only;
	// all others by direct routing.
	inRack bool
}

// newSite is n services without checks.
func newSite(n int) *site {
	s := &site{}
	for i := range n {
		service := siteService{address: netip.AddrPortFrom(
			netip.AddrFrom4([4]byte{10, 0, 1, byte(1 + i/servicesPerVIP)}), uint16(firstPort+i%servicesPerVIP))}
		for j := range serversPerService {
			k := i*serversPerService + j
			address := netip.AddrFrom4([4]byte{10, byte(16 + k>>16), byte(k >> 8), byte(k)})
			service.servers = append(service.servers, siteServer{address: netip.AddrPortFrom(address, service.address.Port()), weight: 1})
		}
		s.services = append(s.services, service)
	}
	return s
}

// withRack puts real servers into the rack, as evenly over the services as can
// be, and checks on them.
func (s *site) withRack(checks siteChecks) *site {
	s.checks = checks
	for k := range min(rackServers, len(s.services)*serversPerService) {
		server := &s.services[k%len(s.services)].servers[k/len(s.services)]
		server.address = netip.AddrPortFrom(rackAddress, uint16(firstPort+k))
		server.inRack = true
	}
	return s
}

// withChecks has every real server checked.
func (s *site) withChecks(checks siteChecks, every time.Duration) *site {
	s.checks, s.every = checks, every
	return s
}

// checked reports whether a real server is.
func (s *site) checked(server siteServer) bool {
	return s.every != 0 || server.inRack && s.checks != noChecks
}

// interval is the time between two probes of a check.
func (s *site) interval() time.Duration {
	if s.every != 0 {
		return s.every
	}
	return checkInterval
}

// rack is how many real servers are in it.
func (s *site) rack() int {
	n := 0
	for _, service := range s.services {
		for _, server := range service.servers {
			if server.inRack {
				n++
			}
		}
	}
	return n
}

// servers are the addresses of all real servers.
func (s *site) servers() []netip.AddrPort {
	var all []netip.AddrPort
	for _, service := range s.services {
		for _, server := range service.servers {
			all = append(all, server.address)
		}
	}
	return all
}

// objects is how many virtual services and real servers there are.
func (s *site) objects() int { return len(s.services) * (1 + serversPerService) }

// last is the last service; its last real server is the last line of every
// contestant's file.
func (s *site) last() *siteService { return &s.services[len(s.services)-1] }

// vips are the addresses of the services.
func (s *site) vips() []netip.Addr {
	var all []netip.Addr
	for i := 0; i < len(s.services); i += servicesPerVIP {
		all = append(all, s.services[i].address.Addr())
	}
	return all
}

// routers is the one instance that both daemons have beside the services.
func (s *site) routers() []virtualRouter {
	return []virtualRouter{{name: "VI_1", vrid: 51, protocol: protocol{3, time.Second}, vips: s.vips()}}
}

func (s *site) lvsd(string) string {
	var b strings.Builder
	b.WriteString(lvsdConfig(s.routers()))
	for _, service := range s.services {
		fmt.Fprintf(&b, "[[virtual_service]]\naddress = %q\nprotocol = \"tcp\"\nscheduler = \"wlc\"\n", service.address)
		for _, server := range service.servers {
			if server.inRack {
				b.WriteString("forwarding = \"nat\"\n")
				break
			}
		}
		for _, server := range service.servers {
			fmt.Fprintf(&b, "\n  [[virtual_service.real_server]]\n  address = %q\n  weight = %d\n", server.address, server.weight)
			if s.checked(server) {
				kind := "tcp"
				if s.checks == everyHTTP {
					kind = "http"
				}
				fmt.Fprintf(&b, "    [virtual_service.real_server.check]\n    type = %q\n    interval = %q\n    timeout = %q\n    fall = 1\n",
					kind, s.interval(), checkTimeout)
			}
			if server.inRack && s.checks == oneVerdict {
				fmt.Fprintf(&b, "    port = %d\n", rackPort)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// keepalived is its file; verdict is the file that decides for the rack. It takes
// a retry of 0 from checkers only, not from services.
func (s *site) keepalived(verdict string) string {
	var b strings.Builder
	b.WriteString(keepalivedConfig(s.routers()))
	if s.checks == oneVerdict {
		fmt.Fprintf(&b, "track_file rack {\n file %q\n weight 0\n init_file 0 overwrite\n}\n", verdict)
	}
	for _, service := range s.services {
		fmt.Fprintf(&b, "virtual_server %v %d {\n delay_loop %g\n lvs_sched wlc\n lvs_method %s\n protocol TCP\n",
			service.address.Addr(), service.address.Port(), s.interval().Seconds(), service.method("NAT", "DR"))
		for _, server := range service.servers {
			fmt.Fprintf(&b, " real_server %v %d {\n  weight %d\n  inhibit_on_failure\n", server.address.Addr(), server.address.Port(), server.weight)
			switch {
			case !s.checked(server):
			case s.checks == everyHTTP:
				fmt.Fprintf(&b, "  HTTP_GET {\n   url {\n    path /\n    status_code 200\n   }\n   retry 0\n   connect_timeout %g\n  }\n", checkTimeout.Seconds())
			case s.checks == oneVerdict:
				b.WriteString("  FILE_CHECK {\n   track_file rack\n   weight 0\n  }\n")
			default:
				fmt.Fprintf(&b, "  TCP_CHECK {\n   retry 0\n   connect_timeout %g\n  }\n", checkTimeout.Seconds())
			}
			b.WriteString(" }\n")
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// ipvsadm is what "ipvsadm -R" reads.
func (s *site) ipvsadm(string) string {
	var b strings.Builder
	for _, service := range s.services {
		fmt.Fprintf(&b, "-A -t %v -s wlc\n", service.address)
		for _, server := range service.servers {
			fmt.Fprintf(&b, "-a -t %v -r %v %s -w %d\n", service.address, server.address, service.method("-m", "-g"), server.weight)
		}
	}
	return b.String()
}

// method is the forwarding method of a service in somebody's words.
func (s siteService) method(nat, dr string) string {
	for _, server := range s.servers {
		if server.inRack {
			return nat
		}
	}
	return dr
}

// prepare gives the host what the site needs beside the services: the addresses
// of the real servers that are checked.
func (s *site) prepare(h *lab.Host) {
	addresses := netip.PrefixFrom(rackAddress, rackAddress.BitLen())
	if s.every != 0 {
		addresses = serverNetwork
	}
	if s.checks != noChecks {
		h.Run("ip", "route", "add", "local", addresses.String(), "dev", "lo")
	}
}
