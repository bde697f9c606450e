package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp/segment"
)

const loopback = "lo"

// findVIPs tells of VIPs that are where they must not be: the ARP problem.
func findVIPs(c *Case) []Finding {
	var found []Finding
	for _, v := range c.Config.VRRP {
		for _, vip := range v.VIPs {
			found = append(found, findAnswers(c, v, vip.Address)...)
		}
	}
	found = append(found, findToldOf(c)...)
	return append(found, findMisplaced(c)...)
}

// findAnswers tells of other hosts that say they have the VIP. One other host may:
// the MASTER, where it is not this one.
func findAnswers(c *Case, v config.VRRP, vip netif.Address) []Finding {
	macs, asked := c.answersTo(Place{vip.Interface, vip.Addr})
	if !asked {
		return nil
	}
	f := Finding{ID: "arp-conflict", Severity: Error, Subject: fmt.Sprintf("VIP %s on %s", vip.Addr, vip.Interface)}
	switch here := c.holds(vip.Interface, vip.Addr); {
	case here && len(macs) > 0:
		f.What = "this node has it, and it is also answered for by " + macList(macs)
		f.On = "the host with " + macList(macs)
	case !here && len(macs) > 1:
		f.What = "several hosts answer for it: " + macList(macs)
		f.On = "those of them that are not the MASTER"
	case !here && len(macs) == 0:
		return findUnanswered(c, v, vip)
	default:
		return nil
	}
	f.Breaks = "clients and routers send to the one that answers first, past the director"
	f.Mend = silence(vip.Interface, vip.Addr)
	return []Finding{f}
}

// findUnanswered tells of a VIP that nobody has.
func findUnanswered(c *Case, v config.VRRP, vip netif.Address) []Finding {
	master := masterOf(c, v)
	if master == "" {
		return nil // nobody is to have it
	}
	return []Finding{{
		ID: "vip-unanswered", Severity: Error, Subject: fmt.Sprintf("VIP %s on %s", vip.Addr, vip.Interface),
		What:   fmt.Sprintf("%s is MASTER of instance %s, and nobody answers for it", master, v.Router.Name),
		Breaks: "clients cannot reach it",
		Mend:   fmt.Sprintf("ip address add %s/%d dev %s", vip.Addr, vip.Bits, vip.Interface), On: "the MASTER",
	}}
}

// masterOf is the address of another node that is MASTER of the instance; empty if
// none is known.
func masterOf(c *Case, v config.VRRP) string {
	if c.Status != nil {
		for _, i := range c.Status.Instances {
			if i.Name == v.Router.Name && i.State == "backup" {
				return i.Master
			}
		}
	}
	for _, s := range speakersOf(c, v) {
		if s.State == segment.Master {
			return s.Source.String()
		}
	}
	return ""
}

// findToldOf tells of conflicts that the daemon has seen, whether or not the host
// answers just now.
func findToldOf(c *Case) []Finding {
	if c.Status == nil {
		return nil
	}
	var found []Finding
	for _, told := range c.Status.Conflicts {
		vip, err := netip.ParseAddr(told.VIP)
		if told.Ended || err != nil {
			continue
		}
		found = append(found, Finding{
			ID: "arp-conflict", Severity: Error, Subject: fmt.Sprintf("VIP %s on %s", told.VIP, told.Interface),
			What:   fmt.Sprintf("this node has it, and %s said %d times that it has it", told.MAC, told.Count),
			Breaks: "clients and routers send to the one that answers first, past the director",
			Mend:   silence(told.Interface, vip), On: "the host with " + told.MAC,
		})
	}
	return found
}

// silence keeps a host from answering for a VIP that it has on lo. Of IPv6, only an
// address of the interface itself is answered for.
func silence(ifname string, vip netip.Addr) string {
	if vip.Is6() {
		return fmt.Sprintf("ip address del %s/128 dev %s", vip, ifname)
	}
	return "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"
}

// findMisplaced tells of VIPs on an interface of this host that the file does not
// put them on, and of those on lo that this host tells its neighbours of.
func findMisplaced(c *Case) []Finding {
	owned := director.OwnedBy(c.Config).VIPs
	where := map[netip.Addr]string{}
	for address := range owned {
		if address.Interface != loopback {
			where[address.Addr] = address.Interface
		}
	}
	var found []Finding
	for _, a := range c.Addresses {
		ifname, isVIP := where[a.Addr]
		if !isVIP {
			continue
		}
		subject := fmt.Sprintf("VIP %s on %s", a.Addr, a.Interface)
		if a.Interface == loopback && a.Addr.Is4() && c.perInterface("arp_ignore", ifname) == 0 {
			found = append(found, Finding{
				ID: "arp-not-silent", Severity: Error, Subject: subject,
				What:   fmt.Sprintf("arp_ignore is 0, so this node answers for it on %s in every role", ifname),
				Breaks: "clients and routers send to this node although another is MASTER",
				Mend:   silence(a.Interface, a.Addr),
			})
		}
		if !owned.Has(a) {
			found = append(found, Finding{
				ID: "vip-misplaced", Severity: Warning, Subject: subject,
				What:   "it stands there, and not by the configuration",
				Breaks: "while BACKUP, this node takes packets to it for its own instead of leaving them to the MASTER",
				Mend:   fmt.Sprintf("ip address del %s/%d dev %s", a.Addr, a.Bits, a.Interface),
			})
		}
	}
	return found
}

func macList(macs []netif.MAC) string {
	texts := make([]string, len(macs))
	for i, mac := range macs {
		texts[i] = mac.String()
	}
	return strings.Join(slices.Compact(texts), ", ")
}
