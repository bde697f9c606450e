package ipvsadm

import "github.com/lvsd/lvsd/director/ipvs"

// appendCounters appends what is counted of a service or destination.
func (o Options) appendCounters(b []byte, s *ipvs.Stats) []byte {
	for _, n := range [...]uint64{s.Connections, s.InPackets, s.OutPackets, s.InBytes, s.OutBytes} {
		b = o.appendCounter(b, n)
	}
	return b
}

// appendRates appends the rates of a destination, of which ipvsadm shortens
// only the bytes.
func (o Options) appendRates(b []byte, s *ipvs.Stats) []byte {
	for _, n := range [...]uint64{s.ConnectionRate, s.InPacketRate, s.OutPacketRate} {
		b = appendRight(append(b, ' '), n, 8)
	}
	b = o.appendCounter(b, s.InByteRate)
	return o.appendCounter(b, s.OutByteRate)
}

// appendServiceRates appends the rates of a service, all of them shortened.
func (o Options) appendServiceRates(b []byte, s *ipvs.Stats) []byte {
	for _, n := range [...]uint64{s.ConnectionRate, s.InPacketRate, s.OutPacketRate, s.InByteRate, s.OutByteRate} {
		b = o.appendCounter(b, n)
	}
	return b
}

// units are how ipvsadm shortens a counter that is at least from.
var units = [...]struct {
	from, divisor uint64
	name          byte
}{
	{1e14, 1e12, 'T'},
	{1e11, 1e9, 'G'},
	{1e9, 1e6, 'M'},
	{1e8, 1e3, 'K'},
}

// appendCounter appends a number to the right of its column, with at least one
// blank before it.
func (o Options) appendCounter(b []byte, n uint64) []byte {
	if o.Exact {
		return appendRight(append(b, ' '), n, 8)
	}
	for _, u := range units {
		if n >= u.from {
			return append(appendRight(b, n/u.divisor, 8), u.name)
		}
	}
	return appendRight(b, n, 9)
}
