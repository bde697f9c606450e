package integration

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// wrapping is one form of packet to a real server in a tunnel.
type wrapping struct {
	name, options string
	// layers are the headers between the outer and the inner IP header.
	layers string
	// longer is how many bytes they have.
	longer int
	// device, of a kind by outer family, is what real servers need beside what
	// accepting tunnels gives them.
	device map[string]string
}

var wrappings = []wrapping{
	{name: "ipip", options: "encapsulation = \"ipip\"\n"},
	{name: "gre", options: "encapsulation = \"gre\"\n", layers: "gre ", longer: 4},
	{
		name: "gre with checksum", options: "encapsulation = \"gre\"\ntunnel_checksum = \"checksum\"\n",
		layers: "gre checksum ", longer: 8, device: map[string]string{"ipv4": "gre", "ipv6": "ip6gre"},
	},
	{name: "gue", options: gue(""), layers: "udp gue ", longer: 12},
	{name: "gue with checksum", options: gue("tunnel_checksum = \"checksum\"\n"), layers: "udp checksum gue ", longer: 12},
	{name: "gue with remote checksum", options: gue("tunnel_checksum = \"remote\"\n"), layers: "udp checksum gue private ", longer: 20},
}

func gue(more string) string {
	return fmt.Sprintf("encapsulation = \"gue\"\ngue_port = %d\n", guePort) + more
}

// linkMTU is that of every interface.
const linkMTU = 1500

// header is the length of the outer IP header.
func header(a netip.Addr) int {
	if a.Is6() {
		return 40
	}
	return 20
}

// acceptTunnels makes a host a real server behind all tunnels.
func acceptTunnels(vips []netip.Addr) string {
	return fmt.Sprintf(`
[[accept]]
vips = [%s]
forwarding = "tun"
encapsulations = ["ipip", "gre", "gue"]
gue_port = %d
over = ["ipv4", "ipv6"]
`, quoted(vips), guePort)
}

// TestTunnels: each encapsulation within and between the families. Requests are
// longer than a packet, so that the client has to learn how long one may be.
func TestTunnels(t *testing.T) {
	r := newRack(t)
	vips := both(outer(100))
	flows := numbered(tunnelFlows())
	for _, server := range r.servers {
		r.lvsd(server, acceptTunnels(vips), vips...)
	}
	r.serve(flows)
	r.lvsd(r.director, instance(vips...)+services(r, flows), vips...)
	r.run(flows)
}

func tunnelFlows() []flow {
	var flows []flow
	for _, vip := range both(outer(100)) {
		for _, over := range both(outer(firstServer)) {
			for _, form := range wrappings {
				mtu := linkMTU - header(over) - form.longer
				flows = append(flows, flow{
					name: fmt.Sprintf("%s over %s, %s", version(vip), version(over), form.name),
					vip:  vip, over: over, bytes: long,
					options: "forwarding = \"tun\"\n" + form.options,
					layers:  version(over) + " " + form.layers + version(vip) + " tcp",
					to:      servers(over), from: directors(over),
					ask: func(t *testing.T, r *rack, f flow) {
						if kind, needed := form.device[version(over)]; needed {
							neverConnects(t, r, f)
							r.addDevices(t, kind, f)
						}
						learns(t, r, f, mtu)
					},
				})
			}
		}
	}
	return flows
}

// learns asks with requests of several packets: the director tells the client
// how long one may be.
func learns(t *testing.T, r *rack, f flow, mtu int) {
	t.Helper()
	r.forgetMTU()
	reachesBoth(t, r, f)
	if got := r.learnedMTU(f.vip); got != fmt.Sprint(mtu) {
		t.Errorf("the client has learned that a packet may have %q bytes, want %d", got, mtu)
	}
}

// addDevices gives the real servers a device that takes GRE with checksums from
// the director, until the test ends: the fallback device drops what has one, and
// this one what has none.
func (r *rack) addDevices(t *testing.T, kind string, f flow) {
	t.Helper()
	const name = "sums"
	for i, server := range r.servers {
		server.Run("ip", "link", "add", name, "type", kind, "icsum",
			"local", r.addresses[i].of(f.over).String(), "remote", outer(1).of(f.over).String())
		server.Run("ip", "link", "set", name, "up")
		t.Cleanup(func() { server.Run("ip", "link", "delete", name) })
	}
}

func (r *rack) forgetMTU() {
	r.t.Helper()
	r.client.Run("ip", "-4", "route", "flush", "cache")
	r.client.Run("ip", "-6", "route", "flush", "cache")
}

var routeMTU = regexp.MustCompile(` mtu ([0-9]+)`)

// learnedMTU is that of the client's path to an address; empty if it knows no
// other than its interface's.
func (r *rack) learnedMTU(to netip.Addr) string {
	r.t.Helper()
	found := routeMTU.FindStringSubmatch(r.client.Run("ip", "route", "get", to.String()))
	if found == nil {
		return ""
	}
	return found[1]
}

// TestTunnelsWithoutPathMTUDiscovery: the director cuts packets of IPv4 up, and
// clients learn nothing.
func TestTunnelsWithoutPathMTUDiscovery(t *testing.T) {
	r := newRack(t)
	vips := both(outer(100))
	var flows []flow
	for _, f := range tunnelFlows() {
		if f.vip.Is4() && !strings.Contains(f.name, "checksum") {
			f.ask = func(t *testing.T, r *rack, f flow) {
				t.Helper()
				r.forgetMTU()
				reachesBoth(t, r, f)
				if got := r.learnedMTU(f.vip); got != "" {
					t.Errorf("the client has learned that a packet may have %s bytes, want nothing", got)
				}
			}
			flows = append(flows, f)
		}
	}
	flows = numbered(flows)
	for _, server := range r.servers {
		r.lvsd(server, acceptTunnels(vips), vips...)
	}
	r.serve(flows)
	r.lvsd(r.director, "[ipvs.sysctl]\npmtu_disc = 0\n"+instance(vips...)+services(r, flows), vips...)
	r.run(flows)
}
