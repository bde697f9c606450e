package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/sysctl"
)

// Host is the Kernel and the Network of this host, in the network namespace of
// the process. What a configuration does not use is not opened.
type Host struct {
	network *netif.Conn
	// announcer has the sockets for ARP and neighbour advertisements.
	announcer *netif.Announcer
	tree      sysctl.Tree
	table     *ipvs.Client
	rules     *iptables.Table
	// lockWait is what rules was opened with.
	lockWait time.Duration
	// listed is what the last complete listing of the rules found.
	listed []iptables.Tagged
	// heldAt is when the rule that holds connection tracking was last seen.
	heldAt time.Time
	// routing tells to look for virtual routes and rules: there are some, or
	// may be some of a predecessor.
	routing bool
	// named tells that the configuration names virtual routes or rules.
	named bool
}

// holdInterval is how often the rule that holds connection tracking is looked
// for. Each look runs a command, and that rule matters only at the next switch.
const holdInterval = 10 * time.Second

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
	return &Host{network: network, announcer: announcer}, nil
}

// Prepare implements Kernel.
func (h *Host) Prepare(c *config.Config) error {
	for _, v := range c.VRRP {
		for _, vip := range v.VIPs {
			h.announcer.Open(vip.Interface)
		}
	}
	if len(c.Services) > 0 && h.table == nil {
		table, err := ipvs.Open()
		if err != nil {
			return err
		}
		h.table = table
	}
	relay := slices.ContainsFunc(c.VRRP, func(v config.VRRP) bool { return v.ServeOnBackup })
	if relay && (h.rules == nil || h.lockWait != c.Global.LockWait) {
		rules, err := iptables.New(c.Global.LockWait)
		if err != nil {
			return err
		}
		h.rules, h.lockWait = rules, c.Global.LockWait
	}
	h.named = slices.ContainsFunc(c.VRRP, func(v config.VRRP) bool { return len(v.Routes)+len(v.Rules) > 0 })
	h.routing = true
	return nil
}

// Close closes what was opened.
func (h *Host) Close() error {
	h.network.Close()
	err := h.announcer.Close()
	if h.table != nil {
		err = errors.Join(err, h.table.Close())
	}
	return err
}

// Read implements Kernel.
func (h *Host) Read(ctx context.Context, sysctls []string) (Snapshot, error) {
	var s Snapshot
	var err error
	if h.table != nil {
		if s.Services, err = h.table.Services(); err != nil {
			return Snapshot{}, err
		}
	}
	if s.Addresses, err = h.network.Addresses(ctx); err != nil {
		return Snapshot{}, err
	}
	if err := h.readRouting(ctx, &s); err != nil {
		return Snapshot{}, err
	}
	if h.rules != nil {
		if err := h.readRules(ctx, &s); err != nil {
			return Snapshot{}, err
		}
	}
	s.Sysctls = map[string]string{}
	for _, name := range sysctls {
		value, err := h.tree.Get(name)
		switch {
		case err == nil:
			s.Sysctls[name] = value
		case !errors.Is(err, sysctl.ErrNotExist):
			return Snapshot{}, err
		}
	}
	return s, nil
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
		return h.changeTable(ops)
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
	default:
		if h.rules == nil {
			return fmt.Errorf("iptables: %w", errNotPrepared)
		}
		return h.doRule(ctx, op)
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

// LinkUp implements Network.
func (h *Host) LinkUp(name string) (bool, error) { return h.network.Up(name) }

// Watch implements Network.
func (h *Host) Watch(ctx context.Context, changed func()) error {
	return h.network.Watch(ctx, changed)
}
