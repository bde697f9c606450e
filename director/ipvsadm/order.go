package ipvsadm

import (
	"cmp"
	"encoding/binary"
	"net/netip"

	"github.com/lvsd/lvsd/director/ipvs"
)

// compareServices orders by mark, family, protocol, address and port.
func compareServices(a, b *ipvs.ServiceEntry) int {
	return cmp.Or(
		difference(a.Mark, b.Mark),
		int(a.Family)-int(b.Family),
		int(a.Protocol)-int(b.Protocol),
		compareAddresses(a.Address.Addr(), b.Address.Addr()),
		int(a.Address.Port())-int(b.Address.Port()),
	)
}

// compareDestinations orders by address and port.
func compareDestinations(a, b *ipvs.DestinationEntry) int {
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

// words are the words of an address, the first of an IPv4 address being all of
// it.
func words(a netip.Addr) (w [4]uint32) {
	if a.Is4() {
		raw := a.As4()
		w[0] = binary.BigEndian.Uint32(raw[:])
		return w
	}
	if a.Is6() {
		raw := a.As16()
		for i := range w {
			w[i] = binary.BigEndian.Uint32(raw[4*i:])
		}
	}
	return w
}

// order sorts lists one after the other, in the same memory.
type order[T any] struct {
	sorted, scratch []*T
}

// of is the elements in their order, which is that of all itself when asked
// for. It is valid until the next call.
//
// Because of the overflow the order is not transitive, and the result depends
// on which elements are compared: this is the merge sort that the C library's
// qsort uses.
func (o *order[T]) of(all []T, asTheyCome bool, compare func(a, b *T) int) []*T {
	o.sorted = o.sorted[:0]
	for i := range all {
		o.sorted = append(o.sorted, &all[i])
	}
	if !asTheyCome {
		if len(o.scratch) < len(all) {
			o.scratch = make([]*T, len(all))
		}
		mergeSort(o.sorted, o.scratch, compare)
	}
	return o.sorted
}

// mergeSort sorts all; scratch has at least its length.
func mergeSort[T any](all, scratch []*T, compare func(a, b *T) int) {
	if len(all) < 2 {
		return
	}
	left, right := all[:len(all)/2], all[len(all)/2:]
	mergeSort(left, scratch, compare)
	mergeSort(right, scratch, compare)
	merged := scratch[:0]
	for len(left) > 0 && len(right) > 0 {
		if compare(left[0], right[0]) <= 0 {
			merged, left = append(merged, left[0]), left[1:]
		} else {
			merged, right = append(merged, right[0]), right[1:]
		}
	}
	merged = append(merged, left...) // what is left on the right is in its place
	copy(all, merged)
}
