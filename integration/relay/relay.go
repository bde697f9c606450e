// Package relay builds the mail relay of examples/mail-relay out of lab hosts:
// identical nodes with a real Postfix and lvsd each, and a client. Tests and the
// demo use it; what they prove is theirs.
package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
	"github.com/lvsd/lvsd/integration/lab"
)

// BinaryVariable names the lvsd program to run.
const BinaryVariable = "LVSD_BINARY"

// Binary is the lvsd program to run. The test ends if none is named.
func Binary(t lab.TB) string {
	t.Helper()
	binary := os.Getenv(BinaryVariable)
	if binary == "" {
		t.Fatalf("%s must name the lvsd program to test", BinaryVariable)
	}
	return binary
}

// The addresses of the field report that the example is made of.
const (
	vip          = "192.168.3.100"
	vip6         = "2001:db8:3::100"
	firstRelay   = 101
	clientNumber = 3
	hostFormat   = "192.168.3.%d/24"
	hostFormat6  = "2001:db8:3::%d/64"
)

// Service is the address that clients connect to, Service6 that of IPv6 where the file
// has one.
var (
	Service  = netip.AddrPortFrom(netip.MustParseAddr(vip), 25)
	Service6 = netip.AddrPortFrom(netip.MustParseAddr(vip6), 25)
)

// Cluster is the relays and their client on one switch.
type Cluster struct {
	Lab    *lab.Lab
	Relays []*Relay
	Client *lab.Host
	// Config is the path of the one file that every relay reads.
	Config string
	// Interval is the time between adverts in that file.
	Interval time.Duration

	t lab.TB
	// vips are those of the file.
	vips []netip.Addr
}

// Relay is one node.
type Relay struct {
	*lab.Host
	Postfix *lab.Postfix
	LVSD    *lab.Daemon

	cluster *Cluster
	run     string
}

// Options say what a cluster is made of.
type Options struct {
	// Relays is how many nodes there are, 1..8.
	Relays int
	// Example is the configuration file, examples/mail-relay/lvsd.toml.
	Example string
	// Edit changes the text of the file, unless nil.
	Edit func(string) string
}

// New builds a cluster with Postfix running on every relay, and lvsd on none.
func New(t lab.TB, o Options) *Cluster {
	t.Helper()
	c := &Cluster{Lab: lab.New(t), t: t}
	text, err := os.ReadFile(o.Example)
	if err != nil {
		t.Fatalf("example: %v", err)
	}
	edited := c.scale(string(text))
	if o.Edit != nil {
		edited = o.Edit(edited)
	}
	c.Config = filepath.Join(c.Lab.Dir("etc"), "lvsd.toml")
	c.Configure(edited)
	c.vips = []netip.Addr{Service.Addr()}
	if strings.Contains(edited, vip6) {
		c.vips = append(c.vips, Service6.Addr())
	}
	c.Client = c.Host("client", clientNumber)
	for i := range o.Relays {
		host := c.Host(fmt.Sprintf("relay%d", i+1), firstRelay+i)
		c.Relays = append(c.Relays, &Relay{Host: host, cluster: c, run: c.Lab.Dir(host.Name, "run")})
	}
	for _, r := range c.Relays {
		r.Run("ip", "link", "set", "lo", "up")
		r.Postfix = r.StartPostfix()
	}
	return c
}

// Host adds a host with the number as the end of its addresses: of IPv6 too, if the
// file has a VIP of that family.
func (c *Cluster) Host(name string, number int) *lab.Host {
	c.t.Helper()
	h := c.Lab.Host(name, fmt.Sprintf(hostFormat, number))
	if len(c.vips) > 1 {
		h.Run("ip", "address", "add", fmt.Sprintf(hostFormat6, number), "dev", lab.LinkName, "nodad")
	}
	return h
}

// Configure replaces the text of the file.
func (c *Cluster) Configure(text string) {
	c.t.Helper()
	if err := os.WriteFile(c.Config, []byte(text), 0o600); err != nil {
		c.t.Fatalf("configuration: %v", err)
	}
}

// Text is the file as it is.
func (c *Cluster) Text() string {
	c.t.Helper()
	text, err := os.ReadFile(c.Config)
	if err != nil {
		c.t.Fatalf("configuration: %v", err)
	}
	return string(text)
}

// scale makes the protocol's interval fit the speed of the machine, with so much
// to spare that starting a process takes less than three intervals.
func (c *Cluster) scale(text string) string {
	const written = `advert_interval = "2s"`
	if !strings.Contains(text, written) {
		c.t.Fatalf("the example has no %s", written)
	}
	slower := math.Ceil(c.Lab.Scale() / 2)
	c.Interval = time.Duration(slower+1) * time.Second
	text = strings.ReplaceAll(text, written, fmt.Sprintf("advert_interval = %q", c.Interval))
	return fmt.Sprintf("[global]\nresync = %q\n\n%s", time.Duration(slower)*time.Second, text)
}

// StartAll starts lvsd on every relay and waits until one is MASTER and the
// others are its BACKUPs.
func (c *Cluster) StartAll() {
	c.t.Helper()
	for _, r := range c.Relays {
		r.StartLVSD()
	}
	c.WaitSettled()
}

// StartLVSD starts lvsd on the relay.
func (r *Relay) StartLVSD() {
	r.cluster.t.Helper()
	r.LVSD = r.Start(lab.Command{
		Name: "lvsd",
		Args: []string{Binary(r.cluster.t), "run", "-c", r.cluster.Config, "--run-dir", r.run, "--state-dir", r.run},
	})
}

// Status asks the relay's lvsd.
func (r *Relay) Status() (director.Status, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.cluster.Lab.Scaled(10*time.Second))
	defer cancel()
	return control.Status(ctx, filepath.Join(r.run, "lvsd.sock"))
}

// CLI runs lvsd with the arguments in the relay.
func (r *Relay) CLI(arguments ...string) string {
	r.cluster.t.Helper()
	if slices.Contains(arguments, "status") {
		arguments = append(arguments, "--run-dir", r.run)
	}
	return r.Run(Binary(r.cluster.t), arguments...)
}

// CheckNow has the relay ask all servers of a service at once. What they answer is not
// looked at: see Weight.
func (r *Relay) CheckNow(service string) {
	r.cluster.t.Helper()
	_, _ = r.Try(Binary(r.cluster.t), "check-now", service, "-", "--run-dir", r.run) // it fails if one of them is down
}

// State is the relay's role in lower case, or why there is none.
func (r *Relay) State() string {
	if r.LVSD == nil || !r.LVSD.Running() {
		return "stopped"
	}
	status, err := r.Status()
	switch {
	case err != nil:
		return err.Error()
	case len(status.Instances) == 0:
		return "no instance"
	default:
		return status.Instances[0].State
	}
}

// Masters are the relays that say they are MASTER.
func (c *Cluster) Masters() []*Relay {
	var masters []*Relay
	for _, r := range c.Relays {
		if r.State() == "master" {
			masters = append(masters, r)
		}
	}
	return masters
}

// Master is the one relay that is MASTER.
func (c *Cluster) Master() *Relay {
	c.t.Helper()
	masters := c.Masters()
	if len(masters) != 1 {
		c.t.Fatalf("%d relays are MASTER, want one", len(masters))
	}
	return masters[0]
}

// WaitSettled waits until one relay is MASTER, every other one that runs is
// BACKUP, and each kernel holds what that role needs: the VIP or the rule, never
// both.
func (c *Cluster) WaitSettled() {
	c.t.Helper()
	c.Lab.WaitFor("one MASTER and its BACKUPs", func() error {
		masters := 0
		for _, r := range c.Relays {
			if r.LVSD == nil || !r.LVSD.Running() {
				continue
			}
			state, err := r.settled()
			if err != nil {
				return fmt.Errorf("%s: %w", r.Name, err)
			}
			if state == "master" {
				masters++
			}
		}
		if masters != 1 {
			return fmt.Errorf("%d relays are MASTER", masters)
		}
		return nil
	})
}

// settled returns the role once the kernel is as the role needs it.
func (r *Relay) settled() (string, error) {
	status, err := r.Status()
	if err != nil {
		return "", err
	}
	if len(status.Instances) != 1 || !status.Ready {
		return "", errors.New("not ready")
	}
	// The commands below are asked only when lvsd says that all is as it should
	// be: they cost more than the rest of a slow machine may have left.
	state := status.Instances[0].State
	for _, vip := range status.Instances[0].VIPs {
		if state == "master" != vip.Held || vip.Held == vip.Redirected {
			return "", fmt.Errorf("is %s, says VIP %s held %v, redirected %v", state, vip.Address, vip.Held, vip.Redirected)
		}
	}
	for _, vip := range r.cluster.vips {
		held, rule := r.holds(vip), r.redirects(vip)
		switch {
		case state == "master" && held && !rule:
		case state == "backup" && !held && rule:
		default:
			return "", fmt.Errorf("is %s, VIP %s held %v, rule present %v", state, vip, held, rule)
		}
	}
	return state, nil
}

// HoldsVIP reports whether the relay's kernel has the VIP of IPv4.
func (r *Relay) HoldsVIP() bool {
	r.cluster.t.Helper()
	return r.holds(Service.Addr())
}

// HasRule reports whether the relay's kernel has the REDIRECT rule of IPv4.
func (r *Relay) HasRule() bool {
	r.cluster.t.Helper()
	return r.redirects(Service.Addr())
}

func (r *Relay) holds(vip netip.Addr) bool {
	r.cluster.t.Helper()
	return strings.Contains(r.Run("ip", "address", "show", "dev", lab.LinkName), fmt.Sprintf(" %s/%d ", vip, vip.BitLen()))
}

func (r *Relay) redirects(vip netip.Addr) bool {
	r.cluster.t.Helper()
	command := "iptables"
	if vip.Is6() {
		command = "ip6tables"
	}
	return strings.Contains(r.Run(command, "-t", "nat", "-S", "PREROUTING"), fmt.Sprintf("-d %s/%d ", vip, vip.BitLen()))
}

// Weight is the weight of a real server in the relay's kernel, -1 if it is not
// there.
func (r *Relay) Weight(server *Relay) (int, error) {
	status, err := r.Status()
	if err != nil {
		return 0, err
	}
	for _, service := range status.Services {
		for _, s := range service.RealServers {
			if s.Address == netip.AddrPortFrom(server.Address, Service.Port()).String() {
				return s.KernelWeight, nil
			}
		}
	}
	return 0, fmt.Errorf("no real server %s", server.Address)
}

// WaitWeight waits until the relay's kernel has the weight for the server.
func (c *Cluster) WaitWeight(on, server *Relay, weight int) {
	c.t.Helper()
	c.Lab.WaitFor(fmt.Sprintf("weight %d of %s on %s", weight, server.Name, on.Name), func() error {
		have, err := on.Weight(server)
		if err != nil {
			return err
		}
		if have != weight {
			return fmt.Errorf("weight is %d", have)
		}
		return nil
	})
}

// WaitAllUp waits until every relay that runs lvsd has every server that runs
// Postfix in rotation.
func (c *Cluster) WaitAllUp() {
	c.t.Helper()
	for _, on := range c.Relays {
		if on.LVSD == nil || !on.LVSD.Running() {
			continue
		}
		for _, server := range c.Relays {
			if server.Postfix.Running() {
				c.WaitWeight(on, server, 1)
			}
		}
	}
}

// Restart ends lvsd with the signal and starts it again. It returns how long no
// lvsd answered on the relay: beyond three advert intervals, the others take
// over, as they should.
func (r *Relay) Restart(signal syscall.Signal) time.Duration {
	r.cluster.t.Helper()
	began := time.Now()
	r.LVSD.Signal(signal)
	<-r.LVSD.Done()
	r.StartLVSD()
	r.cluster.Lab.WaitFor("lvsd of "+r.Name+" to answer", func() error {
		_, err := r.Status()
		return err
	})
	return time.Since(began)
}
