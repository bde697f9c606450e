package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

// TestSitesAreEqual takes the site from lvsd's file, as lvsd reads it, and from
// ipvsadm's.
func TestSitesAreEqual(t *testing.T) {
	for _, s := range []*site{newSite(100), newSite(2001), newSite(100).withRack(oneVerdict), newSite(2001).withRack(ownChecks)} {
		c, err := config.Parse("site.toml", []byte(s.lvsd("")), "director")
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		probes := map[string]bool{}
		for _, service := range c.Services {
			key := service.IPVS.Address
			fmt.Fprintf(&b, "-A -t %v -s %s\n", key, service.IPVS.Scheduler)
			for _, server := range service.RealServers {
				method := map[ipvs.Forwarding]string{ipvs.DirectRoute: "-g", ipvs.Masquerade: "-m"}[server.Forwarding]
				fmt.Fprintf(&b, "-a -t %v -r %v %s -w %d\n", key, server.Address, method, server.Weight)
				for _, check := range server.Checks {
					probes[fmt.Sprint(check.Target)] = true
				}
			}
		}
		if err := sameBytes([]byte(b.String()), []byte(s.ipvsadm(""))); err != nil {
			t.Errorf("%d services: lvsd and ipvsadm differ: %v", len(s.services), err)
		}
		want := map[siteChecks]int{noChecks: 0, oneVerdict: 1, ownChecks: rackServers}[s.checks]
		if len(probes) != want {
			t.Errorf("lvsd has %d different probes, want %d", len(probes), want)
		}
		text := s.keepalived("/verdict")
		for word, want := range map[string]int{
			"virtual_server ": len(s.services), "real_server ": len(s.services) * serversPerService,
			"FILE_CHECK": map[siteChecks]int{oneVerdict: rackServers}[s.checks], "TCP_CHECK": map[siteChecks]int{ownChecks: rackServers}[s.checks],
		} {
			if n := strings.Count(text, "\n"+word) + strings.Count(text, " "+word); n != want {
				t.Errorf("%d services: keepalived has %d %q, want %d", len(s.services), n, word, want)
			}
		}
		if s.checks != noChecks && s.rack() != rackServers {
			t.Errorf("%d services: %d real servers in the rack", len(s.services), s.rack())
		}
	}
}

func TestServersAreDistinct(t *testing.T) {
	seen := map[netip.AddrPort]bool{}
	for _, service := range newSite(5000).services {
		for _, server := range append([]siteServer{{address: service.address}}, service.servers...) {
			if seen[server.address] {
				t.Fatalf("%v is there twice", server.address)
			}
			seen[server.address] = true
		}
	}
}

func TestParseTrace(t *testing.T) {
	all, err := parseTrace("# tracer: nop\n#\n" +
		"      keepalived-77      [001] .....    12.000250: change: (ip_vs_genl_set_cmd+0x0/0x770 [ip_vs])\n" +
		"  a-b-123     [000] ..s1.    13.5: refuse: (tcp_v4_send_reset+0x0/0x4a0)\n")
	if err != nil || len(all) != 2 {
		t.Fatalf("%v %v", all, err)
	}
	if all[0] != (traced{changeEvent, 12*time.Second + 250*time.Microsecond, "keepalived"}) ||
		all[1] != (traced{refuseEvent, 13*time.Second + time.Second/2, "a-b"}) {
		t.Errorf("%v", all)
	}
	if all, err := parseTrace("CPU:0 [LOST 17 EVENTS]\n"); err == nil {
		t.Errorf("%v of a trace with lost events", all)
	}
}

func TestParseSyscalls(t *testing.T) {
	counts, err := parseSyscalls("# event histogram\n#\n\n" +
		"{ common_pid:        123 } hitcount:       4711\n{ common_pid:      12345 } hitcount:          1\n\n" +
		"Totals:\n    Hits: 4712\n    Entries: 2\n")
	if err != nil || len(counts) != 2 || counts[123] != 4711 || counts[12345] != 1 {
		t.Errorf("%v %v", counts, err)
	}
}

func TestFirstVerdict(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	var log strings.Builder
	for _, entry := range []map[string]any{
		{"time": at.Add(-time.Second), "msg": "check down", "from": "unknown"},
		{"time": at, "msg": "check down", "from": "up"},
		{"time": at.Add(time.Second), "msg": "check down", "from": "up"},
	} {
		line, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(line, '\n'))
	}
	got, err := firstVerdict(log.String(), time.Hour)
	if want := time.Duration(at.UnixNano()) - time.Hour; err != nil || got != want {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	if _, err := firstVerdict("not JSON\n", 0); err == nil {
		t.Error("a verdict from nowhere")
	}
}

func TestSizes(t *testing.T) {
	if sizes, err := parseSizes("100,1000"); err != nil || len(sizes) != 2 || sizes[1] != 1000 {
		t.Errorf("%v %v", sizes, err)
	}
	for _, bad := range []string{"", "0", "x", "100,", "99999999"} {
		if _, err := parseSizes(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestGoals meets and misses each kind of target by a hair.
func TestGoals(t *testing.T) {
	d := newRecord()
	set := func(work, name string, values ...float64) {
		for i, v := range values {
			d.all = append(d.all, measurement{work: work, contestant: name, size: 10, repetition: i, value: v, speed: time.Millisecond})
		}
	}
	set(workProgram, nameLVSD, 10, 1, 100)
	set(workProgram, nameKeepalived, 30)
	set(workProgram, nameIPVSADM, 31)
	set(workStart, nameLVSD, 10)
	set(workStart, nameKeepalived, 99)
	set(workMemory, nameLVSD, 11)
	set(workMemory, nameKeepalived, 10)
	set(countFull, nameLVSD, 0)
	set(countReload, nameLVSD, 6)
	d.fail(nameKeepalived, 10, errors.New("it hung"))
	var b strings.Builder
	d.print(&b, []int{10}, options{repeat: 3})
	for _, want := range []string{
		"| 10 ms (1.00 ms–100 ms) |", "| 3.00 × | ≥ 3 × met |", "| 9.90 × | ≥ 10 × missed |", "| 1.10 × | ≤ 1.0 × missed |",
		"≤ 0 met", "≤ 5 missed", "it hung",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "too busy") {
		t.Errorf("busy:\n%s", b.String())
	}
	d.all[0].speed = 100 * time.Microsecond
	b.Reset()
	d.print(&b, []int{10}, options{repeat: 3})
	if !strings.Contains(b.String(), "too busy") {
		t.Errorf("not busy:\n%s", b.String())
	}
}

func TestSameBytes(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"a\nb", "a\nc", "line 2"}, {"a\n", "a\nb\nc", "line 2"}, {"a", "a\nb", "1 and 2 lines"},
	} {
		if err := sameBytes([]byte(c.a), []byte(c.b)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q and %q: %v, want %s", c.a, c.b, err, c.want)
		}
	}
	if err := sameBytes([]byte("a\n"), []byte("a\n")); err != nil {
		t.Error(err)
	}
}
