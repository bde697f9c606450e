package config

import (
	"fmt"
	"net/netip"

	"github.com/lvsd/lvsd/director/ipvs"
)

// maxGroup is the most virtual services that one table makes: more is taken for
// a slip in a range.
const maxGroup = 4096

var (
	protocols = map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP, "sctp": ipvs.SCTP}
	families  = map[string]ipvs.Family{"ipv4": ipvs.IPv4, "ipv6": ipvs.IPv6}
)

// front is what clients connect to: one virtual service, or a group with every
// combination of addresses and ports.
type front struct {
	// keys are those of the services; the first stands for all where they do
	// not differ. There is always one, the zero key if none could be read.
	keys []ipvs.ServiceKey
	// ports are those of the keys, once each.
	ports []uint16
	// vips are the addresses, and those of packets that get the mark.
	vips []located[netip.Addr]
}

// readFront reads what identifies the service: protocol with addresses and
// ports, or family and firewall mark.
func readFront(t *table) front {
	address := read(t, "address", kinds.endpoint)
	addresses, wholeAddresses := readList(t, "addresses", kinds.addressRange, "required, or address")
	ports, wholePorts := readList(t, "ports", kinds.portRange, "required with addresses")
	protocol := read(t, "protocol", kinds.protocol)
	mark := read(t, "firewall_mark", kinds.mark)
	family := read(t, "family", kinds.family)
	single := address.orElse(target{}, "required, or addresses or firewall_mark")
	key := ipvs.ServiceKey{
		Family:   families[family.or("ipv4")],
		Protocol: protocols[protocol.orElse("", "required with address")],
		Mark:     uint32(mark.orElse(0, "required, or address")),
	}
	grouped := t.has("addresses")
	switch {
	case mark.set:
		checkMarked(t)
		key.Protocol = 0
		return front{keys: []ipvs.ServiceKey{key}, ports: []uint16{0}}
	case !address.set && !grouped:
		t.missing("address", "ADDRESS:PORT, or firewall_mark")
	case address.set && grouped:
		t.failKey(t.at("addresses"), "the service has an address too, expected either address or addresses")
	case family.set:
		t.failKey(t.at("family"), "the address has a family, expected family only with firewall_mark")
	case !protocol.set:
		t.missing("protocol", protocol.kind.expected+": there is no default protocol")
	}
	wantElements(t, "addresses", addresses, wholeAddresses)
	wantElements(t, "ports", ports, wholePorts)
	checkPorts(t, single, ports)
	if !grouped && single.addr.IsValid() {
		addresses = []located[addressRange]{{addressRange{single.addr, single.addr}, t.at("address")}}
	}
	if !t.has("ports") && single.hasPort {
		ports = []located[portRange]{{portRange{single.port, single.port}, t.at("address")}}
	}
	return newFront(t, key, addresses, ports)
}

// checkMarked reports what a service by firewall mark does not have.
func checkMarked(t *table) {
	for _, key := range []string{"address", "addresses"} {
		if t.has(key) {
			t.failKey(t.at("firewall_mark"), "the service has an address too, expected either %s or firewall_mark", key)
			return
		}
	}
	if t.has("protocol") {
		t.failKey(t.at("protocol"), "a firewall mark selects packets of every protocol, expected no protocol")
	}
	if t.has("ports") {
		t.failKey(t.at("ports"), "a firewall mark selects packets to every port, expected ports only in mark_traffic")
	}
}

// checkPorts reports ports that are missing, there twice, or every port at once.
func checkPorts(t *table, single target, ports []located[portRange]) {
	switch {
	case t.has("ports") && single.hasPort:
		t.failKey(t.at("ports"), "the address has a port too, expected either ports or ADDRESS:PORT")
	case t.has("ports"):
	case t.has("addresses"):
		t.missing("ports", "the ports of the addresses")
	case single.addr.IsValid() && !single.hasPort:
		t.fail(t.at("address"), `"%s" has no port, expected ADDRESS:PORT, or ports`, single.addr)
	case single.addr.IsValid() && single.port == 0 && !t.has("persistence"):
		t.fail(t.at("address"), "port 0 is every port, expected a port, or persistence to keep a client's ports together")
	}
	for _, p := range ports {
		if p.value.first == 0 && (!t.has("persistence") || len(ports) > 1) {
			t.fail(p.at, "port 0 is every port, expected it alone, and with persistence to keep a client's ports together")
		}
	}
}

// newFront makes the keys of every combination of addresses and ports.
func newFront(t *table, key ipvs.ServiceKey, addresses []located[addressRange], ports []located[portRange]) front {
	var f front
	count := total(addresses)
	if count*total(ports) > maxGroup {
		t.fail(t.at("addresses"), "with the ports it makes more than %d services, expected at most that in one table", maxGroup)
		addresses, ports = nil, nil
	}
	for _, p := range ports {
		for n := range p.value.count() {
			f.ports = append(f.ports, p.value.first+uint16(n))
		}
	}
	f.vips = make([]located[netip.Addr], 0, count)
	for _, a := range addresses {
		addr := a.value.first
		if first := addresses[0].value.first; familyOf(addr) != familyOf(first) {
			t.fail(a.at, "%s is %s and %s is %s, expected one family: two make two services", addr, familyOf(addr), first, familyOf(first))
		}
		for range a.value.count() {
			f.vips = append(f.vips, located[netip.Addr]{addr, a.at})
			addr = addr.Next()
		}
	}
	f.makeKeys(key)
	if len(f.keys) > 1 {
		checkOnce(t, f.vips)
		checkOverlap(t, ports)
	}
	return f
}

// makeKeys makes at least one key; a service that could not be read has its
// family and protocol.
func (f *front) makeKeys(key ipvs.ServiceKey) {
	if len(f.vips) > 0 {
		key.Family = familyNumber(f.vips[0].value)
	}
	f.keys = make([]ipvs.ServiceKey, 0, max(1, len(f.vips)*len(f.ports)))
	for _, vip := range f.vips {
		for _, port := range f.ports {
			key.Address = netip.AddrPortFrom(vip.value, port)
			f.keys = append(f.keys, key)
		}
	}
	if len(f.keys) == 0 {
		f.keys = append(f.keys, key)
	}
}

// readable reports whether the service could be read as far as its family.
func (f front) readable() bool { return f.keys[0].Mark != 0 || f.keys[0].Address.IsValid() }

func familyNumber(a netip.Addr) ipvs.Family {
	if a.Is4() {
		return ipvs.IPv4
	}
	return ipvs.IPv6
}

// counted is a range of something.
type counted interface{ count() int }

func total[R counted](list []located[R]) (sum int) {
	for _, l := range list {
		sum += l.value.count()
	}
	return sum
}

// checkOnce reports addresses that a list holds twice, the first of each range.
func checkOnce(t *table, addresses []located[netip.Addr]) {
	first := make(seen[netip.Addr])
	var reported path
	for _, a := range addresses {
		if a.at != reported && first.again(t, a.value, a.at, "%v is already in the list", a.value) {
			reported = a.at
		}
	}
}

// checkOverlap reports ranges of ports that share some.
func checkOverlap(t *table, ports []located[portRange]) {
	for n, p := range ports {
		for _, o := range ports[:n] {
			if p.value.first <= o.value.last && o.value.first <= p.value.last {
				t.fail(p.at, "%v shares ports with %v (line %d), expected each only once", p.value, o.value, t.line(o.at))
				break
			}
		}
	}
}

func serviceName(key ipvs.ServiceKey) string {
	switch {
	case key.Mark != 0 && key.Family == ipvs.IPv6:
		return fmt.Sprintf("mark %d IPv6", key.Mark)
	case key.Mark != 0:
		return fmt.Sprintf("mark %d", key.Mark)
	default:
		return key.Protocol.String() + " " + key.Address.String()
	}
}
