package integration

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestMasquerading: NAT with the director as the real servers' gateway, by a VIP
// on their side. The servers see the client's own address.
func TestMasquerading(t *testing.T) {
	r := newRackBehind(t)
	gateway := inner(254)
	for _, server := range r.servers {
		server.Run("ip", "route", "add", "default", "via", gateway.ipv4.String())
		server.Run("ip", "-6", "route", "add", "default", "via", gateway.ipv6.String())
	}
	var flows []flow
	for _, vip := range both(outer(100)) {
		for _, f := range []flow{
			{name: "tcp", bytes: long},
			{name: "udp", protocol: lab.UDP, ask: datagramsStay},
			{name: "sctp", protocol: lab.SCTP},
			{name: "one packet", protocol: lab.UDP, options: "one_packet = true\n", ask: repliesPastTheDirector},
		} {
			f.name, f.vip = version(vip)+" "+f.name, vip
			f.options += "forwarding = \"nat\"\n"
			f.layers = version(vip) + " " + cmp.Or(f.protocol, lab.TCP)
			f.to, f.mapped = servers(vip), mappedPort
			flows = append(flows, f)
		}
	}
	flows = numbered(flows)
	r.serve(flows)
	text := instance(both(outer(100))...)
	// The VIPs on the servers' side are of the same instance.
	text = strings.Replace(text, "excluded_vips = [", fmt.Sprintf(
		"excluded_vips = [{ address = %q, interface = %q }, { address = %q, interface = %[2]q }, ",
		gateway.ipv4, innerLink, gateway.ipv6), 1)
	r.lvsd(r.director, text+services(r, flows), both(outer(100), gateway)...)
	r.run(flows)
}

// repliesPastTheDirector: IPVS has forgotten the connection of a single packet
// when the reply comes, and lets that pass as it is.
func repliesPastTheDirector(t *testing.T, r *rack, f flow) {
	t.Helper()
	var conn net.PacketConn
	err := r.client.Do(func() (err error) {
		conn, err = net.ListenPacket("udp", netip.AddrPortFrom(outer(2).of(f.vip), 0).String())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(r.patience())); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.WriteTo(make([]byte, f.bytes), net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.vip, f.port))); err != nil {
		t.Fatal(err)
	}
	_, from, err := conn.ReadFrom(make([]byte, 512))
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.servers {
		if from.String() == f.local(r, i).String() {
			return
		}
	}
	t.Errorf("the reply came from %s, want it from a real server", from)
}

// TestOneArmedNAT: client and real servers share a network, so that replies go
// past the director unless it hides the client.
func TestOneArmedNAT(t *testing.T) {
	r := newRack(t)
	vips := both(outer(100))
	var flows []flow
	for _, vip := range vips {
		own, another := outer(1).of(vip), outer(200).of(vip)
		for _, f := range []flow{
			{name: "without snat", ask: neverConnects},
			{name: "snat", options: "snat = true\n", hidden: own, bytes: long},
			{name: "snat, udp", protocol: lab.UDP, options: "snat = true\n", hidden: own},
			{name: "snat, sctp", protocol: lab.SCTP, options: "snat = true\n", hidden: own},
			{name: "snat to an address", options: fmt.Sprintf("snat = %q\n", another), hidden: another},
		} {
			f.name, f.vip = version(vip)+" "+f.name, vip
			f.options += "forwarding = \"nat\"\n"
			f.layers = version(vip) + " " + cmp.Or(f.protocol, lab.TCP)
			f.to, f.mapped = servers(vip), mappedPort
			if hidden := f.hidden; hidden.IsValid() {
				f.from = func(*rack, int) netip.Addr { return hidden }
			}
			flows = append(flows, f)
		}
	}
	flows = numbered(flows)
	r.director.Run("ip", "address", "add", outer(200).ipv4.String()+"/32", "dev", lab.LinkName)
	// The kernel would rather take one with all 128 bits for what has no source.
	r.director.Run("ip", "address", "add", outer(200).ipv6.String()+"/128", "dev", lab.LinkName, "nodad", "preferred_lft", "0")
	r.serve(flows)
	r.lvsd(r.director, instance(vips...)+services(r, flows), vips...)
	r.run(flows)
}

// neverConnects: the real server gets the request, and the client refuses an
// answer from an address that it has not asked.
func neverConnects(t *testing.T, r *rack, f flow) {
	t.Helper()
	target := netip.AddrPortFrom(f.vip, f.port)
	conn, err := r.client.Dial(f.protocol, outer(2).of(f.vip), target, 2*time.Second)
	if err == nil {
		_ = conn.Close()
		t.Error("the connection came about although replies go past the director")
	}
}
