package ipvsadm

import "github.com/lvsd/lvsd/director/ipvs"

// Columns are what a table tells of a destination.
type Columns uint8

// The columns, by the option of ipvsadm that asks for them.
const (
	Connections Columns = iota // none: forwarding method, weight, connections
	Stats                      // --stats: counters, of the service too
	Rate                       // --rate: rates per second, of the service too
	Thresholds                 // --thresholds
	Persistent                 // --persistent-conn: with the persistent connections
	Tunnel                     // --tun-info: like none, with the encapsulation
)

// title is the lines above the first service.
func (c Columns) title() string {
	const service, destination = "Prot LocalAddress:Port", "  -> RemoteAddress:Port"
	switch c {
	case Stats:
		return service + "               Conns   InPkts  OutPkts  InBytes OutBytes\n" + destination + "\n"
	case Rate:
		return service + "                 CPS    InPPS   OutPPS    InBPS   OutBPS\n" + destination + "\n"
	case Thresholds:
		return service + "            Uthreshold Lthreshold ActiveConn InActConn \n" + destination + "\n"
	case Persistent:
		return service + "            Weight    PersistConn ActiveConn InActConn \n" + destination + "\n"
	case Tunnel:
		return service + " Scheduler Flags\n" + destination + "           Forward TunnelInfo    Weight ActiveConn InActConn\n"
	default:
		return service + " Scheduler Flags\n" + destination + "           Forward Weight ActiveConn InActConn\n"
	}
}

// appendDestination appends the row of a destination.
func (o Options) appendDestination(b []byte, d *ipvs.DestinationEntry, p ipvs.Protocol) []byte {
	b = append(b, "  -> "...)
	start := len(b)
	b = o.appendAddressPort(b, d.Address, p)
	if d.Address.Addr().Is4() {
		b = cut(b, start, destinationWidth)
	}
	b = pad(b, start, destinationWidth)
	switch o.Columns {
	case Stats:
		b = o.appendCounters(b, &d.Stats)
	case Rate:
		b = o.appendRates(b, &d.Stats)
	case Thresholds:
		b = appendUint(append(b, ' '), uint64(d.Upper), 10)
		b = appendUint(append(b, ' '), uint64(d.Lower), 10)
		b = appendConnections(b, d)
	case Persistent:
		b = appendUint(append(b, ' '), uint64(uint32(d.Weight)), 9)
		b = appendUint(append(b, ' '), uint64(d.Persistent), 11)
		b = appendConnections(b, d)
	case Tunnel:
		b = appendText(append(b, ' '), forwarding(d.Forwarding), 7)
		b = appendEncapsulation(append(b, ' '), d)
		b = appendInt(append(b, ' '), int64(int32(d.Weight)), 6)
		b = appendConnections(b, d)
	default:
		b = appendText(append(b, ' '), forwarding(d.Forwarding), 7)
		b = appendInt(append(b, ' '), int64(int32(d.Weight)), 6)
		b = appendConnections(b, d)
	}
	return append(b, '\n')
}

func appendConnections(b []byte, d *ipvs.DestinationEntry) []byte {
	b = appendUint(append(b, ' '), uint64(d.Active), 10)
	return appendUint(append(b, ' '), uint64(d.Inactive), 10)
}

// forwarding is the method's name; for one that ipvsadm has no name for it
// prints what C prints for a missing string.
func forwarding(f ipvs.Forwarding) string {
	if f > ipvs.DirectRoute {
		return "(null)"
	}
	return f.String()
}

// encapsulationWidth is the column of the encapsulation.
const encapsulationWidth = 13

// appendEncapsulation appends "ipip", "gue:6080:-c", "gre:+c" or, where there is
// none, "n/a".
func appendEncapsulation(b []byte, d *ipvs.DestinationEntry) []byte {
	start := len(b)
	switch {
	case d.Forwarding != ipvs.Tunnel || d.Tunnel.Type > ipvs.GRE:
		b = append(b, "n/a"...)
	case d.Tunnel.Type == ipvs.GUE:
		b = appendUint(append(b, "gue:"...), uint64(d.Tunnel.Port), 0)
		b = append(append(b, ':'), checksum(d.Tunnel.Flags, "-c", "+c", "r+c")...)
	case d.Tunnel.Type == ipvs.GRE:
		b = append(append(b, "gre:"...), checksum(d.Tunnel.Flags, "-c", "+c", "r+c")...)
	default:
		b = append(b, "ipip"...)
	}
	return pad(b, start, encapsulationWidth)
}

// checksum is the name of a tunnel's checksum flags, of which ipvsadm sets no
// two together.
func checksum(flags uint16, none, some, remote string) string {
	switch {
	case flags&ipvs.TunnelRemoteChecksum != 0:
		return remote
	case flags&ipvs.TunnelChecksum != 0:
		return some
	default:
		return none
	}
}
