package ipvs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/moby/ipvs"
	"pgregory.net/rapid"

	"github.com/lvsd/lvsd/integration/lab"
)

// many are n services of all kinds, with up to four destinations each.
func many(n int) []ServiceEntry {
	var all []ServiceEntry
	for i := range n {
		s := Service{ServiceKey: key(TCP, fmt.Sprintf("10.%d.%d.1:80", i>>8, i&255)), Scheduler: "wlc"}
		switch i % 8 {
		case 1:
			s.ServiceKey = key(SCTP, fmt.Sprintf("[2001:db8::%x]:80", i+1))
		case 2:
			s.ServiceKey = ServiceKey{Family: IPv4, Mark: uint32(i)}
		case 3:
			s.ServiceKey = ServiceKey{Family: IPv6, Mark: uint32(i &^ 8)} // some twice
		case 4:
			s.Flags, s.Timeout, s.Granularity = Persistent, time.Minute, 24
		case 5:
			s.ServiceKey.Protocol, s.Flags = UDP, OnePacket
		case 6:
			s.Scheduler, s.Flags = "sh", Sched2
		case 7:
			s.ServiceKey = ServiceKey{Family: IPv4, Mark: uint32(i - 4)}
		}
		if s.Family == IPv6 && s.Mark != 0 && i&8 != 0 {
			continue
		}
		var destinations []Destination
		for j := range i % 5 {
			d := Destination{Forwarding: Forwarding(j % 4), Weight: i % 7}
			if d.Forwarding == Tunnel {
				d.Tunnel = TunnelInfo{Type: GUE, Port: uint16(i + 1)}
			}
			if j == 3 {
				d.Upper, d.Lower = 10, 5
			}
			destinations = append(destinations, d)
		}
		e := entry(s, destinations...)
		all = append(all, e)
	}
	return all
}

var entryOptions = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{}), cmpopts.EquateEmpty()}

// TestKernelRefresh changes the table at random with ipvsadm, and compares what
// Refresh reads with what Services reads.
func TestKernelRefresh(t *testing.T) {
	c := openInNamespace(t)
	lab.Require(t, lab.NeedIPVS)
	write(t, c, many(600)...)
	known, err := c.Services()
	fatal(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		var commands strings.Builder
		for range round {
			fmt.Fprintln(&commands, randomCommand(random, known))
		}
		restore(t, commands.String())
		got, err := c.Refresh(known)
		fatal(t, err)
		want, err := c.Services()
		fatal(t, err)
		if diff := cmp.Diff(want, got, entryOptions); diff != "" {
			t.Fatalf("after\n%s(-services +refresh)\n%s", commands.String(), diff)
		}
		known = got
	}
}

// restore has ipvsadm make the changes it can: some are of what is not there.
func restore(t *testing.T, commands string) {
	t.Helper()
	for line := range strings.Lines(commands) {
		out, err := exec.CommandContext(t.Context(), "ipvsadm", strings.Fields(line)...).CombinedOutput()
		if _, refused := errors.AsType[*exec.ExitError](err); err != nil && !refused {
			t.Fatalf("ipvsadm %s: %v: %s", line, err, out)
		}
	}
}

// randomCommand changes what /proc/net/ip_vs shows. An edit without a tunnel's
// type would reset it, which is not shown: so tunnels end.
func randomCommand(r *rand.Rand, services []ServiceEntry) string {
	s := services[r.IntN(len(services))]
	which := "-t " + s.Address.String()
	switch {
	case s.Mark != 0 && s.Family == IPv6:
		which = fmt.Sprintf("-f %d -6", s.Mark)
	case s.Mark != 0:
		which = fmt.Sprintf("-f %d", s.Mark)
	case s.Protocol == UDP:
		which = "-u " + s.Address.String()
	case s.Protocol == SCTP:
		which = "--sctp-service " + s.Address.String()
	}
	if len(s.Destinations) > 0 && r.IntN(3) > 0 {
		d := s.Destinations[r.IntN(len(s.Destinations))]
		if r.IntN(3) == 0 {
			return fmt.Sprintf("-d %s -r %v", which, d.Address)
		}
		if r.IntN(3) == 0 && d.Forwarding != Tunnel {
			return fmt.Sprintf("-e %s -r %v -i --tun-type gre -w 9 -x 99", which, d.Address)
		}
		method := "-g"
		if d.Forwarding == Masquerade {
			method = "-m"
		}
		return fmt.Sprintf("-e %s -r %v %s -w %d -x %d -y %d", which, d.Address, method, r.IntN(50), d.Upper, d.Lower)
	}
	switch r.IntN(4) {
	case 0:
		return "-D " + which
	case 1:
		return "-E " + which + " -s sh -p 77"
	case 2:
		return fmt.Sprintf("-A -t 192.0.2.%d:80 -s rr", r.IntN(256))
	default:
		host := netip.MustParseAddr("198.51.100.7")
		if s.Family == IPv6 {
			host = netip.MustParseAddr("2001:db8::7")
		}
		return fmt.Sprintf("-a %s -r %v -m -x 7", which, netip.AddrPortFrom(host, s.Address.Port()))
	}
}

// TestKernelRefreshChecks changes what /proc does not show. That is found within
// as many readings as there are parts.
func TestKernelRefreshChecks(t *testing.T) {
	c := openInNamespace(t)
	write(t, c, many(400)...)
	known, err := c.Services()
	fatal(t, err)
	changed := 0
	for _, s := range known {
		for _, d := range s.Destinations {
			if d.Upper != 0 {
				d.Upper = 77
				fatal(t, one(c, UpdateDestination, s.Service, d.Destination))
				changed++
			}
		}
	}
	if changed == 0 {
		t.Fatal("nothing to change")
	}
	seen := func() (n int) {
		for _, s := range known {
			for _, d := range s.Destinations {
				if d.Upper == 77 {
					n++
				}
			}
		}
		return n
	}
	first := -1
	for range checkedPart + 1 {
		known, err = c.Refresh(known)
		fatal(t, err)
		if first < 0 {
			first = seen()
		}
	}
	if first == changed || seen() != changed {
		t.Errorf("%d thresholds changed, %d found at once, %d in the end", changed, first, seen())
	}
}

// TestKernelTable compares Table with what Services reads of the same. Of some
// services Table may tell more than it has to: with virtual services in other
// network namespaces the kernel leaves out some in /proc, and those are read
// completely.
func TestKernelTable(t *testing.T) {
	c := openInNamespace(t)
	for _, entries := range [][]ServiceEntry{nil, many(300)} {
		write(t, c, entries...)
		want, err := c.Services()
		fatal(t, err)
		got, err := c.Table()
		fatal(t, err)
		if diff := cmp.Diff(glanced(want), glanced(got), entryOptions); diff != "" {
			t.Errorf("(-services +table)\n%s", diff)
		}
	}
}

// glanced leaves of destinations what /proc tells of them.
func glanced(entries []ServiceEntry) []ServiceEntry {
	entries = slices.Clone(entries)
	for i := range entries {
		entries[i].Destinations = slices.Clone(entries[i].Destinations)
		for j, d := range entries[i].Destinations {
			entries[i].Destinations[j] = DestinationEntry{
				Destination: Destination{Address: d.Address, Forwarding: d.Forwarding, Weight: d.Weight},
				Active:      d.Active, Inactive: d.Inactive,
			}
		}
	}
	return entries
}

// TestKernelOtherReader writes services and destinations of all kinds and has
// moby/ipvs, which shares no code with this package, read them back.
func TestKernelOtherReader(t *testing.T) {
	c := openInNamespace(t)
	if unloaded {
		t.Skip("ip_vs was unloaded, which moby/ipvs cannot follow")
	}
	reader, err := ipvs.New("")
	fatal(t, err)
	defer reader.Close()
	// moby/ipvs keeps a socket, and with it the namespace, to the end of the
	// process: a service that stays would keep ip_vs from being unloaded.
	t.Cleanup(func() { fatal(t, c.Flush()) })
	schedulers := []string{"rr", "wrr", "lc", "wlc", "sh", "mh", "dh", "nq", "sed"}
	rapid.Check(t, func(r *rapid.T) {
		fatalRapid(r, c.Flush())
		s := drawService(r)
		s.Scheduler, s.Engine = rapid.SampledFrom(schedulers).Draw(r, "kernel scheduler"), ""
		d := drawDestination(r)
		d.Address = netip.AddrPortFrom(netip.MustParseAddr("198.51.100.9"), d.Address.Port())
		if s.Family == IPv6 {
			d.Address = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::9"), d.Address.Port())
		}
		d.Lower = min(d.Lower, d.Upper)
		fatalRapid(r, errors.Join(c.Change([]Change{
			{Command: AddService, Service: s}, {Command: AddDestination, Service: s, Destination: d},
		})...))
		services, err := reader.GetServices()
		fatalRapid(r, err)
		if len(services) != 1 {
			r.Fatalf("%d services", len(services))
		}
		compareService(r, s, services[0])
		destinations, err := reader.GetDestinations(services[0])
		fatalRapid(r, err)
		if len(destinations) != 1 {
			r.Fatalf("%d destinations", len(destinations))
		}
		compareDestination(r, d, destinations[0])
	})
	fatal(t, c.SetTimeouts(Timeouts{TCP: time.Hour, TCPFin: time.Minute, UDP: time.Second}))
	config, err := reader.GetConfig()
	fatal(t, err)
	if want := (ipvs.Config{TimeoutTCP: time.Hour, TimeoutTCPFin: time.Minute, TimeoutUDP: time.Second}); *config != want {
		t.Errorf("timeouts %v, want %v", *config, want)
	}
}

func compareService(t *rapid.T, s Service, got *ipvs.Service) {
	want := &ipvs.Service{
		AddressFamily: uint16(s.Family), Protocol: uint16(s.Protocol), FWMark: s.Mark, Port: s.Address.Port(),
		SchedName: s.Scheduler, Flags: uint32(s.Flags | hashed), Timeout: uint32(s.Timeout / time.Second),
		Netmask: uint32(s.Granularity), PEName: s.Engine,
	}
	if s.Family == IPv4 {
		want.Netmask = native.Uint32(net.CIDRMask(int(s.Granularity), 32))
	}
	if s.Mark == 0 {
		want.Address = net.IP(s.Address.Addr().AsSlice())
	} else {
		want.Address, got.Address, got.Protocol = nil, nil, 0 // what it makes of none
	}
	want.Stats = got.Stats
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

func compareDestination(t *rapid.T, d Destination, got *ipvs.Destination) {
	want := &ipvs.Destination{
		Address: net.IP(d.Address.Addr().AsSlice()), Port: d.Address.Port(), Weight: d.Weight,
		AddressFamily: uint16(familyOf(d.Address.Addr())), UpperThreshold: d.Upper, LowerThreshold: d.Lower,
	}
	want.ConnectionFlags = uint32(d.Forwarding)
	got.ConnectionFlags &= forwardingMask
	want.Stats = got.Stats
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

// benchmarkTable is a table of a thousand services with ten destinations each.
func benchmarkTable(b *testing.B) *Client {
	b.Helper()
	c, err := Open()
	if err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = errors.Join(c.Flush(), c.Close()) })
	if err := errors.Join(c.Change(benchmarkChanges())...); err != nil {
		b.Fatal(err)
	}
	return c
}

func benchmarkChanges() []Change {
	var changes []Change
	for i := range 1000 {
		s := numbered(i)
		changes = append(changes, Change{Command: AddService, Service: s})
		for _, c := range destinationChanges(10) {
			c.Service = s
			changes = append(changes, c)
		}
	}
	return changes
}

func BenchmarkChange(b *testing.B) {
	c := benchmarkTable(b)
	updates := benchmarkChanges()
	n := 0
	for i := range updates {
		if updates[i].Command == AddDestination {
			updates[i].Command = UpdateDestination
		} else {
			updates[i].Command = UpdateService
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		n++
		for i := range updates {
			updates[i].Destination.Weight = n % 100
		}
		if err := errors.Join(c.Change(updates)...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(updates)), "us/change")
}

func BenchmarkChangeSingly(b *testing.B) {
	c := benchmarkTable(b)
	updates := benchmarkChanges()
	for b.Loop() {
		for i := range updates {
			u := updates[i]
			u.Command = UpdateDestination
			if u.Destination.Address.IsValid() {
				if err := c.Change([]Change{u})[0]; err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(len(updates)), "us/change")
}

func BenchmarkServices(b *testing.B) {
	c := benchmarkTable(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Services(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTable(b *testing.B) {
	c := benchmarkTable(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Table(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefresh(b *testing.B) {
	c := benchmarkTable(b)
	known, err := c.Services()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if known, err = c.Refresh(known); err != nil {
			b.Fatal(err)
		}
	}
}
