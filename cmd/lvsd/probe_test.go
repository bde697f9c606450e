package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// probeReported is a report with all that can be told.
func probeReported() probeReport {
	of := func(service, server, check string, ok bool, code, reason string) probed {
		return probed{
			Service: service, Server: server, Check: check, OK: ok, Code: code, Reason: reason, Duration: 1234567 * time.Nanosecond,
			Transcript: []string{"> QUIT", "< 221 Bye"},
		}
	}
	weight, aged := 7, of("web", "192.0.2.12:443", "https 192.0.2.12:443", true, "L7OK", "status 200 OK")
	aged.Warning = "certificate of www.example.org expires in 5 days"
	drained := of("web", "192.0.2.12:443", "file 192.0.2.12", true, "L7OK", "says weight 7")
	drained.Told, drained.Duration, drained.Transcript = &weight, 0, []string{}
	uplink := of("", "", "ping 192.0.2.254", false, "L4TOUT", "reply: timed out")
	uplink.Tracker, uplink.Duration = "uplink", 5*time.Second
	return probeReport{
		Schema: "lvsd.probe/1",
		Probes: []probed{
			of("mail", "192.0.2.11:25", "smtp 192.0.2.11:25", true, "L7OK", "220 mx1.example.org ESMTP"),
			of("mail", "mx2.example.org", "smtp 192.0.2.12:25", false, "L7STS", "RCPT TO: 550 5.1.1 unknown"),
			of("mail", "192.0.2.13:25", "tcp 192.0.2.13:8025", false, "L4CON", "connect: connection refused"),
			aged, drained, uplink,
		},
		Names: map[string]string{"mx4.example.org": "no such host", "mx3.example.org": "no such host"},
	}
}

func TestWriteProbes(t *testing.T) {
	for _, test := range []struct {
		golden   string
		report   probeReport
		verbose  bool
		coloured bool
	}{
		{"probe.want", probeReported(), false, false},
		{"probe-verbose.want", probeReported(), true, false},
		{"probe-color.want", probeReported(), false, true},
		{"probe-nothing.want", probeReport{}, false, false},
	} {
		var b strings.Builder
		if err := writeProbes(&b, test.report, test.verbose, palette{test.coloured}); err != nil {
			t.Fatal(err)
		}
		wantGolden(t, filepath.Join("testdata", test.golden), b.String())
	}
	var b strings.Builder
	if err := writeJSON(&b, probeReported()); err != nil {
		t.Fatal(err)
	}
	wantGolden(t, filepath.Join("testdata", "probe.json"), b.String())
}

// greeter is a server on this host that greets.
func greeter(t *testing.T, greeting string) (port int) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, greeting)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// probeFile is a configuration with two servers, of which the one greets with
// "ready" and the other with "busy", and a tracker that asks the one.
func probeFile(t *testing.T) string {
	t.Helper()
	ready, busy := greeter(t, "ready\r\n"), greeter(t, "busy\r\n")
	path := filepath.Join(t.TempDir(), "lvsd.toml")
	text := fmt.Sprintf(`
[[tracker]]
name = "uplink"
type = "check"
check = { type = "tcp", address = "127.0.0.1:%[1]d" }

[[vrrp]]
name = "VI_1"
interface = "lo"
vrid = 1
vips = ["198.51.100.10"]

[[virtual_service]]
name = "pop"
address = "198.51.100.10:110"
protocol = "tcp"
forwarding = "nat"

  [[virtual_service.real_server]]
  address = "192.0.2.1:110"
  check = { type = "banner", connect_to = "127.0.0.1:%[1]d", expect = "^ready" }

  [[virtual_service.real_server]]
  address = "192.0.2.2:110"
  check = { type = "banner", connect_to = "127.0.0.1:%[2]d", expect = "^ready" }

  [[virtual_service.real_server]]
  address = "absent.invalid:110"
  check = { type = "tcp" }

  [[virtual_service.real_server]]
  address = "192.0.2.5:110"
  check = { type = "script", command = ["/bin/false"] }

  [[virtual_service.real_server]]
  address = "192.0.2.4:110"
  check = []
`, ready, busy)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestProbeCommand(t *testing.T) {
	path := probeFile(t)
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("[[vrrp]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		line           string
		file           string
		code           int
		stdout, stderr []string
	}{
		{"", path, exitFailing, []string{"pop\n", " (192.0.2.1:110) ", "L7OK", "closed by the server, received", "tracker uplink\n", "L4OK", "absent.invalid has no address: "}, nil},
		{"192.0.2.1", path, exitOK, []string{"(192.0.2.1:110)  L7OK", " ms  ready\n"}, nil},
		{"192.0.2.1:110 -v", path, exitOK, []string{"\n    < ready\n"}, nil},
		{"192.0.2.2:110", path, exitFailing, []string{"L7RSP", "busy"}, nil},
		{"192.0.2.5", path, exitFailing, []string{"  script 192.0.2.5:110  PROC"}, nil},
		{"192.0.2.4", path, exitOK, []string{"no checks\n"}, nil},
		{"absent.invalid", path, exitFailing, []string{"absent.invalid has no address: "}, nil},
		{"192.0.2.1 --color always", path, exitOK, []string{"\x1b[32mL7OK\x1b[0m"}, nil},
		{"192.0.2.11", path, exitFailed, nil, []string{`no real server is "192.0.2.11", nearest is "192.0.2.1"`}},
		{"relay1", path, exitFailed, nil, []string{"no real server is \"relay1\"\n"}},
		{"192.0.2.1 192.0.2.2", path, exitFailed, nil, []string{"received 2"}},
		{"--color red", path, exitFailed, nil, []string{"want auto, always or never"}},
		{"", bad, exitFailed, nil, []string{"bad.toml:1"}},
	} {
		code, stdout, stderr := lvsd(t, append([]string{"probe", "-c", test.file}, strings.Fields(test.line)...)...)
		if code != test.code {
			t.Errorf("%q: exit code %d, want %d", test.line, code, test.code)
		}
		mustContain(t, test.line+": standard output", stdout, test.stdout)
		mustContain(t, test.line+": standard error", stderr, test.stderr)
	}
}

// TestProbeOfOneServer: the others are not asked, and not told of.
func TestProbeOfOneServer(t *testing.T) {
	code, stdout, _ := lvsd(t, "probe", "-c", probeFile(t), "--json", "192.0.2.1")
	var report probeReport
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitOK {
		t.Fatalf("exit code %d: %v: %s", code, err, stdout)
	}
	if len(report.Probes) != 1 || len(report.Names) != 0 || report.Schema != "lvsd.probe/1" {
		t.Fatalf("%s", stdout)
	}
	if p := report.Probes[0]; !p.OK || p.Service != "pop" || p.Server != "192.0.2.1:110" || p.Reason != "ready" || p.Duration <= 0 {
		t.Errorf("%s", stdout)
	}
}

// TestProbeIsInterrupted: what was not asked is not told of as failing.
func TestProbeIsInterrupted(t *testing.T) {
	var b strings.Builder
	flags := probeFlags{file: fileFlags{path: probeFile(t), node: "relay1"}, color: string(colorNever)}
	err := flags.run(cancelled(t), &b, "")
	if err == nil || !strings.Contains(err.Error(), "not all was asked") || b.Len() > 0 {
		t.Errorf("%v: %s", err, b.String())
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
