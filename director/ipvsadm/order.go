package ipvsadm

import (
	"cmp"
	"encoding/binary"
	"net/netip"

	"github.com/lvsd/lvsd/director/ipvs"
)

// compareServices orders by mark, family, protocol, address and port.
func compareServices(a, b ipvs.ServiceEntry) int {
	return cmp.Or(
		difference(a.Mark, b.Mark),
		int(a.Family)-int(b.Family),
		int(a.Protocol)-int(b.Protocol),
		compareAddresses(a.Address.Addr(), b.Address.Addr()),
		int(a.Address.Port())-int(b.Address.Port()),
	)
}

// compareDestinations orders by address and port.
func compareDestinations(a, b ipvs.DestinationEntry) int {
	return cmp.Or(
		compareAddresses(a.Address.Addr(), b.Address.Addr()),
		int(a.Address.Port())-int(b.Address.Port()),
	)
}

// compareAddresses compares in words of 32 bits; how many is for the first
// address to say.
func compareAddresses(a, b netip.Addr) int {
	x, y := words(a), words(b)
	if !a.Is6() {
		return difference(x[0], y[0])
	}
	return cmp.Or(
		difference(x[0], y[0]), difference(x[1], y[1]), difference(x[2], y[2]), difference(x[3], y[3]),
	)
}

// difference compares as ipvsadm does, by a subtraction that overflows: what
// lies more than 2^31 apart is ordered the wrong way round, 192.0.2.1 before
// 10.0.0.1.
func difference(a, b uint32) int {
	return int(int32(a - b))
}

func words(a netip.Addr) [4]uint32 {
	var raw [16]byte
	copy(raw[:], a.AsSlice())
	var w [4]uint32
	for i := range w {
		w[i] = binary.BigEndian.Uint32(raw[4*i:])
	}
	return w
}

// sorted is a sorted copy. Because of the overflow the order is not transitive,
// and the result depends on which elements are compared: this is the merge sort
// that the C library's qsort uses.
func sorted[T any](all []T, compare func(a, b T) int) []T {
	if len(all) < 2 {
		return all
	}
	left := sorted(all[:len(all)/2], compare)
	right := sorted(all[len(all)/2:], compare)
	merged := make([]T, 0, len(all))
	for len(left) > 0 && len(right) > 0 {
		if compare(left[0], right[0]) <= 0 {
			merged, left = append(merged, left[0]), left[1:]
		} else {
			merged, right = append(merged, right[0]), right[1:]
		}
	}
	return append(append(merged, left...), right...)
}
