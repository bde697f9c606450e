package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const seeds = "../../config/keepalived/testdata/seeds/"

// lvsdImport runs the command.
func lvsdImport(t *testing.T, arguments ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), append([]string{"import"}, arguments...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestImport(t *testing.T) {
	code, out, errs := lvsdImport(t, seeds+"mail-relay.conf")
	if code != 0 || !strings.Contains(out, "serve_on_backup = true") || !strings.Contains(errs, "mail-relay.conf:74: broken:") {
		t.Errorf("exit code %d\n%s\n%s", code, out, errs)
	}
	path := filepath.Join(t.TempDir(), "lvsd.toml")
	if code, out, errs := lvsdImport(t, "-o", path, seeds+"mail-relay.conf"); code != 0 || out != "" {
		t.Errorf("to a file: exit code %d\n%s\n%s", code, out, errs)
	}
	if code := run(t.Context(), []string{"check", "-c", path}, &bytes.Buffer{}, &bytes.Buffer{}); code != 0 {
		t.Errorf("lvsd check of the result: exit code %d", code)
	}
	if code, _, errs := lvsdImport(t, "-o", path, seeds+"mail-relay.conf"); code != 1 || !strings.Contains(errs, "exists") {
		t.Errorf("over a file: exit code %d\n%s", code, errs)
	}
}

// TestImportID: lines that begin with @ are for the node, unless an id is given.
func TestImportID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	text := "vrrp_instance A {\n interface eth0\n virtual_router_id 1\n @lb1 priority 150\n @lb2 priority 90\n virtual_ipaddress {\n 192.0.2.1\n }\n}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		arguments []string
		has, note string
	}{
		{[]string{"--node", "lb1.example.com=" + path}, "priority = 150", ":5: differs: line 5 is for @lb2, and left out; import with --config-id lb2"},
		{[]string{"--node", "lb2", path}, "priority = 90", ":4: differs: line 4 is for @lb1"},
		{[]string{"--node", "lb1=" + path, "-i", "lb2"}, "priority = 90", "line 4 is for @lb1"},
		{[]string{"-i", "other", path}, "priority = 100", "line 4 is for @lb1"},
	} {
		code, out, errs := lvsdImport(t, test.arguments...)
		if code != 0 || !strings.Contains(out, test.has) || !strings.Contains(errs, test.note) {
			t.Errorf("%q: exit code %d\n%s\n%s", test.arguments, code, out, errs)
		}
	}
}

func TestImportRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		arguments []string
		code      int
		says      string
	}{
		"no file":             {nil, exitUsage, "which file"},
		"absent":              {[]string{"/nonexistent/keepalived.conf"}, exitFailed, "no such file"},
		"nothing in it":       {[]string{seeds + "reference-global.conf"}, exitFailed, "neither a vrrp_instance nor a virtual_server"},
		"several without":     {[]string{seeds + "mail-relay.conf", seeds + "proxy-serv01.conf"}, exitUsage, "--node NAME="},
		"a node without file": {[]string{"--node", "lb1"}, exitUsage, "want NAME=FILE"},
		"colour":              {[]string{"--check", "--color", "blue", seeds + "mail-relay.conf"}, exitUsage, "auto, always or never"},
	} {
		t.Run(name, func(t *testing.T) {
			if code, _, errs := lvsdImport(t, test.arguments...); code != test.code || !strings.Contains(errs, test.says) {
				t.Errorf("exit code %d, want %d: %s", code, test.code, errs)
			}
		})
	}
}

// TestImportCheck: what both program is the same for the field reports' files, but
// for what a note tells of.
func TestImportCheck(t *testing.T) {
	files, err := filepath.Glob(seeds + "*.conf")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "reference-global.conf") {
			continue
		}
		if code, out, errs := lvsdImport(t, "--check", path); code != 0 || !strings.Contains(out, " 0 different") {
			t.Errorf("%s: exit code %d\n%s\n%s", path, code, out, errs)
		}
	}
	code, out, _ := lvsdImport(t, "--check", "--node", "p1="+seeds+"proxy-serv01.conf", "--node", "p2="+seeds+"proxy-serv02.conf")
	if code != 0 || strings.Count(out, "2 compared, 0 different") != 2 || !strings.Contains(out, "node p2") {
		t.Errorf("two nodes: exit code %d\n%s", code, out)
	}
}

// TestImportCheckFinds: a service whose VIP no instance has, a server that is left
// out and a check that does not exist here are differences.
func TestImportCheckFinds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalived.conf")
	text := `virtual_server 192.0.2.1 80 {
 protocol TCP
 lb_kind DR
 real_server 192.0.2.11 80 { 
  BFD_CHECK { name x }
 }
 real_server 2001:db8::1 80 { 
 }
}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := lvsdImport(t, "--check", path)
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{
		"added    VIP 192.0.2.1 ", "equal    service tcp 192.0.2.1:80 ", "missing  service tcp 192.0.2.1:80 server [2001:db8::1]:80 ",
		"missing  service tcp 192.0.2.1:80 server 192.0.2.11:80 checks", "5 compared, 3 different",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s\n%s", want, out, errs)
		}
	}
}
