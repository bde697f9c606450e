package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/vishvananda/netlink"

	"github.com/lvsd/lvsd/integration/lab"
)

// frrComplaint is what FRR's vrrpd 8.4.4 says, when asked to, about an advert
// that it does not like.
var frrComplaint = regexp.MustCompile(`Datagram (invalid|has )`)

// frr is a host that runs Debian's FRR.
type frr struct {
	*lab.Host
	router virtualRouter
	// link is the macvlan with the virtual hardware address and the VIPs: vrrpd
	// brings it up and down.
	link     string
	daemons  *lab.FRR
	priority int

	segment *segment
}

func (s *segment) addFRR(address string, v virtualRouter) peer {
	s.Helper()
	f := &frr{Host: s.lab.Host("frr", address+"/24"), router: v, priority: v.Priority, segment: s}
	// Linux answers on one interface for the addresses of all: also for VIPs on
	// a link that vrrpd has brought down.
	f.Run("sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=1")
	f.addLink()
	f.daemons = f.NewFRR()
	return f
}

// addLink is what an administrator has done before FRR is started.
func (f *frr) addLink() {
	f.segment.Helper()
	var vips []netip.Addr
	for _, vip := range f.router.vips() {
		vips = append(vips, netip.MustParseAddr(vip))
	}
	f.link = f.AddVRRPLink(f.router.VRID, vips...)
}

func (f *frr) host() *lab.Host { return f.Host }

// mac is the virtual router's, which FRR always uses.
func (f *frr) mac() string {
	return lab.VirtualMAC(f.router.VRID, netip.MustParseAddr(f.router.vips()[0]))
}

func (f *frr) start() {
	f.segment.Helper()
	v := f.router
	v.Priority = f.priority
	f.daemons.Start(v.frr())
}

// stop ends FRR with SIGTERM: a MASTER says goodbye.
func (f *frr) stop() {
	f.segment.Helper()
	if err := f.daemons.Stop(); err != nil {
		f.segment.Fatalf("FRR ended: %v\n%s", err, f.daemons.Output())
	}
}

func (f *frr) kill() {
	f.segment.Helper()
	f.daemons.Kill()
}

// revive is after a boot: FRR would find the VIPs on a link that is up, because
// the one before it was MASTER.
func (f *frr) revive() {
	f.segment.Helper()
	f.Run("ip", "link", "del", f.link)
	f.addLink()
	f.SetCable(true)
	f.start()
}

func (f *frr) setPriority(priority int) {
	f.segment.Helper()
	f.priority = priority
	_, err := f.daemons.Shell("configure terminal", "interface "+lab.LinkName,
		fmt.Sprintf("vrrp %d priority %d", f.router.VRID, priority))
	if err != nil {
		f.segment.Fatalf("%v", err)
	}
}

func (f *frr) takesPart() bool { return f.daemons.Running() && carrier(f.Host) }

// status is "Initialize", "Backup" or "Master", as vrrpd has it.
func (f *frr) status() (string, error) {
	out, err := f.daemons.Shell("show vrrp json")
	if err != nil {
		return "", err
	}
	type family struct {
		Status string `json:"status"`
	}
	var routers []struct{ V4, V6 family }
	if err := json.Unmarshal([]byte(out), &routers); err != nil {
		return "", fmt.Errorf("show vrrp json: %w: %s", err, out)
	}
	switch {
	case len(routers) != 1:
		return "", fmt.Errorf("vrrpd has %d virtual routers", len(routers))
	case netip.MustParseAddr(f.router.vips()[0]).Is4():
		return routers[0].V4.Status, nil
	}
	return routers[0].V6.Status, nil
}

// wantVIPs: the link always has the VIPs, and counts while it is up.
func (f *frr) wantVIPs(all bool) error {
	up := false
	err := f.Do(func() error {
		link, err := netlink.LinkByName(f.link)
		up = err == nil && link.Attrs().OperState == netlink.OperUp
		return err
	})
	if err == nil && up != all {
		err = fmt.Errorf("%s is up: %v, want %v", f.link, up, all)
	}
	return errors.Join(err, wantVIPs(f.Host, f.link, f.router.vips(), true))
}

// inState returns nil when vrrpd is in the state, and its link up or down, as
// the state demands.
func (f *frr) inState(state string) error {
	status, err := f.status()
	switch {
	case err != nil:
		return err
	case !strings.EqualFold(status, state):
		return fmt.Errorf("vrrpd is %s, want %s", status, state)
	}
	if err := f.wantVIPs(state == "master"); err != nil {
		return fmt.Errorf("vrrpd is %s: %w", state, err)
	}
	return nil
}

// heardGoodbye tells whether vrrpd has seen a MASTER leave.
func (f *frr) heardGoodbye() bool { return strings.Contains(f.daemons.Output(), "priority 0,") }

// complaints are the lines of the log that find fault with an advert.
func (f *frr) complaints() []string { return matching(frrComplaint, f.daemons.Output()) }

// frr is the configuration of FRR's vrrpd.
func (v virtualRouter) frr() string {
	var b strings.Builder
	fmt.Fprintf(&b, "debug vrrp protocol\ndebug vrrp packets\ninterface %s\n", lab.LinkName)
	fmt.Fprintf(&b, " vrrp %d version %d\n vrrp %[1]d priority %[3]d\n", v.VRID, v.Version, v.Priority)
	fmt.Fprintf(&b, " vrrp %d advertisement-interval %d\n", v.VRID, v.Interval.Milliseconds())
	for _, vip := range v.vips() {
		command := "ip"
		if netip.MustParseAddr(vip).Is6() {
			command = "ipv6"
		}
		fmt.Fprintf(&b, " vrrp %d %s %s\n", v.VRID, command, vip)
	}
	return b.String()
}
