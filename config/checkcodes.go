package config

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/lvsd/lvsd/healthcheck/probe"
)

// statusRange is the status codes from low to high, both included.
type statusRange struct{ low, high int }

func (r statusRange) String() string {
	if r.low == r.high {
		return strconv.Itoa(r.low)
	}
	return fmt.Sprintf("%d-%d", r.low, r.high)
}

// readCodes reads the accepted codes into their canonical form: in order, and
// ranges that meet are joined. The fallback is described in words.
func readCodes(t *table, key, fallback, words string) string {
	if !t.has(key) && t.keys == nil {
		t.ask(key)
		return fallback
	}
	list, whole := readList(t, key, kinds.codes, words)
	if !t.has(key) {
		return fallback
	}
	items := make([]string, len(list))
	for i, l := range list {
		items[i] = l.value.String()
	}
	if len(items) == 0 && whole {
		t.fail(t.at(key), "accepts no status code, expected at least one")
	}
	set, err := probe.ParseStatus(strings.Join(items, ","))
	if err != nil {
		return "" // no code at all, which was reported
	}
	return set.String()
}

// statusCodes is one code, 301 or "301", or a range, "200-299".
func statusCodes() kind[statusRange] {
	k := kind[statusRange]{name: "status", plural: "status codes and ranges", allowed: "100..599"}
	k.parse = func(raw any) (statusRange, error) {
		low, high, _ := strings.Cut(fmt.Sprint(raw), "-")
		r := statusRange{statusCode(low), statusCode(cmp.Or(high, low))}
		if r.low == 0 || r.high == 0 || r.low > r.high {
			return statusRange{}, fmt.Errorf(`%s, expected a code 100..599 or a range such as "200-299"`, describe(raw))
		}
		return r, nil
	}
	return k
}

// statusCode is the code, or 0 if it is none.
func statusCode(text string) int {
	code, err := strconv.ParseUint(text, 10, 16)
	if err != nil || code < 100 || code > 599 {
		return 0
	}
	return int(code)
}
