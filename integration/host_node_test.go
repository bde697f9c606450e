package integration

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"

	"github.com/lvsd/lvsd/integration/relay"
)

// hostVIP is the virtual address of every test on the host's own kernel.
const hostVIP = "10.99.0.100"

// stages is a test whose subtests share a lab, one after the other. What goes
// wrong in the lab is told as the current one's failure, and ends them all: the
// next would begin in a state that nobody meant.
type stages struct {
	*testing.T
	current *testing.T
}

func newStages(t *testing.T) *stages { return &stages{T: t, current: t} }

func (s *stages) stage(name string, f func(t *testing.T)) {
	s.T.Helper()
	passed := s.T.Run(name, func(t *testing.T) {
		s.current = t
		f(t)
	})
	s.current = s.T
	if !passed {
		s.T.FailNow()
	}
}

func (s *stages) Helper()      { s.current.Helper() }
func (s *stages) Name() string { return s.current.Name() }
func (s *stages) Logf(format string, args ...any) {
	s.current.Helper()
	s.current.Logf(format, args...)
}

func (s *stages) Fatalf(format string, args ...any) {
	s.current.Helper()
	s.current.Fatalf(format, args...)
}
func (s *stages) Context() context.Context { return s.current.Context() }

// segment is a lab with a client that looks at the VIP.
type segment struct {
	*stages
	lab    *lab.Lab
	client *lab.Host
	// interval is the time between adverts that suits the machine, in whole
	// seconds because version 2 knows no others. A machine that is four times
	// as slow has no trouble with one second.
	interval time.Duration
}

func newSegment(t *testing.T) *segment {
	s := newStages(t)
	l := lab.New(s)
	return &segment{
		stages: s, lab: l, client: l.Host("client", "10.99.0.3/24"),
		interval: wholeSeconds(l),
	}
}

// wholeSeconds is the segment's interval.
func wholeSeconds(l *lab.Lab) time.Duration {
	return time.Duration(math.Ceil(l.Scale()/4)) * time.Second
}

// virtualRouter is one VRRP instance, as lvsd, keepalived and FRR can be told
// of it.
type virtualRouter struct {
	Version, VRID, Priority int
	Interval                time.Duration
	Password                string
	// PlainChecksum is the checksum of RFC 9568 for version 3 over IPv4, which
	// keepalived 2.2.7 and FRR 8.4.4 do not have.
	PlainChecksum bool
	// Source and Peers make it unicast.
	Source, Peer string
	// VIPs is the one VIP unless set.
	VIPs []string
	// Keys are more keys of lvsd's.
	Keys string
}

func (v virtualRouter) vips() []string {
	if len(v.VIPs) == 0 {
		return []string{hostVIP}
	}
	return v.VIPs
}

// lvsd is the configuration of lvsd.
func (v virtualRouter) lvsd() string {
	var b strings.Builder
	fmt.Fprintf(&b, "[[vrrp]]\nname = \"VI_1\"\ninterface = %q\nversion = %d\nvrid = %d\npriority = %d\n",
		lab.LinkName, v.Version, v.VRID, v.Priority)
	fmt.Fprintf(&b, "advert_interval = \"%dms\"\nvips = [\"%s\"]\n",
		v.Interval.Milliseconds(), strings.Join(v.vips(), `", "`))
	if v.Peer != "" {
		fmt.Fprintf(&b, "source = %q\npeers = [%q]\n", v.Source, v.Peer)
	}
	if v.Password != "" {
		fmt.Fprintf(&b, "auth = { type = \"pass\", password = %q }\n", v.Password)
	}
	if v.PlainChecksum {
		b.WriteString("checksum = \"rfc9568\"\n")
	}
	b.WriteString(v.Keys)
	return b.String()
}

// node is a host with an lvsd of its own.
type node struct {
	*lab.Host
	// router is what the file said when it was last written.
	router virtualRouter
	daemon *lab.Daemon
	// env is added to the daemon's environment.
	env []string

	segment            *segment
	config, run, state string
}

// addNode adds a host that can run lvsd.
func (s *segment) addNode(name, address string) *node {
	s.Helper()
	h := s.lab.Host(name, address+"/24")
	return &node{
		Host: h, segment: s,
		config: filepath.Join(s.lab.Dir(name), "lvsd.toml"),
		run:    s.lab.Dir(name, "run"), state: s.lab.Dir(name, "state"),
	}
}

// configure writes the file.
func (n *node) configure(v virtualRouter) {
	n.segment.Helper()
	n.router = v
	n.write(v.lvsd())
}

func (n *node) write(text string) {
	n.segment.Helper()
	if err := os.WriteFile(n.config, []byte(text), 0o600); err != nil {
		n.segment.Fatalf("configuration: %v", err)
	}
}

func (n *node) start() {
	n.segment.Helper()
	n.daemon = n.Start(lab.Command{
		Name: "lvsd", Env: n.env,
		Args: []string{relay.Binary(n.segment), "run", "-c", n.config, "--run-dir", n.run, "--state-dir", n.state},
	})
}

// reload writes the file anew, with what edit changes, and waits until lvsd
// says that it has gone over to it.
func (n *node) reload(edit func(*virtualRouter)) {
	n.segment.Helper()
	edited := n.router
	edit(&edited)
	n.configure(edited)
	if status := n.hangUp(); !status.OK {
		n.segment.Fatalf("%s: reload: %s", n.Name, status.Error)
	}
}

// hangUp sends SIGHUP and returns what came of it.
func (n *node) hangUp() director.ReloadStatus {
	n.segment.Helper()
	before, err := n.status()
	if err != nil {
		n.segment.Fatalf("%s: %v", n.Name, err)
	}
	n.daemon.Signal(syscall.SIGHUP)
	var reload director.ReloadStatus
	n.segment.lab.WaitFor(n.Name+" to reload", func() error {
		status, err := n.status()
		if err == nil && status.Reload.At.Equal(before.Reload.At) {
			err = errors.New("no reload yet")
		}
		reload = status.Reload
		return err
	})
	return reload
}

// stop ends lvsd as an operator does.
func (n *node) stop() {
	n.segment.Helper()
	if err := n.daemon.Stop(); err != nil {
		n.segment.Fatalf("%s: lvsd ended: %v\n%s", n.Name, err, n.daemon.Output())
	}
}

// status asks lvsd.
func (n *node) status() (director.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), n.segment.lab.Scaled(10*time.Second))
	defer cancel()
	return control.Status(ctx, filepath.Join(n.run, "lvsd.sock"))
}

// instance is the status of the one instance.
func (n *node) instance() (director.InstanceStatus, error) {
	status, err := n.status()
	switch {
	case err != nil:
		return director.InstanceStatus{}, err
	case !status.Ready:
		return director.InstanceStatus{}, errors.New("not ready")
	case len(status.Instances) != 1:
		return director.InstanceStatus{}, fmt.Errorf("%d instances", len(status.Instances))
	}
	return status.Instances[0], nil
}

// now is instance for a moment when it must be there.
func (n *node) now() director.InstanceStatus {
	n.segment.Helper()
	i, err := n.instance()
	if err != nil {
		n.segment.Fatalf("%s: %v", n.Name, err)
	}
	return i
}

// takesPart tells whether lvsd runs and its cable is plugged.
func (n *node) takesPart() bool { return n.daemon != nil && n.daemon.Running() && carrier(n.Host) }

// redirects tells whether the kernel has the REDIRECT rule.
func (n *node) redirects() (bool, error) {
	out, err := n.Try("iptables", "-t", "nat", "-S", "PREROUTING")
	return strings.Contains(out, "-d "+hostVIP+"/32 -p tcp -m comment --comment lvsd -j REDIRECT"), err
}

// inState returns nil when lvsd and the kernel agree on a state: the MASTER has
// the VIPs and no rule, any other state has none of them, and the rule if the
// node serves while it is not MASTER.
func (n *node) inState(state string) error {
	i, err := n.instance()
	if err != nil {
		return fmt.Errorf("%s: %w", n.Name, err)
	}
	if i.State != state {
		return fmt.Errorf("%s is %s because %s, want %s", n.Name, i.State, i.Reason, state)
	}
	if err := wantVIPs(n.Host, lab.LinkName, n.router.vips(), state == "master"); err != nil {
		return fmt.Errorf("%s is %s: %w", n.Name, state, err)
	}
	if !strings.Contains(n.router.Keys, "serve_on_backup = true") {
		return nil
	}
	rule, err := n.redirects()
	if err == nil && rule != (state != "master") {
		err = fmt.Errorf("%s is %s, its kernel has the rule: %v", n.Name, state, rule)
	}
	return err
}

// holds tells whether the host's interface has the VIP, as /32.
func holds(h *lab.Host) bool { return len(held(h, lab.LinkName, []string{hostVIP})) > 0 }

// held are those of the addresses that the interface has, as /32 or /128.
func held(h *lab.Host, link string, addresses []string) []string {
	var found []string
	_ = h.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		all, err := netlink.AddrList(l, netlink.FAMILY_ALL)
		for _, a := range all {
			if ones, bits := a.Mask.Size(); ones == bits && slices.Contains(addresses, a.IP.String()) {
				found = append(found, a.IP.String())
			}
		}
		return err
	})
	return found
}

// wantVIPs is an error unless the interface has all of the VIPs, or none.
func wantVIPs(h *lab.Host, link string, vips []string, all bool) error {
	want := 0
	if all {
		want = len(vips)
	}
	if found := held(h, link, vips); len(found) != want {
		return fmt.Errorf("%s has %d of %d VIPs, want %d: %v", link, len(found), len(vips), want, found)
	}
	return nil
}

// carrier tells whether the host's interface is up and its cable plugged.
func carrier(h *lab.Host) bool {
	up := false
	_ = h.Do(func() error {
		link, err := netlink.LinkByName(lab.LinkName)
		up = err == nil && link.Attrs().OperState == netlink.OperUp
		return err
	})
	return up
}

// clientSees returns nil when the client's neighbour entry for the VIP is the
// host.
func (s *segment) clientSees(h *lab.Host) error { return s.clientResolves(hostVIP, h.MAC()) }

// clientResolves returns nil when the client's neighbour entry for the VIP has
// the hardware address. The client asks only while it has no entry: any change
// of it is made by what a new MASTER announces.
func (s *segment) clientResolves(vip, want string) error {
	var mac string
	err := s.client.Do(func() error {
		link, err := netlink.LinkByName(lab.LinkName)
		if err != nil {
			return err
		}
		neighbours, err := netlink.NeighList(link.Attrs().Index, netlink.FAMILY_ALL)
		for _, n := range neighbours {
			if n.IP.String() == vip && len(n.HardwareAddr) > 0 {
				mac = n.HardwareAddr.String()
			}
		}
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("client: %w", err)
	case mac == "":
		_, err := s.client.Try("ping", "-c", "1", "-W", "1", vip)
		return fmt.Errorf("the client had no neighbour entry for %s: %w", vip, errors.Join(errPing, err))
	case mac != want:
		return fmt.Errorf("the client takes %s for %s, want %s", mac, vip, want)
	}
	return nil
}

var errPing = errors.New("it has sent a ping")

// block makes the host deaf to VRRP, or not any more. Its link stays up.
func block(h *lab.Host, deaf bool) {
	action := "-D"
	if deaf {
		action = "-I"
	}
	h.Run("iptables", action, "INPUT", "-p", "112", "-j", "DROP")
}
