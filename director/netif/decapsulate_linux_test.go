package netif

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

const gueNumber = 6080

// decapsulations is every kind there is.
func decapsulations() []Decapsulation {
	var all []Decapsulation
	for _, outer := range []bool{false, true} {
		for _, inner := range []bool{false, true} {
			all = append(all,
				Decapsulation{IPIP, outer, inner, 0},
				Decapsulation{GRE, outer, inner, 0},
				Decapsulation{GUE, outer, inner, gueNumber})
		}
	}
	return all
}

// TestDecapsulation has a director send a datagram to a VIP through each kind of
// tunnel: a socket of the real server receives it while the decapsulation is in
// force, and not after. In the VM only: few other kernels have all modules.
func TestDecapsulation(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	for _, d := range decapsulations() {
		t.Run(fmt.Sprintf("%s outer %s inner %s", d.Encapsulation, familyName(d.OuterIPv6), familyName(d.InnerIPv6)), func(t *testing.T) {
			director, server := newTunnelPair(t)
			server.enter(t)
			conn, err := Open()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(conn.Close)
			for range 2 {
				if err := conn.AddDecapsulation(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
			if all := listTunnels(t, conn); !slices.Contains(all, d) {
				t.Fatalf("in force %v, want %v among them", all, d)
			}
			server.trust(t, d)
			socket := receiver(t, d.InnerIPv6)
			director.enter(t)
			exchange(t, d, socket)

			server.enter(t)
			for range 2 {
				if err := conn.DeleteDecapsulation(d, false); err != nil {
					t.Fatal(err)
				}
			}
			if all := listTunnels(t, conn); len(all) > 0 {
				t.Errorf("in force after Delete: %v", all)
			}
		})
	}
}

// TestDecapsulationDeviceStays: a device that another tunnel needs stays up.
func TestDecapsulationDeviceStays(t *testing.T) {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	_, server := newTunnelPair(t)
	server.enter(t)
	conn, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	plain, gue := Decapsulation{Encapsulation: IPIP}, Decapsulation{Encapsulation: GUE, Port: gueNumber}
	for _, d := range []Decapsulation{plain, gue} {
		if err := conn.AddDecapsulation(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.DeleteDecapsulation(gue, true); err != nil {
		t.Fatal(err)
	}
	if all := listTunnels(t, conn); !slices.Equal(all, []Decapsulation{plain}) {
		t.Errorf("in force %v, want %v", all, plain)
	}
}

// TestDecapsulationWithoutModule names the module that is missing.
func TestDecapsulationWithoutModule(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	newTunnelPair(t)
	conn, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if len(listTunnels(t, conn)) > 0 {
		t.Error("tunnels in a new namespace")
	}
	for _, d := range decapsulations() {
		module := fallbackModules[d.Device()]
		if d.Encapsulation == GUE {
			module = "fou"
		}
		err := conn.AddDecapsulation(t.Context(), d)
		if err != nil && !strings.Contains(err.Error(), "modprobe "+module) {
			t.Errorf("%+v: error %v, want one that names the module %s", d, err, module)
		}
		if err := conn.DeleteDecapsulation(d, false); err != nil {
			t.Errorf("%+v: delete: %v", d, err)
		}
	}
}

func TestParsePort(t *testing.T) {
	attribute := func(kind uint16, value ...byte) []byte {
		b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
		b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
		return append(b, make([]byte, (4-len(b)%4)%4)...)
	}
	answer := slices.Concat(attribute(fouPort, 0x17, 0xc0), attribute(fouFamily, unix.AF_INET6), attribute(fouType, fouGUE))
	if port, gue, err := parsePort(answer); port != (guePort{true, 6080}) || !gue || err != nil {
		t.Errorf("%v, %v, %v", port, gue, err)
	}
	if _, gue, err := parsePort(attribute(fouType, 1)); gue || err != nil {
		t.Errorf("a port of another encapsulation: %v, %v", gue, err)
	}
}

func familyName(ipv6 bool) string {
	if ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

func listTunnels(t *testing.T, conn *Conn) []Decapsulation {
	t.Helper()
	all, err := conn.Decapsulations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestVIPOnLoopback: VIPs of a real server stand on lo, can be the source of
// what its sockets send, and go again.
func TestVIPOnLoopback(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	newTunnelPair(t)
	conn, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for ipv6, addr := range tunnelledVIP {
		vip := HostVIP("lo", addr)
		holds := func() bool {
			all, err := conn.Addresses(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return slices.Contains(all, vip)
		}
		if !holds() {
			t.Errorf("%v is not listed as it was added", vip)
		}
		if err := conn.Add(vip); err != nil {
			t.Errorf("again: %v", err)
		}
		socket := receiver(t, ipv6)
		_, to := socketAddress(outerAddress[ipv6][1], 9)
		if err := unix.Sendto(socket, []byte("reply"), 0, to); err != nil {
			t.Errorf("reply from %v: %v", addr, err)
		}
		if err := conn.Delete(vip.Address); err != nil || holds() {
			t.Errorf("after Delete: %v, listed %v", err, holds())
		}
	}
}
