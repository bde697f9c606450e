package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/vrrp"
)

// A direction is a way through a host's interface, by tc's name.
type direction string

const (
	in  direction = "ingress"
	out direction = "egress"
)

// A selector picks packets: the arguments of a filter of tc(8).
type selector []string

var (
	everything = selector{"protocol", "all", "matchall"}
	adverts    = selector{"protocol", "ip", "u32", "match", "ip", "protocol", strconv.Itoa(vrrp.Protocol), "0xff"}
)

// from picks IPv4 packets by their source. ARP still goes through.
func from(source netip.Addr) selector {
	return selector{"protocol", "ip", "u32", "match", "ip", "src", source.String() + "/32"}
}

// A dropping is where packets are to be dropped, and which.
type dropping struct {
	host *lab.Host
	way  direction
	what selector
}

func at(n *Node, way direction, what selector) dropping { return dropping{n.Host, way, what} }

// drop drops packets outside of the host's network layer, as a firewall on its
// bridge or a switch would: its own packet sockets do not see what comes in. The
// preference is the fault's own, so that faults can stand at the same time.
func drop(preference int, all ...dropping) (mend func() error, err error) {
	pref := strconv.Itoa(preference)
	mend = func() error {
		var errs []error
		for _, d := range all {
			_, err := d.host.Try("tc", "filter", "del", "dev", lab.LinkName, string(d.way), "pref", pref)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	}
	for i, d := range all {
		_, err := d.host.Try("tc", "qdisc", "replace", "dev", lab.LinkName, "clsact")
		if err == nil {
			arguments := append([]string{"filter", "add", "dev", lab.LinkName, string(d.way), "pref", pref}, d.what...)
			_, err = d.host.Try("tc", append(arguments, "action", "drop")...)
		}
		if err != nil {
			all = all[:i]
			return nil, errors.Join(err, mend())
		}
	}
	return mend, nil
}

// disturbAdverts has netem (tc-netem(8)) do something to the adverts that a node
// sends, and to nothing else.
func disturbAdverts(n *Node, how ...string) (mend func() error, err error) {
	root := []string{"qdisc", "del", "dev", lab.LinkName, "root"}
	steps := [][]string{
		// Bands 1 to 3 are what an interface has anyway; 4 is for adverts.
		{
			"qdisc", "replace", "dev", lab.LinkName, "root", "handle", "1:", "prio", "bands", "4",
			"priomap", "1", "2", "2", "2", "1", "2", "0", "0", "1", "1", "1", "1", "1", "1", "1", "1",
		},
		append([]string{"qdisc", "add", "dev", lab.LinkName, "parent", "1:4", "handle", "40:", "netem"}, how...),
		append(append([]string{"filter", "add", "dev", lab.LinkName, "parent", "1:"}, adverts...), "flowid", "1:4"),
	}
	for _, step := range steps {
		if _, err := n.Try("tc", step...); err != nil {
			_, undone := n.Try("tc", root...)
			return nil, errors.Join(fmt.Errorf("disturb adverts: %w", err), undone)
		}
	}
	return func() error {
		_, err := n.Try("tc", root...)
		return err
	}, nil
}

// milliseconds is a time as tc reads it.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }
