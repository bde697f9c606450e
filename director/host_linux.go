package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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

// readRules lists the tagged rules. A second copy of a rule, and a rule that
// this version would not write, is a stray. While somebody else keeps the
// xtables lock, the rules are taken to be as they were: VIPs and services must
// not wait for it.
func (h *Host) readRules(ctx context.Context, s *Snapshot) error {
	tagged, err := h.rules.Redirects(ctx)
	locked := errors.Is(err, iptables.ErrLocked)
	switch {
	case err == nil:
		h.listed = tagged
	case !locked:
		return err
	}
	seen := Set[iptables.Redirect]{}
	for _, rule := range h.listed {
		if !rule.Known || seen.Has(rule.Redirect) {
			s.Strays = append(s.Strays, strings.Join(rule.Spec, " "))
			continue
		}
		seen.Add(rule.Redirect)
		s.Redirects = append(s.Redirects, rule.Redirect)
	}
	if locked || time.Since(h.heldAt) < holdInterval {
		s.ConntrackHeld = true
		return nil
	}
	if s.ConntrackHeld, err = h.rules.ConntrackHeld(ctx); s.ConntrackHeld {
		h.heldAt = time.Now()
	}
	return err
}

// DoVIPs implements Kernel.
func (h *Host) DoVIPs(_ context.Context, ops []Op) []error {
	var come []netif.VIP
	var leave []netif.Address
	for _, op := range ops {
		switch op := op.(type) {
		case AddVIP:
			come = append(come, op.VIP)
		case DeleteVIP:
			leave = append(leave, op.VIP.Address)
		}
	}
	if len(leave) > 0 {
		return h.network.DeleteAll(leave)
	}
	return h.network.AddAll(come)
}

// Do implements Kernel.
func (h *Host) Do(ctx context.Context, op Op) error {
	switch op := op.(type) {
	case SetSysctl:
		return h.tree.Set(op.Name, op.Value)
	case AddVIP:
		return h.network.Add(op.VIP)
	case EditVIP:
		return h.network.Replace(op.Old.Address, op.VIP)
	case DeleteVIP:
		return h.network.Delete(op.VIP.Address)
	case AddRoute:
		return h.network.AddRoute(ctx, op.Route)
	case DeleteRoute:
		return h.network.DeleteRoute(op.Route)
	case AddRule:
		return h.network.AddRule(op.Rule)
	case DeleteRule:
		return h.network.DeleteRule(op.Rule)
	case AddService, EditService, DeleteService, AddRealServer, EditRealServer, DeleteRealServer:
		if h.table == nil {
			return fmt.Errorf("IPVS: %w", errNotPrepared)
		}
		return h.doTable(op)
	default:
		if h.rules == nil {
			return fmt.Errorf("iptables: %w", errNotPrepared)
		}
		return h.doRule(ctx, op)
	}
}

var errNotPrepared = errors.New("was not opened")

// doTable changes the IPVS table. What was made or removed by somebody else
// since it was read is made to fit, or let be.
func (h *Host) doTable(op Op) error {
	var err error
	switch op := op.(type) {
	case AddService:
		if err = h.table.AddService(op.Service); errors.Is(err, ipvs.ErrExists) {
			err = h.table.UpdateService(op.Service)
		}
	case EditService:
		err = h.table.UpdateService(op.Service)
	case AddRealServer:
		if err = h.table.AddDestination(op.Key, op.Server); errors.Is(err, ipvs.ErrExists) {
			err = h.table.UpdateDestination(op.Key, op.Server)
		}
	case EditRealServer:
		err = h.table.UpdateDestination(op.Key, op.Server)
	case DeleteService:
		err = unlessAbsent(h.table.DeleteService(op.Key))
	case DeleteRealServer:
		err = unlessAbsent(h.table.DeleteDestination(op.Key, op.Server))
	}
	return err
}

func unlessAbsent(err error) error {
	if errors.Is(err, ipvs.ErrNotExist) {
		return nil
	}
	return err
}

func (h *Host) doRule(ctx context.Context, op Op) error {
	switch op := op.(type) {
	case AddRedirect:
		return h.rules.Add(ctx, op.Rule)
	case DeleteRedirect:
		return h.rules.Delete(ctx, op.Rule)
	case HoldConntrack:
		return h.rules.HoldConntrack(ctx)
	case ReleaseConntrack:
		h.heldAt = time.Time{}
		return h.rules.ReleaseConntrack(ctx)
	case DeleteStray:
		return h.deleteStray(ctx, op.Rule)
	}
	return fmt.Errorf("%T: %w", op, errors.ErrUnsupported)
}

func (h *Host) deleteStray(ctx context.Context, text string) error {
	tagged, err := h.rules.Redirects(ctx)
	if err != nil {
		return err
	}
	for _, rule := range slices.Backward(tagged) {
		if strings.Join(rule.Spec, " ") == text {
			return h.rules.Remove(ctx, rule)
		}
	}
	return nil
}

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
