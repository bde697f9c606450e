package ipvs

// serviceIndex finds services by what /proc/net/ip_vs says of them. It lists
// them in the order of netlink, so that the next one asked for is mostly the
// next one there.
type serviceIndex struct {
	services []ServiceEntry
	next     int
	byKey    map[ServiceKey]int // made when the order differs
	marks    map[uint32]int     // how many services have the mark
}

func newServiceIndex(services []ServiceEntry) *serviceIndex {
	x := &serviceIndex{services: services, marks: map[uint32]int{}}
	for i := range services {
		if mark := services[i].Mark; mark != 0 {
			x.marks[mark]++
		}
	}
	return x
}

// find returns the position of a service, or -1. The family of a key with a
// mark is not known: a mark that two services have finds none.
func (x *serviceIndex) find(k ServiceKey) int {
	if k.Mark != 0 && x.marks[k.Mark] > 1 {
		return -1
	}
	if x.next < len(x.services) && withoutFamily(x.services[x.next].ServiceKey) == withoutFamily(k) {
		x.next++
		return x.next - 1
	}
	if x.byKey == nil {
		x.byKey = make(map[ServiceKey]int, len(x.services))
		for i := range x.services {
			x.byKey[withoutFamily(x.services[i].ServiceKey)] = i
		}
	}
	i, ok := x.byKey[withoutFamily(k)]
	if !ok {
		return -1
	}
	x.next = i + 1
	return i
}

// withoutFamily is the key without the family, which the address repeats.
func withoutFamily(k ServiceKey) ServiceKey {
	k.Family = 0
	return k
}
