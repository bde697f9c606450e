package ipvsadm

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lvsd/lvsd/director/ipvs"

	"github.com/lvsd/lvsd/integration/lab"
)

// TestAgainstIPVSADM compares this package with ipvsadm itself, for kernel
// states made by ipvsadm, on a real kernel and in a network namespace of its
// own.
func TestAgainstIPVSADM(t *testing.T) {
	c := openInNamespace(t)
	for _, s := range loadStates(t) {
		for _, arguments := range s.commands {
			ipvsadm(t, strings.Fields(arguments)...)
		}
		compareTable(t, s.name, c)
		ipvsadm(t, "-C")
	}
}

// TestConnectionsAgainstIPVSADM does the same for connections, of which it makes
// some of each kind to servers on this host.
func TestConnectionsAgainstIPVSADM(t *testing.T) {
	c := openInNamespace(t)
	addAddresses(t, "10.9.0.100/32", "10.9.0.11/32", "fd00:9::100/128", "fd00:9::11/128")
	compareConnections(t, "none")
	for _, arguments := range []string{
		"-A -t 10.9.0.100:80 -s rr -p 300", "-a -t 10.9.0.100:80 -r 10.9.0.11:8080 -m",
		"-A -u 10.9.0.100:53 -s rr", "-a -u 10.9.0.100:53 -r 10.9.0.11:5353 -m",
		"-A -t [fd00:9::100]:80 -s rr -p 30 -M 64", "-a -t [fd00:9::100]:80 -r [fd00:9::11]:8080 -m",
		"-A -u 10.9.0.100:5060 -s rr -p 30 --pe sip", "-a -u 10.9.0.100:5060 -r 10.9.0.11:5060 -m",
	} {
		ipvsadm(t, strings.Fields(arguments)...)
	}
	for _, address := range []string{"10.9.0.11:8080", "[fd00:9::11]:8080"} {
		l, err := net.Listen("tcp", address)
		fatal(t, err)
		defer l.Close()
	}
	for network, address := range map[string]string{"tcp4": "10.9.0.100:80", "tcp6": "[fd00:9::100]:80", "udp": "10.9.0.100:53"} {
		conn, err := net.Dial(network, address)
		fatal(t, err)
		defer conn.Close()
		_, err = conn.Write([]byte("hello"))
		fatal(t, err)
	}
	call, err := net.Dial("udp", "10.9.0.100:5060")
	fatal(t, err)
	defer call.Close()
	_, err = call.Write([]byte("INVITE sip:b@example.com SIP/2.0\r\nCall-ID: 3848276298@example.com\r\nCSeq: 1 INVITE\r\n\r\n"))
	fatal(t, err)
	if !strings.Contains(ipvsadm(t, "-Lnc", "--persistent-conn"), " sip ") {
		t.Error("no connection of a persistence engine")
	}
	compareTable(t, "connections", c)
	compareConnections(t, "some")
}

// compareTable compares -L without further options.
func compareTable(t *testing.T, name string, c *ipvs.Client) {
	t.Helper()
	info, err := c.Info()
	fatal(t, err)
	services, err := c.Services()
	fatal(t, err)
	for option, o := range map[string]Options{"-L": {Names: systemNames(t)}, "-Ln": {}} {
		var got bytes.Buffer
		fatal(t, WriteTable(&got, info, services, o))
		if diff := cmp.Diff(ipvsadm(t, option), got.String()); diff != "" {
			t.Errorf("%s: %s (-ipvsadm +got)\n%s", name, option, diff)
		}
	}
}

// compareConnections tries again when a second ended between the two listings.
func compareConnections(t *testing.T, name string) {
	t.Helper()
	for option, o := range map[string]Options{
		"-Lc":                    {Names: systemNames(t)},
		"-Lnc":                   {},
		"-Lc --persistent-conn":  {Names: systemNames(t), Columns: Persistent},
		"-Lnc --persistent-conn": {Columns: Persistent},
	} {
		untilEqual(t, name+": "+option, func() (want, got string) {
			var out bytes.Buffer
			f, err := os.Open(strings.Replace(ipvs.ConnectionsFile, "/proc/", "/proc/thread-self/", 1))
			fatal(t, err)
			fatal(t, WriteConnections(&out, ipvs.Connections(f), o))
			fatal(t, f.Close())
			return ipvsadm(t, strings.Fields(option)...), out.String()
		})
	}
}

// untilEqual compares what changes with time until both are of the same moment.
func untilEqual(t *testing.T, name string, read func() (want, got string)) {
	t.Helper()
	var diff string
	for range 100 {
		want, got := read()
		if diff = cmp.Diff(want, got); diff == "" {
			return
		}
	}
	t.Errorf("%s (-ipvsadm +got)\n%s", name, diff)
}

func systemNames(t *testing.T) Names {
	t.Helper()
	services, err := os.ReadFile(ServicesFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	names, err := NewSystemNames(t.Context(), bytes.NewReader(services))
	fatal(t, err)
	return names
}

// state is a kernel state by the commands that make it.
type state struct {
	name     string
	commands []string
}

func loadStates(t *testing.T) []state {
	t.Helper()
	text, err := os.ReadFile("testdata/states.txt")
	fatal(t, err)
	var all []state
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		name, isName := strings.CutPrefix(line, "-- ")
		switch {
		case line == "" || line[0] == '#':
		case isName:
			all = append(all, state{name: strings.TrimSuffix(name, " --")})
		default:
			last := &all[len(all)-1]
			last.commands = append(last.commands, line)
		}
	}
	return all
}

// ipvsadm runs ipvsadm in the namespace of this thread.
func ipvsadm(t *testing.T, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "ipvsadm", arguments...)
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("ipvsadm %s: %v: %s", strings.Join(arguments, " "), err, &problems)
	}
	return string(out)
}

// openInNamespace moves the test into a new network namespace with lo up. It
// skips a test where IPVS or ipvsadm is missing, and fails it where
// LVSD_TEST_REQUIRE, a list separated by commas, promised that it is there.
func openInNamespace(t *testing.T) *ipvs.Client {
	t.Helper()
	if _, err := exec.LookPath("ipvsadm"); err != nil {
		lab.Missing(t, "ipvsadm", err)
	}
	if os.Geteuid() != 0 {
		lab.Missing(t, lab.NeedIPVS, errors.New("not root"))
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	fatal(t, err)
	inside, err := netns.New()
	fatal(t, err)
	t.Cleanup(func() {
		fatal(t, errors.Join(netns.Set(before), before.Close(), inside.Close()))
		runtime.UnlockOSThread()
	})
	addAddresses(t)
	c, err := ipvs.Open()
	if errors.Is(err, ipvs.ErrUnavailable) {
		lab.Missing(t, lab.NeedIPVS, err)
	}
	fatal(t, err)
	t.Cleanup(func() { fatal(t, c.Close()) })
	return c
}

// addAddresses brings lo up and gives it addresses.
func addAddresses(t *testing.T, prefixes ...string) {
	t.Helper()
	lo, err := netlink.LinkByName("lo")
	fatal(t, err)
	fatal(t, netlink.LinkSetUp(lo))
	for _, p := range prefixes {
		address := netip.MustParsePrefix(p)
		fatal(t, netlink.AddrAdd(lo, &netlink.Addr{IPNet: &net.IPNet{
			IP:   address.Addr().AsSlice(),
			Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen()),
		}}))
	}
}
