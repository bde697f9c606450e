package integration

import (
	"cmp"
	"fmt"
	"net/netip"
	"testing"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestDirectRouting: every kind of service over both families, by DR to real
// servers that run lvsd themselves to accept the VIPs.
func TestDirectRouting(t *testing.T) {
	r := newRack(t)
	vips := both(outer(100), outer(101), outer(102))
	flows := numbered(append(directFlows(outer(100).ipv4), directFlows(outer(100).ipv6)...))
	for _, server := range r.servers {
		r.lvsd(server, "[[accept]]\nvips = ["+quoted(vips)+"]\n", vips...)
	}
	r.serve(flows)
	r.lvsd(r.director, instance(vips...)+services(r, flows), vips...)
	r.run(flows)
}

// directFlows are the flows of one family, that of vip.
func directFlows(vip netip.Addr) []flow {
	mark := 1
	if vip.Is6() {
		mark = 2
	}
	another, marked := outer(101).of(vip), outer(102).of(vip)
	flows := []flow{
		{name: "tcp", bytes: long},
		{name: "udp", protocol: lab.UDP, ask: datagramsStay},
		{name: "one packet", protocol: lab.UDP, options: "one_packet = true\n", ask: datagramsSpread},
		{name: "sctp", protocol: lab.SCTP},
		{name: "persistence", options: "persistence = { timeout = \"60s\" }\n", ask: reachesOne},
		{name: "source hash", options: "scheduler = \"sh\"\n", ask: reachesOne},
		{name: "source hash with ports", options: "scheduler = \"sh\"\nscheduler_flags = [\"sh-port\"]\n", ask: reachesBothSometime},
		{
			name: "group", service: fmt.Sprintf("addresses = [%s]\nports = [\"PORT-PORT+1\"]\nprotocol = \"tcp\"\n",
				quoted([]netip.Addr{vip, another})),
		},
		{name: "group, second port", service: "-", extra: 1},
		{name: "group, second address", service: "-", vip: another},
		{name: "group, second of both", service: "-", vip: another, extra: 1},
		{
			name: "firewall mark", vip: marked, service: fmt.Sprintf(
				"firewall_mark = %d\nfamily = %q\nmark_traffic = [{ vip = %q, protocol = \"tcp\", ports = [PORT] }]\n",
				mark, version(vip), marked),
		},
		{
			name: "firewall mark, udp", protocol: lab.UDP, vip: marked, ask: datagramsStay, service: fmt.Sprintf(
				"firewall_mark = %d\nfamily = %q\nmark_traffic = [{ vip = %q, protocol = \"udp\", ports = [PORT] }]\n",
				mark+10, version(vip), marked),
		},
	}
	for i := range flows {
		f := &flows[i]
		if !f.vip.IsValid() {
			f.vip = vip
		}
		f.name = version(f.vip) + " " + f.name
		f.layers = version(f.vip) + " " + cmp.Or(f.protocol, lab.TCP)
	}
	return flows
}

// datagramsStay: all datagrams of one socket go to one server.
func datagramsStay(t *testing.T, r *rack, f flow) {
	t.Helper()
	if n := len(r.fromOneSocket(t, f)); n != 1 {
		t.Errorf("%d servers answered the datagrams of one socket, want one", n)
	}
	reachesBoth(t, r, f)
}

// datagramsSpread: each datagram is scheduled by itself.
func datagramsSpread(t *testing.T, r *rack, f flow) {
	t.Helper()
	if n := len(r.fromOneSocket(t, f)); n != len(r.servers) {
		t.Errorf("%d servers answered the datagrams of one socket, want %d", n, len(r.servers))
	}
}

func (r *rack) fromOneSocket(t *testing.T, f flow) map[string]int {
	t.Helper()
	target := netip.AddrPortFrom(f.vip, f.port)
	conn, err := r.client.Dial(f.protocol, outer(2).of(f.vip), target, r.patience())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	seen := map[string]int{}
	for range asked {
		answer, err := lab.Ask(conn, f.bytes, r.patience())
		if err != nil {
			t.Fatal(err)
		}
		r.expect(t, f, answer)
		seen[answer.Server]++
	}
	return seen
}

// reachesBothSometime is for what goes by the client's port: it takes another
// one for each connection.
func reachesBothSometime(t *testing.T, r *rack, f flow) {
	t.Helper()
	const most = 64
	seen := map[string]bool{}
	for range most {
		seen[r.answered(t, f)] = true
		if len(seen) == len(r.servers) {
			return
		}
	}
	t.Errorf("all of %d connections went to one server", most)
}
