package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/healthcheck/probe"
)

// check is a check of the file: all of a Spec but its target's address.
type check struct {
	spec healthcheck.Spec
	*table
	port   uint16 // 0 is the server's
	weight int    // 0: the check decides between up and down
}

// of is the check of one real server.
func (c check) of(server netip.AddrPort) healthcheck.Spec {
	c.spec.Target = server
	if c.port != 0 {
		c.spec.Target = netip.AddrPortFrom(server.Addr(), c.port)
	}
	return c.spec
}

// wantPort reports that the check has no port and the server none that it could
// take.
func (c check) wantPort(several bool) {
	if several {
		c.missing("port", "the port to ask: the service has several")
	} else {
		c.missing("port", "the port to ask: the real server has none")
	}
}

// The types of check.
const (
	checkTCP   = "tcp"
	checkSMTP  = "smtp"
	checkHTTP  = "http"
	checkHTTPS = "https"
)

// checkOptions are the keys that only some types of check have.
var checkOptions = options[string]{
	"helo_name":  {checkSMTP},
	"path":       {checkHTTP, checkHTTPS},
	"host":       {checkHTTP, checkHTTPS},
	"status":     {checkHTTP, checkHTTPS},
	"tls_verify": {checkHTTPS},
}

// readChecks reads the checks in a table of a service or a real server.
func readChecks(t *table) []check {
	var all []check
	for _, c := range t.listOrOne("check") {
		all = append(all, readCheck(c))
	}
	return all
}

func readCheck(t *table) check {
	defer t.close()
	c := check{table: t, spec: readProbe(t).Of(netip.AddrPort{})}
	c.port = uint16(read(t, "port", kinds.port).orElse(0, "the real server's"))
	c.weight = read(t, "weight", kinds.signedWeight).or(0)
	return c
}

// readProbe reads a check but for whom to ask.
func readProbe(t *table) healthcheck.Check {
	name := read(t, "type", kinds.probe).required()
	c := healthcheck.Check{
		Interval:    read(t, "interval", kinds.interval).or(5 * time.Second),
		Timeout:     read(t, "timeout", kinds.timeout).or(5 * time.Second),
		Retries:     read(t, "retries", kinds.retries).or(0),
		RetryDelay:  read(t, "retry_delay", kinds.delay).or(time.Second),
		Rise:        read(t, "rise", kinds.count).or(2),
		Fall:        read(t, "fall", kinds.count).or(3),
		InitiallyUp: read(t, "initial", kinds.initial).or("down") == "up",
	}
	smtp, http := readSMTP(t), readHTTP(t)
	checkOptions.check(t, "a check", name)
	switch name {
	case checkTCP:
		c.Kind = probe.TCP{}
	case checkSMTP:
		c.Kind = smtp
	case checkHTTP, checkHTTPS:
		http.Secure = name == checkHTTPS
		c.Kind = http
	}
	return c
}

func probeKind() kind[string] {
	return choice(checkTCP, checkSMTP, checkHTTP, checkHTTPS)
}

func readSMTP(t *table) probe.SMTP {
	name := t.node
	if !isWord(name) {
		name = "localhost"
	}
	return probe.SMTP{HeloName: read(t, "helo_name", kinds.word).orElse(name, "the host name")}
}

func readHTTP(t *table) probe.HTTP {
	return probe.HTTP{
		Requests: probe.ListOf(probe.HTTPRequest{
			Path:   read(t, "path", kinds.request).or("/"),
			Status: readStatus(t),
		}),
		Host: read(t, "host", kinds.word).orElse("", "the target's address"),
		TLS:  probe.TLS{Insecure: !read(t, "tls_verify", kinds.boolean).or(true)},
	}
}

func requestTarget() kind[string] {
	return text("", "a path in quotes", func(s string) error {
		if !strings.HasPrefix(s, "/") || !isWord(s) {
			return fmt.Errorf("%q is not a request target, expected one that starts with / and has no spaces", s)
		}
		return nil
	})
}

// statusRange is the status codes from low to high, both included.
type statusRange struct{ low, high int }

func (r statusRange) String() string {
	if r.low == r.high {
		return strconv.Itoa(r.low)
	}
	return fmt.Sprintf("%d-%d", r.low, r.high)
}

// readStatus reads the accepted status codes into their canonical form: in
// order, and ranges that meet are joined.
func readStatus(t *table) string {
	const success = "200-299"
	if !t.has("status") && t.keys == nil {
		t.ask("status")
		return success
	}
	list, _ := readList(t, "status", statusCodes(), `["200-299"]`)
	ranges := plain(list)
	if t.has("status") && len(ranges) == 0 {
		t.fail(t.at("status"), "accepts no status code, expected at least one")
	}
	if !t.has("status") {
		ranges = []statusRange{{200, 299}}
	}
	items := make([]string, len(ranges))
	for i, r := range ranges {
		items[i] = r.String()
	}
	set, err := probe.ParseStatus(strings.Join(items, ","))
	if err != nil {
		return "" // no code at all, which was reported
	}
	return set.String()
}

// statusCodes is one status code, 301 or "301", or a range, "200-299".
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
