package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/director"
	"github.com/lvsd/lvsd/director/control"
)

// everything is a preview with all that can be told.
func everything() director.Preview {
	change := func(kind director.ChangeKind, action director.ChangeAction, before, after, command string) director.Change {
		return director.Change{Kind: kind, Action: action, Object: "object", Before: before, After: after, Command: command}
	}
	return director.Preview{
		Schema: "lvsd.plan/1", Of: director.PreviewReload, Health: director.HealthDaemon, Unanswered: 2, Services: 1,
		Roles: map[string]string{"web": "master", "mail": "fault"},
		Changes: []director.Change{
			change(director.ChangeSysctl, director.ActionSet, "0", "1", "sysctl -w net.ipv4.vs.expire_nodest_conn=1"),
			change(director.ChangeIPVS, director.ActionAdd, "", "wlc", "ipvsadm -A -t 192.0.2.100:25 -s wlc"),
			change(director.ChangeIPVS, director.ActionEdit, "Route weight 1", "Route weight 7",
				"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.1:25 -g -w 7"),
			change(director.ChangeAddress, director.ActionAdd, "", "x", "ip address add 192.0.2.100/32 dev eth0"),
			change(director.ChangeFirewall, director.ActionDelete, "x", "",
				"iptables -t nat -D PREROUTING -d 192.0.2.100/32 -p tcp --comment \x1b[31mred -j REDIRECT"),
			change(director.ChangeIPVS, director.ActionDelete, "wlc", "", "ipvsadm -D -t 192.0.2.101:25"),
			change("weather", director.ActionAdd, "", "", "sunshine"),
		},
		Summary: director.Summary{Add: 3, Change: 2, Delete: 2},
		Drift:   []director.Change{change(director.ChangeIPVS, director.ActionAdd, "", "x", "ipvsadm -A -t 192.0.2.102:25 -s rr")},
		Foreign: []string{"virtual service fwmark 9"},
		Sysctls: []director.SysctlStatus{{Name: "net.ipv4.ip_forward", Have: "0", Want: "1", Why: "nat: replies"}},
	}
}

// Plan makes answering a control.Source; it has no plan.
func (a answering) Plan(context.Context, control.PlanRequest) (director.Preview, error) {
	return director.Preview{}, errors.ErrUnsupported
}

// planning is answering with a plan.
type planning struct {
	answering
	preview director.Preview
}

func (p planning) Plan(_ context.Context, request control.PlanRequest) (director.Preview, error) {
	if request.Node == "other" {
		return director.Preview{}, &control.Error{Code: control.CodeBadRequest, Message: "not this node"}
	}
	if !strings.Contains(request.Text, "mail_relay") {
		return director.Preview{}, &control.Error{Code: control.CodeInvalidFile, Message: request.Name + ":1:1: bad"}
	}
	return p.preview, nil
}

func TestPlanTranscripts(t *testing.T) {
	nothing := everything()
	nothing.Changes, nothing.Drift, nothing.Foreign, nothing.Sysctls = []director.Change{}, nil, nil, nil
	nothing.Summary, nothing.Unanswered = director.Summary{}, 0
	without := director.Preview{Of: director.PreviewStart, Health: director.HealthKernel, Roles: map[string]string{"a": "backup"}}
	for _, test := range []struct {
		golden    string
		preview   director.Preview
		arguments []string
		code      int
	}{
		{"plan/everything.txt", everything(), nil, exitChanges},
		{"plan/everything.color.txt", everything(), []string{"--color", "always"}, exitChanges},
		{"plan/everything.json", everything(), []string{"--json"}, exitChanges},
		{"plan/nothing.txt", nothing, nil, exitOK},
		{"plan/nothing.json", nothing, []string{"--json", "--color", "always"}, exitOK},
		{"plan/without-services.txt", without, []string{"--color", "never"}, exitOK},
	} {
		t.Run(test.golden, func(t *testing.T) {
			directory := answer(t, planning{preview: test.preview})
			code, stdout, stderr := lvsd(t, append([]string{"plan", "-c", example, "--run-dir", directory}, test.arguments...)...)
			if code != test.code || stderr != "" {
				t.Errorf("exit code %d, want %d; %s", code, test.code, stderr)
			}
			wantGolden(t, filepath.Join("testdata", test.golden), stdout)
			if strings.HasSuffix(test.golden, ".json") && !json.Valid([]byte(stdout)) {
				t.Error("not JSON")
			}
		})
	}
}

// TestPlanAndApplyExitCodes: every error is 1, so that 2 always is a plan with
// something in it.
func TestPlanAndApplyExitCodes(t *testing.T) {
	running := answer(t, planning{preview: everything()})
	stopped := filepath.Join(t.TempDir(), "run")
	locked := t.TempDir()
	unlock, err := lockRunDirectory(locked)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("[[vrrp]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	latin := filepath.Join(t.TempDir(), "latin1.toml")
	if err := os.WriteFile(latin, []byte("# \xe4\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name      string
		arguments []string
		stderr    string
	}{
		{"unknown flag", []string{"plan", "--absent"}, "--absent"},
		{"superfluous argument", []string{"plan", "file"}, "takes no arguments"},
		{"unknown colour", []string{"plan", "--color", "red"}, "auto, always or never"},
		{"no file", []string{"plan", "-c", stopped}, stopped},
		{"not UTF-8", []string{"plan", "-c", latin, "--run-dir", running}, "not UTF-8"},
		{"invalid file, asked of a daemon", []string{"plan", "-c", bad, "--run-dir", running}, "bad.toml:1:1"},
		{"invalid file without a daemon", []string{"plan", "-c", bad, "--run-dir", stopped}, "bad.toml:1"},
		{"another node than the daemon's", []string{"plan", "-c", example, "--run-dir", running, "--node", "other"}, "not this node"},
		{"a role, and a daemon", []string{"plan", "-c", example, "--run-dir", running, "--role", "mail_relay=master"}, "a daemon runs"},
		{"health, and a daemon", []string{"plan", "-c", example, "--run-dir", running, "--health", "up"}, "a daemon runs"},
		{"unknown health", []string{"plan", "-c", example, "--run-dir", stopped, "--health", "well"}, "kernel, up or probe"},
		{"no such instance", []string{"plan", "-c", example, "--run-dir", stopped, "--role", "mail_rely=master"}, `nearest is "mail_relay"`},
		{"no such role", []string{"plan", "-c", example, "--run-dir", stopped, "--role", "mail_relay=slave"}, "INSTANCE=backup"},
		{"apply without --once", []string{"apply", "-c", example, "--run-dir", stopped}, "--once"},
		{"apply with a daemon", []string{"apply", "--once", "-c", example, "--run-dir", running}, "systemctl reload lvsd"},
		{"apply with a daemon that starts", []string{"apply", "--once", "-c", example, "--run-dir", locked}, "systemctl reload lvsd"},
		{"apply of an invalid file", []string{"apply", "--once", "-c", bad, "--run-dir", stopped}, "bad.toml:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := lvsd(t, test.arguments...)
			if code != exitFailed || stdout != "" || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit code %d, want 1; standard output %q, error lacks %q:\n%s", code, stdout, test.stderr, stderr)
			}
		})
	}
	if _, err := os.Stat(stopped); err == nil {
		t.Error("a refused command left its run directory")
	}
}

// TestPlannerIsOneNode: a daemon plans for its own node only, and reads the file
// as that node.
func TestPlannerIsOneNode(t *testing.T) {
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	p := planner{file: fileFlags{node: "here"}}
	for _, test := range []struct {
		request control.PlanRequest
		code    string
		text    string
	}{
		{control.PlanRequest{Name: "f", Text: string(text), Node: "there"}, control.CodeBadRequest, `"here"`},
		{control.PlanRequest{Name: "f", Text: "x"}, control.CodeInvalidFile, "f:1:"},
	} {
		_, err := p.Plan(t.Context(), test.request)
		refused, ok := err.(*control.Error)
		if !ok || refused.Code != test.code || !strings.Contains(refused.Message, test.text) {
			t.Errorf("%q for node %q: %v, want %s", test.request.Text, test.request.Node, err, test.code)
		}
	}
}

func TestColorOnlyOnATerminal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if wantsColor(file) {
		t.Error("a file is coloured")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no terminal to be had: %v", err)
	}
	defer terminal.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !wantsColor(terminal) {
		t.Error("a terminal is not coloured")
	}
	t.Setenv("NO_COLOR", "1")
	if wantsColor(terminal) {
		t.Error("NO_COLOR is not heeded")
	}
}

// TestCheckHost: what is missing is told, with what breaks, and only with --host.
func TestCheckHost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lvsd.toml")
	text := "[[vrrp]]\nname = \"VI_1\"\ninterface = \"loo\"\nvrid = 1\nvips = [\"192.0.2.1\"]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := lvsd(t, "check", "-c", path); code != exitOK {
		t.Errorf("without --host: exit code %d, %s", code, stderr)
	}
	code, stdout, stderr := lvsd(t, "check", "-c", path, "--host")
	if code != exitFailed || !strings.Contains(stderr, "missing on this host: 1") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	mustContain(t, "standard output", stdout, []string{"missing: interface loo (nearest is lo); instance VI_1 is in FAULT"})
	if err := os.WriteFile(path, []byte(strings.Replace(text, "loo", "lo", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = lvsd(t, "check", "-c", path, "--host")
	if code != exitOK || !strings.Contains(stdout, "has what it needs") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}
