package integration

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
	"github.com/lvsd/lvsd/integration/relay"
	adverts "github.com/lvsd/lvsd/vrrp/segment"
)

// TestAdverts: lvsd adverts, on a host that has nothing to do with it, shows who
// speaks on the segment, and what is wrong there.
func TestAdverts(t *testing.T) {
	lab.Require(t, lab.NeedNetns)
	t.Parallel()
	p := newPair(t)
	old := virtualRouter{Version: 2, VRID: 51, Priority: 120, Interval: p.interval, Password: "1111", Keys: plainKeys}
	p.first.configure(old)
	p.second.configure(old)
	both := func(n *node, v3 int) {
		v := n.router
		young := virtualRouter{Version: 3, VRID: 61, Priority: v3, Interval: p.interval / 2, VIPs: []string{"10.99.0.200"}, Keys: plainKeys}
		n.write(v.lvsd() + strings.Replace(young.lvsd(), "VI_1", "VI_2", 1))
	}
	both(p.first, 200)
	p.second.router.Interval *= 2
	both(p.second, 100)
	p.first.start()
	p.second.start()

	var report adverts.Report
	p.lab.WaitFor("the report to be complete", func() error {
		report = p.adverts()
		return complaint(report, p.interval)
	})
	out := p.client.Run(relay.Binary(p), "adverts", "--duration", (5 * p.interval).String())
	for _, line := range []string{
		"! eth0 ipv4 vrid 51: interval_differs: 10.99.0.1 has " + p.interval.String(),
		"! eth0 ipv4 vrid 51 10.99.0.1: clear_password: ",
	} {
		if !strings.Contains(out, line) {
			t.Errorf("no %q in:\n%s", line, out)
		}
	}
	if strings.Contains(out, "1111") {
		t.Errorf("the password is shown:\n%s", out)
	}
}

// adverts is what lvsd adverts tells the client.
func (p *pair) adverts() (report adverts.Report) {
	p.Helper()
	out := p.client.Run(relay.Binary(p), "adverts", "--json", "--show-passwords", "--duration", (5 * p.interval).String())
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		p.Fatalf("lvsd adverts: %v: %s", err, out)
	}
	return report
}

// complaint is what is missing in the report.
func complaint(r adverts.Report, interval time.Duration) error {
	var speakers, flags []string
	for _, s := range r.Speakers {
		if s.Adverts > 0 && s.Refused == 0 && s.TTL == 255 && !s.ThisNode {
			speakers = append(speakers, fmt.Sprintf("%s %d: %v version %d priority %d every %v, %s %q, %v %s",
				s.Interface, s.VRID, s.Source, s.Version, s.Priority, s.Interval, s.Auth, s.Password, s.VIPs, s.State))
		}
	}
	for _, f := range r.Flags {
		flags = append(flags, fmt.Sprintf("%d %s", f.VRID, f.Code))
	}
	wantSpeakers := []string{
		fmt.Sprintf(`eth0 51: 10.99.0.1 version 2 priority 120 every %v, pass "1111", [10.99.0.100] master`, interval),
		fmt.Sprintf(`eth0 51: 10.99.0.2 version 2 priority 120 every %v, pass "1111", [10.99.0.100] master`, 2*interval),
		fmt.Sprintf(`eth0 61: 10.99.0.1 version 3 priority 200 every %v, none "", [10.99.0.200] master`, interval/2),
	}
	wantFlags := []string{"51 clear_password", "51 clear_password", "51 interval_differs", "51 two_masters"}
	if fmt.Sprint(speakers) != fmt.Sprint(wantSpeakers) {
		return fmt.Errorf("speakers:\n%s\nwant:\n%s", strings.Join(speakers, "\n"), strings.Join(wantSpeakers, "\n"))
	}
	if fmt.Sprint(flags) != fmt.Sprint(wantFlags) {
		return fmt.Errorf("flags %q, want %q", flags, wantFlags)
	}
	return nil
}
