package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// addressRange is the addresses from first to last, both included.
type addressRange struct{ first, last netip.Addr }

// count is how many there are; beyond maxGroup it is not exact.
func (r addressRange) count() int {
	n := 1
	for addr := r.first; addr != r.last && n <= maxGroup; addr = addr.Next() {
		n++
	}
	return n
}

// addresses is ADDRESS or ADDRESS-ADDRESS of virtual services.
func addresses() kind[addressRange] {
	k := kind[addressRange]{
		name: "address", plural: "addresses", allowed: "ADDRESS or ADDRESS-ADDRESS",
		expected: `an address or range in quotes, such as "192.0.2.10-192.0.2.20"`,
	}
	k.parse = func(raw any) (addressRange, error) {
		text, ok := raw.(string)
		if !ok {
			return addressRange{}, k.wrongType(raw)
		}
		low, high, isRange := strings.Cut(text, "-")
		first, err := parseAddress(low)
		if err != nil || !isRange {
			return addressRange{first, first}, err
		}
		last, err := parseAddress(high)
		switch {
		case err != nil:
			return addressRange{}, err
		case familyOf(first) != familyOf(last) || last.Less(first):
			return addressRange{}, fmt.Errorf("%q is not a range, expected the lower address first, and one family", text)
		}
		return addressRange{first, last}, nil
	}
	return k
}

// portRange is the ports from first to last, both included.
type portRange struct{ first, last uint16 }

func (r portRange) count() int { return int(r.last) - int(r.first) + 1 }

func (r portRange) String() string {
	if r.first == r.last {
		return strconv.Itoa(int(r.first))
	}
	return fmt.Sprintf("%d-%d", r.first, r.last)
}

// ports is one port, 80 or "80", or a range, "8000-8010", from the least on.
// Port 0 stands alone.
func ports(least uint16) kind[portRange] {
	k := kind[portRange]{name: "port", plural: "ports and ranges", allowed: fmt.Sprintf("%d..65535", least)}
	k.parse = func(raw any) (portRange, error) {
		low, high, isRange := strings.Cut(fmt.Sprint(raw), "-")
		first, err := strconv.ParseUint(low, 10, 16)
		last := first
		if err == nil && isRange {
			last, err = strconv.ParseUint(high, 10, 16)
		}
		if err != nil || last < first || uint16(first) < least || first == 0 && last != 0 {
			return portRange{}, fmt.Errorf(`%s, expected a port %s or a range such as "8000-8010"`, describe(raw), k.allowed)
		}
		return portRange{uint16(first), uint16(last)}, nil
	}
	return k
}
