package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

// syncPort is that of the synchronisation daemons unless the file says another.
const syncPort = 8848

// findFirewall tells of rules of others that take packets away before lvsd or IPVS
// sees them. It accuses only where no rule could let the packets pass.
func findFirewall(c *Case) []Finding {
	found := findMixed(c)
	for i := range c.Rulesets {
		rules := &c.Rulesets[i]
		for _, p := range wantedPackets(c.Config) {
			if p.to.Is6() == rules.IPv6 {
				found = append(found, findDropped(c, rules, p)...)
			}
		}
		found = append(found, findTranslated(c, rules)...)
	}
	return found
}

// findMixed tells of rules in both backends: the kernel carries both out.
func findMixed(c *Case) []Finding {
	var found []Finding
	for _, ipv6 := range []bool{false, true} {
		counts := map[bool]int{}
		var tables []string
		for i := range c.Rulesets {
			r := &c.Rulesets[i]
			if r.IPv6 != ipv6 {
				continue
			}
			counts[r.Legacy] += r.rules()
			if r.Legacy == c.NFTables { // the backend that is not the host's
				tables = filledTables(r)
			}
		}
		if counts[true] == 0 || counts[false] == 0 {
			continue
		}
		found = append(found, Finding{
			ID: "iptables-mixed", Severity: Warning, Subject: command(c.NFTables, !c.NFTables, ipv6),
			What: fmt.Sprintf("there are %d rules of iptables-legacy and %d of iptables-nft, and the kernel carries out both",
				counts[true], counts[false]),
			Breaks: "of two rules that translate one packet only one counts, and each of the two commands shows half of the rules",
			Mend:   moveRules(c.NFTables, ipv6, tables),
		})
	}
	return found
}

// filledTables are the tables that have rules.
func filledTables(r *Ruleset) []string {
	var names []string
	for _, chain := range r.Chains {
		if len(chain.Rules) > 0 && !slices.Contains(names, chain.Table) {
			names = append(names, chain.Table)
		}
	}
	return names
}

// moveRules moves the rules of the other backend to the one that the command
// iptables uses.
func moveRules(toNFTables, ipv6 bool, tables []string) string {
	from, to := backend(true, ipv6), backend(false, ipv6)
	if !toNFTables {
		from, to = to, from
	}
	steps := []string{fmt.Sprintf("%s-save | %s-restore --noflush", from, to)}
	for _, table := range tables {
		steps = append(steps, fmt.Sprintf("%s -t %s -F", from, table))
	}
	return strings.Join(steps, " && ")
}

func backend(legacy, ipv6 bool) string {
	name := "iptables"
	if ipv6 {
		name = "ip6tables"
	}
	if legacy {
		return name + "-legacy"
	}
	return name + "-nft"
}

// command is the one that changes rules of the backend.
func command(nfTables, legacy, ipv6 bool) string {
	name := backend(legacy, ipv6)
	if legacy != nfTables { // the host's own
		name, _, _ = strings.Cut(name, "-")
	}
	return name
}

// packet is one that must come in.
type packet struct {
	id, name, breaks string
	protocol         string // as in iptables: "112", "udp"
	port             uint16 // 0 is none
	ifname           string
	to               netip.Addr
}

// wantedPackets are all that must come in, each once.
func wantedPackets(c *config.Config) []packet {
	var all []packet
	for _, v := range c.VRRP {
		group := v.Router.MulticastGroup()
		if v.Router.Unicast() && v.Router.Source.IsValid() {
			group = v.Router.Source
		}
		all = append(all, packet{
			id: "firewall-vrrp", name: "VRRP on " + v.Interface, protocol: "112", ifname: v.Interface, to: group,
			breaks: "this node hears no adverts, and becomes MASTER beside the MASTER",
		})
	}
	if s := c.Sync; s != nil {
		p := packet{
			id: "firewall-sync", name: "connection synchronisation on " + s.Interface, protocol: "udp", port: syncPort,
			ifname: s.Interface, to: netip.AddrFrom4([4]byte{224, 0, 0, 81}),
			breaks: "this node does not learn connections, and they end when it becomes MASTER",
		}
		if s.Port != 0 {
			p.port = s.Port
		}
		if s.Group.IsValid() {
			p.to = s.Group
		}
		all = append(all, p)
	}
	for i := range c.Services {
		key := c.Services[i].IPVS.ServiceKey
		if ifname := interfaceOf(c, key.Address.Addr()); ifname != "" {
			all = append(all, packet{
				id: "firewall-service", name: key.String(), protocol: key.Protocol.String(), port: key.Address.Port(),
				ifname: ifname, to: key.Address.Addr(), breaks: "clients cannot reach virtual service " + c.Services[i].Name,
			})
		}
	}
	return all
}

// interfaceOf is the interface that the VIP is put on; empty if it is none.
func interfaceOf(c *config.Config, vip netip.Addr) string {
	for address := range director.OwnedBy(c).VIPs {
		if address.Addr == vip && address.Interface != loopback {
			return address.Interface
		}
	}
	return ""
}

// findDropped tells that the rules drop the packet.
func findDropped(c *Case, rules *Ruleset, p packet) []Finding {
	why := rules.drops(p)
	if why == "" {
		return nil
	}
	mend := fmt.Sprintf("%s -I INPUT -i %s -p %s", command(c.NFTables, rules.Legacy, rules.IPv6), p.ifname, p.protocol)
	if p.port != 0 {
		mend += fmt.Sprintf(" --dport %d", p.port)
	}
	return []Finding{{
		ID: p.id, Severity: Error, Subject: p.name, What: "the firewall drops it: " + why,
		Breaks: p.breaks, Mend: mend + " -j ACCEPT",
	}}
}

// drops is why the packet is dropped for sure; empty if it may pass.
func (r *Ruleset) drops(p packet) string {
	input := r.chain("filter", "INPUT")
	if input == nil {
		return ""
	}
	passes, why := r.walk(input, p, map[*Chain]bool{})
	if !passes && why == "" && input.Policy == "DROP" {
		why = "the policy of INPUT is DROP, and no rule accepts it"
	}
	return why
}

// walk follows the packet through the chain and those that its rules call. Either
// something there may let it pass, or it says why it is dropped for sure; if neither,
// it is for the caller to decide. A chain under way is not entered again: the kernel
// knows no loops, a text may.
func (r *Ruleset) walk(chain *Chain, p packet, entered map[*Chain]bool) (passes bool, why string) {
	if entered[chain] {
		return false, ""
	}
	entered[chain] = true
	defer delete(entered, chain)
	left := false // perhaps, before its end
	for _, rule := range chain.Rules {
		if !rule.may(p) {
			continue
		}
		switch rule.Target {
		case "ACCEPT", "QUEUE", "NFQUEUE":
			return true, ""
		case "DROP", "REJECT":
			why = fmt.Sprintf("-A %s %s", chain.Name, rule.Text)
		case "RETURN":
			if rule.must(p) {
				return false, ""
			}
			left = true
		default:
			if called := r.chain("filter", rule.Target); called != nil {
				passes, why = r.walk(called, p, entered)
			}
		}
		if passes || why != "" && rule.must(p) && !left {
			return passes, why
		}
		why = ""
	}
	return false, ""
}

// may reports whether the rule can match the first packet of this kind.
func (r Rule) may(p packet) bool {
	ifname, wildcard := strings.CutSuffix(r.Interface, "+")
	ok := r.Interface == "" || ifname == p.ifname || wildcard && strings.HasPrefix(p.ifname, ifname)
	ok = ok && (r.Protocol == "" || r.Protocol == "all" || r.Protocol == p.protocol || p.protocol == "112" && r.Protocol == "vrrp")
	ok = ok && (len(r.Ports) == 0 || slices.ContainsFunc(r.Ports, func(ports PortRange) bool {
		return p.port >= ports.First && p.port <= ports.Last
	}))
	ok = ok && (!r.Destination.IsValid() || r.Destination.Contains(p.to))
	return ok && !r.Established
}

// must reports whether the rule matches every packet of this kind.
func (r Rule) must(p packet) bool {
	return r.may(p) && !r.Further && (!r.Source.IsValid() || r.Source.Bits() == 0)
}

// findTranslated tells of rules that give packets to a VIP another destination:
// IPVS, which comes later, does not see them.
func findTranslated(c *Case, rules *Ruleset) []Finding {
	chain := rules.chain("nat", "PREROUTING")
	if chain == nil {
		return nil
	}
	var found []Finding
	for _, rule := range chain.Rules {
		if rule.Ours || rule.Further || !slices.Contains([]string{"DNAT", "REDIRECT", "NETMAP"}, rule.Target) {
			continue
		}
		for _, p := range wantedPackets(c.Config) {
			if p.id != "firewall-service" || p.to.Is6() != rules.IPv6 || !rule.may(p) {
				continue
			}
			found = append(found, Finding{
				ID: "nat-rule-first", Severity: Error, Subject: p.name,
				What:   "a rule of somebody else translates packets to it: -A PREROUTING " + rule.Text,
				Breaks: "IPVS, and lvsd's own rule on a BACKUP, do not see them",
				Mend:   fmt.Sprintf("%s -t nat -D PREROUTING %s", command(c.NFTables, rules.Legacy, rules.IPv6), rule.Text),
			})
		}
	}
	return found
}
