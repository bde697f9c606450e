package probe

import (
	"fmt"
	"strconv"
	"strings"
)

// The status codes that can be listed (RFC 9110 15).
const (
	minStatus = 100
	maxStatus = 599
)

// StatusSet is a set of HTTP status codes, 100..599. It is comparable; the zero
// value is empty.
type StatusSet [(maxStatus - minStatus + 64) / 64]uint64

// ParseStatus reads a list of codes and ranges, "200-299, 301". It is an error
// if the list is empty, a code is not 100..599 or a range runs backwards.
func ParseStatus(list string) (StatusSet, error) {
	var set StatusSet
	for item := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(item, "-")
		if !isRange {
			last = first
		}
		low, err := parseStatusCode(first)
		if err != nil {
			return StatusSet{}, fmt.Errorf("status list %q: %w", list, err)
		}
		high, err := parseStatusCode(last)
		if err != nil {
			return StatusSet{}, fmt.Errorf("status list %q: %w", list, err)
		}
		if high < low {
			return StatusSet{}, fmt.Errorf("status list %q: range %d-%d runs backwards", list, low, high)
		}
		for code := low; code <= high; code++ {
			set.add(code)
		}
	}
	return set, nil
}

func parseStatusCode(s string) (int, error) {
	s = strings.Trim(s, " \t")
	code, err := strconv.ParseUint(s, 10, 16)
	if err != nil || len(s) != 3 || code < minStatus || code > maxStatus {
		return 0, fmt.Errorf("%q is not a status code (%d..%d)", s, minStatus, maxStatus)
	}
	return int(code), nil
}

func (s *StatusSet) add(code int) {
	bit := code - minStatus
	s[bit/64] |= 1 << (bit % 64)
}

// Contains reports whether code is in the set.
func (s StatusSet) Contains(code int) bool {
	bit := code - minStatus
	return bit >= 0 && code <= maxStatus && s[bit/64]&(1<<(bit%64)) != 0
}

// String is the canonical form, which ParseStatus reads: ascending, neighbours
// joined, "200-299,301". Equal sets have equal strings.
func (s StatusSet) String() string {
	var items []string
	for code := minStatus; code <= maxStatus; code++ {
		if !s.Contains(code) {
			continue
		}
		first := code
		for s.Contains(code + 1) {
			code++
		}
		item := strconv.Itoa(first)
		if code > first {
			item += "-" + strconv.Itoa(code)
		}
		items = append(items, item)
	}
	return strings.Join(items, ",")
}
