package main

import (
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director/doctor"
)

// doctorReport has a finding of each severity and with each part, and a text that
// a neighbour has made up.
var doctorReport = doctor.Report{
	Schema: doctor.Schema, Daemon: 4711, Checks: []string{"host", "VIPs", "NAT", "clock"}, OK: 1,
	Findings: []doctor.Finding{
		{
			Check: "VIPs", ID: "arp-conflict", Severity: doctor.Error, Subject: "VIP 192.0.2.100 on eth0",
			What:   "several hosts answer for it: 02:00:00:00:00:01, 02:00:00:00:00:03",
			Breaks: "clients and routers send to the one that answers first, past the director",
			Mend:   "sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
			On:     "those of them that are not the MASTER",
		},
		{
			Check: "NAT", ID: "nat-gateway-apart", Severity: doctor.Warning, Subject: "virtual service web\x1b[2J",
			What: "no sync group", Breaks: "answers miss the director", Edit: "[[sync_group]]", Mend: "systemctl reload lvsd",
		},
		{
			Check: "clock", ID: "clock-free", Severity: doctor.Note, Subject: "clock", What: "nobody keeps it in time",
			Breaks: "times in the logs",
		},
	},
	Unchecked: []doctor.Unchecked{{What: "firewall rules", Why: "iptables-save works for root only\nand more"}},
}

func TestWriteDoctor(t *testing.T) {
	var b strings.Builder
	if err := writeDoctor(&b, doctorReport, palette{}); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/doctor.want", b.String())

	b.Reset()
	if err := writeDoctor(&b, doctorReport, palette{on: true}); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/doctor-color.want", b.String())

	b.Reset()
	healthy := doctor.Report{Schema: doctor.Schema, Checks: []string{"host", "VIPs"}, OK: 2}
	if err := writeDoctor(&b, healthy, palette{}); err != nil {
		t.Fatal(err)
	}
	const want = "no daemon runs; errors: 0, warnings: 0, notes: 0; ok: 2 of 2 checks, not checked: 0\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestWriteDoctorJSON(t *testing.T) {
	var b strings.Builder
	if err := writeJSON(&b, doctorReport); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, "testdata/doctor.json", b.String())
}

// TestDoctorCannotRun: what keeps it from looking at all is exit code 1, also
// where other commands have another.
func TestDoctorCannotRun(t *testing.T) {
	for _, test := range []struct{ arguments, want string }{
		{"doctor -c /nonexistent", "/nonexistent"},
		{"doctor --listen -1s", "not negative"},
		{"doctor --color blue", "auto, always or never"},
		{"doctor --nodes", "unknown flag"},
		{"doctor eth0", "takes no arguments"},
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), strings.Fields(test.arguments), &stdout, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit code %d, %s", test.arguments, code, stderr.String())
		}
	}
}
