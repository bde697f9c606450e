package alert

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/lvsd/lvsd/director"
)

// fifoLines are keepalived's lines for the event: none if it has no word for it.
func fifoLines(e director.Event) []string {
	switch e.Kind {
	case director.EventInstance:
		return []string{fmt.Sprintf("INSTANCE %s %s %d\n", quoted(e.Instance), stateWord(e.To), e.Priority)}
	case director.EventGroup:
		return []string{fmt.Sprintf("GROUP %s %s 0\n", quoted(e.Group), stateWord(e.To))}
	case director.EventQuorumUp, director.EventQuorumDown:
		return eachService(e, func(service, _ string) string { return "VS " + service })
	case director.EventServerUp, director.EventServerDown:
		return eachService(e, func(service, protocol string) string {
			server := e.Server
			if address, err := netip.ParseAddrPort(server); err == nil {
				server = trio(address, protocol)
			}
			return "RS " + server + " " + service
		})
	default:
		return nil
	}
}

// quoted is a name in quotes, without what would end them.
func quoted(name string) string {
	return `"` + strings.NewReplacer(`"`, "", "\n", "").Replace(name) + `"`
}

// stateWord is the role in keepalived's word.
func stateWord(state string) string {
	if state == "initialize" {
		return "STOP"
	}
	return strings.ToUpper(state)
}

// eachService has a line for each virtual service of the event's name. Words get the
// service as keepalived writes it, and its protocol.
func eachService(e director.Event, words func(service, protocol string) string) []string {
	var lines []string
	for _, text := range e.Addresses {
		service, protocol := keepalivedService(text)
		lines = append(lines, words(service, protocol)+" "+strings.ToUpper(e.To)+"\n")
	}
	return lines
}

// keepalivedService turns "tcp 192.0.2.100:25" into "[192.0.2.100]:tcp:25" and
// "fwmark 7" into "FWM 7".
func keepalivedService(text string) (service, protocol string) {
	protocol, rest, _ := strings.Cut(text, " ")
	if protocol == "fwmark" {
		mark, _, _ := strings.Cut(rest, " ")
		return "FWM " + mark, "tcp"
	}
	if address, err := netip.ParseAddrPort(rest); err == nil {
		return trio(address, protocol), protocol
	}
	return text, protocol
}

func trio(a netip.AddrPort, protocol string) string {
	return fmt.Sprintf("[%s]:%s:%d", a.Addr(), protocol, a.Port())
}
