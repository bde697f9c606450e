package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/sysctl"
)

// Host is the Kernel and the Network of this host, in the network namespace of
// the process. What a configuration does not use is not opened.
type Host struct {
	network *netif.Conn
	// announcer has the sockets for ARP and neighbour advertisements.
	announcer *netif.Announcer
	tree      sysctl.Tree
	table     table
	meter     meter
	rules     *ruleset
	tunnels   tunnelling
	// routing tells to look for virtual routes and rules: there are some, or
	// may be some of a predecessor.
	routing bool
	// named tells that the configuration names virtual routes or rules.
	named bool
}

// OpenHost opens the network; Prepare opens the rest.
func OpenHost() (*Host, error) {
	network, err := netif.Open()
	if err != nil {
		return nil, err
	}
	announcer, err := netif.NewAnnouncer()
	if err != nil {
		network.Close()
		return nil, err
	}
	return &Host{network: network, announcer: announcer, rules: newRuleset()}, nil
}

// Prepare implements Kernel.
func (h *Host) Prepare(c *config.Config) error {
	for _, v := range c.VRRP {
		for _, vip := range v.VIPs {
			h.announcer.Open(vip.Interface)
		}
	}
	if err := h.table.prepare(c); err != nil {
		return err
	}
	if err := h.rules.prepare(c); err != nil {
		return err
	}
	h.tunnels.prepare(c)
	h.named = slices.ContainsFunc(c.VRRP, func(v config.VRRP) bool { return len(v.Routes)+len(v.Rules) > 0 })
	h.routing = true
	return nil
}

// Close closes what was opened.
func (h *Host) Close() error {
	h.network.Close()
	return errors.Join(h.announcer.Close(), h.table.close(), h.meter.close())
}

// Read implements Kernel.
func (h *Host) Read(ctx context.Context, sysctls []string) (Snapshot, error) {
	var s Snapshot
	used, err := processorTime()
	if err != nil {
		return Snapshot{}, err
	}
	if err := h.table.fill(&s); err != nil {
		return Snapshot{}, err
	}
	if s.Addresses, err = h.network.Addresses(ctx); err != nil {
		return Snapshot{}, err
	}
	if err := h.readRouting(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if err := h.readTunnels(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if err := h.rules.fill(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if s.Sysctls, err = h.tree.GetAll(sysctls); err != nil {
		return Snapshot{}, err
	}
	now, err := processorTime()
	s.Cost = now - used
	return s, err
}

// processorTime is what this process, and the commands that it has run, have used so
// far: what one goroutine does is not more than that.
func processorTime() (time.Duration, error) {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var used unix.Rusage
		if err := unix.Getrusage(who, &used); err != nil {
			return 0, fmt.Errorf("processor time: %w", err)
		}
		sum += time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	return sum, nil
}

// readRouting lists the tagged routes and rules. It is left out where there are
// none and no configuration names any: to find none among the million routes of
// a router takes the kernel a while.
func (h *Host) readRouting(ctx context.Context, s *Snapshot) error {
	if !h.routing {
		return nil
	}
	var err error
	if s.Routes, err = h.network.Routes(ctx); err != nil {
		return err
	}
	if s.Rules, err = h.network.Rules(ctx); err != nil {
		return err
	}
	h.routing = h.named || len(s.Routes) > 0 || len(s.Rules) > 0
	return nil
}

// Do implements Kernel.
func (h *Host) Do(ctx context.Context, ops []Op) []error {
	switch batchOf(ops[0]) {
	case batchAddVIPs:
		return h.addVIPs(ops)
	case batchDeleteVIPs:
		return h.deleteVIPs(ops)
	case batchTable:
		return h.table.change(ops)
	case batchAddMutes, batchAddMutes6, batchDeleteMutes, batchDeleteMutes6:
		return slices.Repeat([]error{h.rules.mute(ctx, ops)}, len(ops))
	default:
		return []error{h.do(ctx, ops[0])}
	}
}

func (h *Host) addVIPs(ops []Op) []error {
	vips := make([]netif.VIP, len(ops))
	for i, op := range ops {
		vips[i] = op.(AddVIP).VIP
	}
	return h.network.AddAll(vips)
}

func (h *Host) deleteVIPs(ops []Op) []error {
	addresses := make([]netif.Address, len(ops))
	for i, op := range ops {
		addresses[i] = op.(DeleteVIP).VIP.Address
	}
	return h.network.DeleteAll(addresses)
}

// do carries out an operation that is no part of a batch.
func (h *Host) do(ctx context.Context, op Op) error {
	switch op := op.(type) {
	case SetSysctl:
		return h.tree.Set(op.Name, op.Value)
	case SetTimeout, StartDaemon, StopDaemon:
		return h.table.do(op)
	case EditVIP:
		return h.network.Replace(op.Old.Address, op.VIP)
	case AddRoute:
		return h.network.AddRoute(ctx, op.Route)
	case DeleteRoute:
		return h.network.DeleteRoute(op.Route)
	case AddRule:
		return h.network.AddRule(op.Rule)
	case DeleteRule:
		return h.network.DeleteRule(op.Rule)
	case AddDecapsulation:
		return h.network.AddDecapsulation(ctx, op.Tunnel)
	case DeleteDecapsulation:
		return h.network.DeleteDecapsulation(op.Tunnel, op.DeviceStays)
	default:
		return h.rules.do(ctx, op)
	}
}

var errNotPrepared = errors.New("was not opened")

// Announce implements Network.
func (h *Host) Announce(ifname string, addrs []netip.Addr, count int) error {
	return h.announcer.Announce(ifname, addrs, count)
}

// Probe implements Network.
func (h *Host) Probe(ifname string, addrs []netip.Addr) error {
	return h.announcer.Probe(ifname, addrs)
}

// Listen implements Network.
func (h *Host) Listen(ctx context.Context, ifname string, held func(netip.Addr) bool, claimed func(netif.Claim)) error {
	return netif.Listen(ctx, ifname, held, claimed)
}

// Local implements Network.
func (h *Host) Local(ifname string, addr netip.Addr) (bool, error) {
	return h.network.Local(ifname, addr)
}

// LinkUp implements Network.
func (h *Host) LinkUp(name string) (bool, error) { return h.network.Up(name) }

// Watch implements Network.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	var rules sync.WaitGroup
	defer rules.Wait()
	defer cancel()
	rules.Go(func() { h.rules.watch(ctx, changed) })
	return h.network.Watch(ctx, changed)
}
