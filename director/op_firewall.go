package director

import (
	"fmt"
	"net/netip"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// ipCommandOf is the command for the address's family: iptables or ip6tables.
func ipCommandOf(command string, a netip.Addr) string {
	if a.Is6() {
		return "ip6tables"
	}
	return command
}

func markArguments(m iptables.Mark) string {
	arguments := fmt.Sprintf("-d %s/%d", m.VIP, m.VIP.BitLen())
	if m.Protocol != "" {
		arguments += " -p " + m.Protocol
	}
	switch {
	case m.First == 0:
	case m.First == m.Last:
		arguments += fmt.Sprintf(" --dport %d", m.First)
	default:
		arguments += fmt.Sprintf(" --dport %d:%d", m.First, m.Last)
	}
	return arguments + fmt.Sprintf(" -j MARK --set-mark %d", m.Mark)
}

func snatArguments(s iptables.SNAT) string {
	arguments := fmt.Sprintf("-p %s -m ipvs --vaddr %s/%d", s.Protocol, s.VIP, s.VIP.BitLen())
	if s.Port != 0 {
		arguments += fmt.Sprintf(" --vport %d", s.Port)
	}
	arguments += " --vmethod masq"
	if s.Source.IsValid() {
		return arguments + " -j SNAT --to-source " + s.Source.String()
	}
	return arguments + " -j MASQUERADE"
}

func (o AddDecapsulation) String() string {
	up := "ip link set " + o.Tunnel.Device() + " up"
	if o.Tunnel.Encapsulation == netif.GUE {
		return fmt.Sprintf("ip fou add port %d gue && %s", o.Tunnel.Port, up)
	}
	return up
}

func (o DeleteDecapsulation) String() string {
	down := "ip link set " + o.Tunnel.Device() + " down"
	if o.Tunnel.Encapsulation == netif.GUE {
		return fmt.Sprintf("ip fou del port %d && %s", o.Tunnel.Port, down)
	}
	return down
}
