package netif

import (
	"context"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Rules lists the rules that bear Protocol, of both families.
func (c *Conn) Rules(ctx context.Context) ([]Rule, error) {
	var rules []Rule
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		all, err := retryDump(ctx, func() ([]netlink.Rule, error) { return c.handle.RuleList(family) })
		if err != nil {
			return nil, fmt.Errorf("list rules: %w", err)
		}
		for _, r := range all {
			if r.Protocol == Protocol && r.Family == family {
				rules = append(rules, readRule(r))
			}
		}
	}
	return rules, nil
}

func readRule(r netlink.Rule) Rule {
	rule := Rule{
		IPv6:     r.Family == netlink.FAMILY_V6,
		Priority: uint32(r.Priority),
		From:     readPrefix(r.Src),
		To:       readPrefix(r.Dst),
		Incoming: r.IifName,
		Outgoing: r.OifName,
		Mark:     r.Mark,
		Table:    uint32(r.Table),
	}
	if r.Mask != nil {
		rule.Mask = *r.Mask
	}
	return rule
}

// AddRule adds the rule. That it is there already is no error.
func (c *Conn) AddRule(r Rule) error {
	if err := c.handle.RuleAdd(r.netlink()); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add rule %d: %w", r.Priority, err)
	}
	return nil
}

// DeleteRule deletes the rule. That it is not there is no error.
func (c *Conn) DeleteRule(r Rule) error {
	if err := c.handle.RuleDel(r.netlink()); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete rule %d: %w", r.Priority, err)
	}
	return nil
}

func (r Rule) netlink() *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family = netlink.FAMILY_V4
	if r.IPv6 {
		rule.Family = netlink.FAMILY_V6
	}
	rule.Priority = int(r.Priority)
	rule.Src, rule.Dst = ipNet(r.From), ipNet(r.To)
	rule.IifName, rule.OifName = r.Incoming, r.Outgoing
	rule.Table = int(r.Table)
	rule.Type = unix.RTN_UNICAST
	rule.Protocol = Protocol
	if r.Mask != 0 {
		rule.Mark, rule.Mask = r.Mark, &r.Mask
	}
	return rule
}
