package integration

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
)

const (
	// innerLink is the interface in the network behind a director.
	innerLink = "eth1"
	// firstServer is the first real server's number in its network.
	firstServer = 11
	// guePort is where the real servers listen for GUE.
	guePort = 6080
)

var serverNames = []string{"one", "two"}

// family has a host's address in each family.
type family struct{ ipv4, ipv6 netip.Addr }

// outer and inner are the addresses of host n in the network of the clients,
// and in that of real servers behind a director.
func outer(n int) family { return network(1, n) }
func inner(n int) family { return network(2, n) }

func network(number, n int) family {
	return family{
		netip.AddrFrom4([4]byte{10, byte(number), 0, byte(n)}),
		netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::%d", number, n)),
	}
}

// of returns the address in the family of another one.
func (f family) of(other netip.Addr) netip.Addr {
	if other.Is6() {
		return f.ipv6
	}
	return f.ipv4
}

// rack is a client, a director and two real servers.
type rack struct {
	*lab.Lab
	t                *testing.T
	client, director *lab.Host
	servers          [2]*lab.Host
	wires            [2]*lab.Wire
	// addresses are those of the servers.
	addresses [2]family
}

// newRack makes the hosts of a rack, all in the network of the clients.
func newRack(t *testing.T) *rack {
	r := emptyRack(t)
	for i, name := range serverNames {
		r.addresses[i] = outer(firstServer + i)
		r.servers[i] = r.host(name, r.addresses[i])
		r.wires[i] = r.servers[i].Watch(lab.LinkName, guePort)
	}
	return r
}

// newRackBehind makes a rack whose real servers are in a network of their own
// behind the director.
func newRackBehind(t *testing.T) *rack {
	r := emptyRack(t)
	network := r.Segment("in")
	r.plug(network, r.director, inner(1))
	for i, name := range serverNames {
		r.addresses[i] = inner(firstServer + i)
		r.servers[i] = r.Host(name, fmt.Sprintf("10.9.0.%d/24", i+1))
		r.plug(network, r.servers[i], r.addresses[i])
		r.wires[i] = r.servers[i].Watch(innerLink, guePort)
	}
	return r
}

func emptyRack(t *testing.T) *rack {
	lab.Require(t, lab.NeedNetns, lab.NeedIPVS)
	r := &rack{Lab: lab.New(t), t: t}
	r.client = r.host("client", outer(2))
	r.director = r.host("director", outer(1))
	return r
}

func (r *rack) host(name string, address family) *lab.Host {
	r.t.Helper()
	h := r.Host(name, address.ipv4.String()+"/24")
	settle(h, lab.LinkName, address)
	return h
}

func (r *rack) plug(network *lab.Segment, h *lab.Host, address family) {
	r.t.Helper()
	network.Plug(h, innerLink, address.ipv4.String()+"/24")
	settle(h, innerLink, address)
}

// settle gives an interface its IPv6 address.
func settle(h *lab.Host, link string, address family) {
	h.Run("ip", "address", "add", address.ipv6.String()+"/64", "dev", link, "nodad")
}

// lvsd runs lvsd on a host until the test ends, and waits until it has these
// addresses.
func (r *rack) lvsd(h *lab.Host, text string, addresses ...netip.Addr) *lab.Daemon {
	r.t.Helper()
	path := filepath.Join(r.Dir(h.Name), "lvsd.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	run := r.Dir(h.Name, "run")
	daemon := h.Start(lab.Command{
		Name: "lvsd", Args: []string{relay.Binary(r.t), "run", "-c", path, "--run-dir", run, "--state-dir", run},
	})
	r.WaitFor(h.Name+" to have its VIPs", func() error {
		if !daemon.Running() {
			r.t.Fatalf("%s: lvsd ended: %s", h.Name, daemon.Output())
		}
		have := h.Run("ip", "-o", "address")
		for _, a := range addresses {
			if !strings.Contains(have, " "+netip.PrefixFrom(a, a.BitLen()).String()+" ") {
				return fmt.Errorf("%s is not there:\n%s", a, have)
			}
		}
		return nil
	})
	return daemon
}

// patience is how long one request may take.
func (r *rack) patience() time.Duration { return r.Scaled(10 * time.Second) }

// instance is the beginning of a director's file: one that has all VIPs.
func instance(vips ...netip.Addr) string {
	ipv6 := func(a netip.Addr) bool { return a.Is6() }
	ipv4 := slices.DeleteFunc(slices.Clone(vips), ipv6)
	others := slices.DeleteFunc(slices.Clone(vips), netip.Addr.Is4)
	return fmt.Sprintf(`
[sysctl]
manage = true

[[vrrp]]
name = "rack"
interface = %q
vrid = 20
advert_interval = "200ms"
settle = "0s"
vips = [%s]
excluded_vips = [%s]
`, lab.LinkName, quoted(ipv4), quoted(others))
}

// quoted is a list of addresses for the file.
func quoted(addresses []netip.Addr) string {
	var texts []string
	for _, a := range addresses {
		texts = append(texts, strconv.Quote(a.String()))
	}
	return strings.Join(texts, ", ")
}

// both lists the addresses of both families.
func both(hosts ...family) []netip.Addr {
	var all []netip.Addr
	for _, h := range hosts {
		all = append(all, h.ipv4, h.ipv6)
	}
	return all
}

// version is "ipv4" or "ipv6".
func version(a netip.Addr) string {
	if a.Is6() {
		return "ipv6"
	}
	return "ipv4"
}
