package ipvsadm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/director/ipvs"
)

// randomStates is how many random kernel states are compared, each in every
// format: half of them with numbers, half with names.
const randomStates = 6

// TestRandomStatesAgainstIPVSADM compares every format for random kernel states,
// with numbers and with names of hosts that are too long for their columns.
func TestRandomStatesAgainstIPVSADM(t *testing.T) {
	c := openInNamespace(t)
	info, err := c.Info()
	fatal(t, err)
	for seed := range randomStates {
		state := randomState().Example(seed)
		fatal(t, errors.Join(c.Change(making(state))...))
		services, err := c.Services()
		fatal(t, err)
		if len(services) != len(state) {
			t.Fatalf("state %d: %d services, want %d", seed, len(services), len(state))
		}
		compareFormats(t, fmt.Sprintf("state %d", seed), seed%2 == 0, info, services)
		compareGlance(t, c, services)
		fatal(t, c.Flush())
		if t.Failed() {
			t.Fatalf("state %d: %+v", seed, state)
		}
	}
}

// making are the changes that make a table out of nothing.
func making(table []ipvs.ServiceEntry) []ipvs.Change {
	var changes []ipvs.Change
	for _, s := range table {
		changes = append(changes, ipvs.Change{Command: ipvs.AddService, Service: s.Service})
		for _, d := range s.Destinations {
			changes = append(changes, ipvs.Change{
				Command: ipvs.AddDestination, Service: s.Service, Destination: d.Destination,
			})
		}
	}
	return changes
}

// formats are the options of a table, as ipvsadm's and as ours.
var formats = map[string]Columns{
	"": Connections, "--stats": Stats, "--rate": Rate, "--thresholds": Thresholds,
	"--persistent-conn": Persistent, "--tun-info": Tunnel,
}

// compareGlance finds the default columns in the cheap reading of a table too.
// It does not know Bypass.
func compareGlance(t *testing.T, c *ipvs.Client, services []ipvs.ServiceEntry) {
	t.Helper()
	for i := range services {
		for j := range services[i].Destinations {
			if d := &services[i].Destinations[j]; d.Forwarding == ipvs.Bypass {
				d.Forwarding = ipvs.Masquerade
			}
		}
	}
	glance, err := c.Table()
	fatal(t, err)
	for _, o := range []Options{{}, {KernelOrder: true}} {
		var want, got bytes.Buffer
		fatal(t, WriteTable(&want, kernel, services, o))
		fatal(t, WriteTable(&got, kernel, glance, o))
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Errorf("the cheap reading differs (-complete +cheap)\n%s", diff)
		}
	}
}

// comparison is one listing, by ipvsadm's options and by this package.
type comparison struct {
	options string
	write   func(io.Writer) error
}

// compareFormats compares every combination of options, with numbers or with
// names.
func compareFormats(t *testing.T, name string, numeric bool, info ipvs.Info, services []ipvs.ServiceEntry) {
	t.Helper()
	hosts := randomHosts(services)
	comparisons := everyFormat("-n", Options{}, info, services)
	if !numeric {
		comparisons = everyFormat("", Options{Names: names{systemNames(t).(*SystemNames), hosts}}, info, services)
	}
	tables := ipvsadmWithHosts(t, hosts, comparisons)
	for i, c := range comparisons {
		var got bytes.Buffer
		fatal(t, c.write(&got))
		if diff := cmp.Diff(tables[i], got.String()); diff != "" {
			t.Errorf("%s: ipvsadm %s (-ipvsadm +got)\n%s", name, c.options, diff)
		}
	}
}

func everyFormat(numeric string, o Options, info ipvs.Info, services []ipvs.ServiceEntry) []comparison {
	all := []comparison{{"-S " + numeric, func(w io.Writer) error { return WriteRules(w, services, o) }}}
	for option, columns := range formats {
		for exact, e := range map[string]bool{"": false, "--exact": true} {
			for order, k := range map[string]bool{"": false, "--nosort": true} {
				o := Options{Names: o.Names, Columns: columns, Exact: e, KernelOrder: k}
				options := strings.Join([]string{"-L", numeric, option, exact, order}, " ")
				all = append(all, comparison{options, func(w io.Writer) error { return WriteTable(w, info, services, o) }})
			}
		}
		if len(services) > 0 {
			o, s := Options{Names: o.Names, Columns: columns}, services[len(all)%len(services)]
			options := strings.Join([]string{"-L", numeric, option, selector(s.ServiceKey)}, " ")
			all = append(all, comparison{options, func(w io.Writer) error { return WriteService(w, s, o) }})
		}
	}
	return all
}

// selector is the option of ipvsadm that selects a service.
func selector(k ipvs.ServiceKey) string {
	switch {
	case k.Mark != 0 && k.Family == ipvs.IPv6:
		return fmt.Sprintf("-f %d -6", k.Mark)
	case k.Mark != 0:
		return fmt.Sprintf("-f %d", k.Mark)
	default:
		return fmt.Sprintf("--%v-service %v", k.Protocol, k.Address)
	}
}

// randomHosts gives names to some of the addresses.
func randomHosts(services []ipvs.ServiceEntry) map[string]string {
	hosts := make(map[string]string)
	add := func(a netip.Addr) {
		if n := len(hosts); a.IsValid() && a.As16()[15]%2 == 0 {
			hosts[a.String()] = "h" + strings.Repeat("x", n*7%70) + ".example.com"
		}
	}
	for _, s := range services {
		add(s.Address.Addr())
		for _, d := range s.Destinations {
			add(d.Address.Addr())
		}
	}
	return hosts
}

// ipvsadmWithHosts runs ipvsadm for each comparison where only these hosts have
// names.
func ipvsadmWithHosts(t *testing.T, hosts map[string]string, comparisons []comparison) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hosts")
	var lines strings.Builder
	for _, address := range slices.Sorted(maps.Keys(hosts)) {
		fmt.Fprintln(&lines, address, hosts[address])
	}
	fatal(t, os.WriteFile(file, []byte(lines.String()), 0o600))
	const script = `mount --bind "$0" /etc/hosts && for options; do ipvsadm $options || exit; printf '\0'; done`
	arguments := []string{"--mount", "sh", "-c", script, file}
	for _, c := range comparisons {
		arguments = append(arguments, c.options)
	}
	command := exec.CommandContext(t.Context(), "unshare", arguments...)
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	tables := strings.Split(string(out), "\x00")
	if err != nil {
		t.Fatalf("ipvsadm %s: %v: %s", comparisons[len(tables)-1].options, err, &problems)
	}
	return tables
}

// randomState is a table that the kernel takes.
func randomState() *rapid.Generator[[]ipvs.ServiceEntry] {
	return rapid.Custom(func(t *rapid.T) []ipvs.ServiceEntry {
		key := func(s ipvs.ServiceEntry) ipvs.ServiceKey { return s.ServiceKey }
		return rapid.SliceOfNDistinct(rapid.Custom(drawService), 0, 12, key).Draw(t, "services")
	})
}

func drawService(t *rapid.T) ipvs.ServiceEntry {
	var s ipvs.ServiceEntry
	s.Family = rapid.SampledFrom([]ipvs.Family{ipvs.IPv4, ipvs.IPv6}).Draw(t, "family")
	if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
		s.Mark = rapid.Uint32Min(1).Draw(t, "mark")
	} else {
		s.Protocol = rapid.SampledFrom([]ipvs.Protocol{ipvs.TCP, ipvs.UDP, ipvs.SCTP}).Draw(t, "protocol")
		s.Address = netip.AddrPortFrom(drawAddress(t, s.Family), drawPort(t))
	}
	s.Scheduler = rapid.SampledFrom([]string{
		"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh",
	}).Draw(t, "scheduler")
	s.Flags = ipvs.Flags(rapid.IntRange(0, 7).Draw(t, "scheduler flags")) * ipvs.Sched1
	if rapid.Bool().Draw(t, "one packet") {
		s.Flags |= ipvs.OnePacket
	}
	s.Granularity = s.Family.Bits()
	if rapid.Bool().Draw(t, "persistent") {
		s.Flags |= ipvs.Persistent
		s.Timeout = time.Duration(rapid.IntRange(1, 31*24*3600).Draw(t, "timeout")) * time.Second
		s.Granularity = uint8(rapid.IntRange(1, int(s.Family.Bits())).Draw(t, "granularity"))
		s.Engine = rapid.SampledFrom([]string{"", "sip"}).Draw(t, "engine")
	}
	address := func(d ipvs.DestinationEntry) netip.AddrPort { return d.Address }
	s.Destinations = rapid.SliceOfNDistinct(drawDestination(s.Family), 0, 8, address).Draw(t, "destinations")
	return s
}

func drawDestination(service ipvs.Family) *rapid.Generator[ipvs.DestinationEntry] {
	return rapid.Custom(func(t *rapid.T) ipvs.DestinationEntry {
		var d ipvs.DestinationEntry
		d.Forwarding = rapid.SampledFrom([]ipvs.Forwarding{
			ipvs.Masquerade, ipvs.Local, ipvs.Tunnel, ipvs.DirectRoute, ipvs.Bypass,
		}).Draw(t, "forwarding")
		family := service
		if d.Forwarding == ipvs.Tunnel {
			family = rapid.SampledFrom([]ipvs.Family{ipvs.IPv4, ipvs.IPv6}).Draw(t, "family")
			d.Tunnel = drawTunnel(t)
		}
		d.Address = netip.AddrPortFrom(drawAddress(t, family), drawPort(t))
		d.Weight = rapid.IntRange(0, 65535).Draw(t, "weight")
		d.Upper = uint32(rapid.IntRange(0, 1<<31-1).Draw(t, "upper"))
		d.Lower = uint32(rapid.IntRange(0, int(d.Upper)).Draw(t, "lower"))
		return d
	})
}

func drawTunnel(t *rapid.T) ipvs.TunnelInfo {
	tunnel := ipvs.TunnelInfo{Type: rapid.SampledFrom([]ipvs.TunnelType{ipvs.IPIP, ipvs.GUE, ipvs.GRE}).Draw(t, "tunnel")}
	checksums := []uint16{0, ipvs.TunnelChecksum}
	switch tunnel.Type {
	case ipvs.IPIP:
		return tunnel
	case ipvs.GUE:
		tunnel.Port = uint16(rapid.IntRange(1, 65535).Draw(t, "tunnel port"))
		checksums = append(checksums, ipvs.TunnelRemoteChecksum)
	}
	tunnel.Flags = rapid.SampledFrom(checksums).Draw(t, "checksum")
	return tunnel
}

// drawAddress is an address that a host can have, often next to another and
// often on the other side of the overflow of the order.
func drawAddress(t *rapid.T, f ipvs.Family) netip.Addr {
	if f == ipvs.IPv4 {
		first := rapid.SampledFrom([]byte{1, 10, 100, 126, 128, 129, 192, 200, 223}).Draw(t, "first byte")
		return netip.AddrFrom4([4]byte{
			first, rapid.SampledFrom([]byte{0, 9, 255}).Draw(t, "second byte"), 0,
			byte(rapid.IntRange(1, 254).Draw(t, "last byte")),
		})
	}
	raw := [16]byte{0: rapid.SampledFrom([]byte{0x20, 0x3f, 0x80, 0xbf, 0xfd}).Draw(t, "first byte"), 1: 1}
	for i := 2; i < 16; i += 2 {
		raw[i+1] = rapid.SampledFrom([]byte{0, 0, 1, 0xff}).Draw(t, "word")
	}
	raw[15] = byte(rapid.IntRange(0, 255).Draw(t, "last byte"))
	return netip.AddrFrom16(raw)
}

// drawPort is often a port that has a name.
func drawPort(t *rapid.T) uint16 {
	return rapid.SampledFrom([]uint16{0, 1, 22, 25, 53, 80, 443, 514, 3868, 5060, 8080, 65535}).Draw(t, "port")
}
