package director

import (
	"fmt"
	"strings"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// iptablesCommand is the command for the family.
func iptablesCommand(ipv6 bool) string {
	if ipv6 {
		return "ip6tables"
	}
	return "iptables"
}

func redirectArguments(r iptables.Redirect) string {
	arguments := fmt.Sprintf("-d %s/%d -p %s", r.VIP, r.VIP.BitLen(), r.Protocol)
	if r.Port != 0 {
		arguments += fmt.Sprintf(" --dport %d", r.Port)
	}
	if r.NewOnly {
		arguments += " --syn"
	}
	return arguments + " -j REDIRECT"
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

func muteArguments(m iptables.Mute) string {
	return fmt.Sprintf("-s %s/%d -p tcp --tcp-flags RST,ACK RST -j DROP", m.VIP, m.VIP.BitLen())
}

func (o AddDecapsulation) String() string {
	up := "ip link set " + o.Tunnel.Device() + " up"
	if o.Tunnel.Encapsulation == netif.GUE {
		return fmt.Sprintf("ip fou add port %d gue && %s", o.Tunnel.Port, up)
	}
	return up
}

func (o DeleteDecapsulation) String() string {
	var commands []string
	if o.Tunnel.Encapsulation == netif.GUE {
		commands = append(commands, fmt.Sprintf("ip fou del port %d", o.Tunnel.Port))
	}
	if !o.DeviceStays {
		commands = append(commands, "ip link set "+o.Tunnel.Device()+" down")
	}
	if len(commands) == 0 {
		return "true # " + o.Tunnel.Device() + " stays up"
	}
	return strings.Join(commands, " && ")
}
