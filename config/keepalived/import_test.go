package keepalived

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lvsd/lvsd/config"
)

var update = flag.Bool("update", false, "write the golden files")

// options do not depend on the host.
var options = Options{ConfigID: "main", Node: "lb1"}

func load(t *testing.T, path string) File {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return File{Name: path, Text: text}
}

// importFile imports a file that must have something to import.
func importFile(t *testing.T, files ...File) *Result {
	t.Helper()
	result, err := Import(files, options)
	if err != nil {
		t.Fatalf("%s: %v", files[0].Name, err)
	}
	accounted(t, result)
	return result
}

// accounted fails unless every statement has a fate, and each that was reported a
// note at its line or at that of a block around it.
func accounted(t *testing.T, r *Result) {
	t.Helper()
	noted := map[string]map[int]bool{}
	for _, n := range r.Notes {
		if noted[n.File] == nil {
			noted[n.File] = map[int]bool{}
		}
		noted[n.File][n.Line] = true
		if strings.Contains(n.Message, "not understood") {
			t.Errorf("forgotten: %v", n)
		}
	}
	for _, s := range r.Statements {
		if s.fate == unread {
			t.Errorf("%s:%d: %s has no fate", s.File, s.Line, s.Word())
		}
		around := s
		for around.fate == Reported && !noted[around.File][around.Line] && around.parent != nil {
			around = around.parent
		}
		if s.fate == Reported && !noted[around.File][around.Line] {
			t.Errorf("%s:%d: %s is reported and has no note", s.File, s.Line, s.text)
		}
	}
}

// golden compares with a file beside the configuration.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("differs from %s (-update writes it):\n%s", path, got)
	}
}

// TestGolden: the field reports' files and those of each feature become what is
// written beside them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.conf")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".conf"), func(t *testing.T) {
			if strings.HasSuffix(path, "reference-global.conf") {
				t.Skip("it has nothing to import: TestNothing")
			}
			golden(t, strings.TrimSuffix(path, ".conf")+".toml", importFile(t, load(t, path)).TOML)
		})
	}
}

// TestNodes: the files of two nodes become one, which says of each node what its
// own file says.
func TestNodes(t *testing.T) {
	for _, pair := range [][2]string{
		{"exchange-master", "exchange-backup"},
		{"proxy-serv01", "proxy-serv02"},
		{"haproxy-lvs-master", "haproxy-lvs-slave"},
		{"haproxy-master", "haproxy-slave"},
	} {
		t.Run(pair[0], func(t *testing.T) {
			var files []File
			for n, name := range pair {
				f := load(t, "testdata/seeds/"+name+".conf")
				f.Node = []string{"lb1", "lb2"}[n]
				files = append(files, f)
			}
			merged := importFile(t, files...)
			golden(t, "testdata/seeds/"+pair[0]+".both.toml", merged.TOML)
			for _, f := range files {
				alone, err := Import([]File{f}, Options{ConfigID: "main", Node: f.Node})
				if err != nil {
					t.Fatal(err)
				}
				got, err := config.Parse("merged", merged.TOML, f.Node)
				if err != nil {
					t.Fatal(err)
				}
				if !got.Equal(alone.Config) {
					t.Errorf("on %s the cluster's file says\n%+v\nits own\n%+v", f.Node, got, alone.Config)
				}
			}
		})
	}
}

func TestNodesThatDiffer(t *testing.T) {
	first := File{Name: "a.conf", Node: "a", Text: []byte(`
global_defs {
 router_id one
}
vrrp_instance VI_1 {
 interface eth0
 virtual_router_id 1
 virtual_ipaddress { 192.0.2.1 }
 nopreempt
 notify_master /bin/one
}
virtual_server 192.0.2.1 25 {
 protocol TCP
 real_server 192.0.2.11 25 { weight 1 }
}`)}
	second := File{Name: "b.conf", Node: "b", Text: []byte(`
vrrp_instance VI_1 {
 interface eth1
 virtual_router_id 1
 virtual_ipaddress { 192.0.2.1 }
}
vrrp_instance VI_2 {
 interface eth2
 virtual_router_id 2
 virtual_ipaddress { 192.0.2.2 }
}
virtual_server 192.0.2.1 25 {
 protocol TCP
 real_server 192.0.2.11 25 { weight 5 }
}`)}
	r := importFile(t, first, second)
	for _, want := range []string{"[vrrp.node.\"a\"]", "[vrrp.node.\"a\".notify]", "[vrrp.node.\"b\"]", `interface = "eth1"`, `name = "VI_2"`} {
		if !strings.Contains(string(r.TOML), want) {
			t.Errorf("no %s in\n%s", want, r.TOML)
		}
	}
	for _, want := range []string{`[[vrrp]] "VI_2" is not in the file of node a`, `[global] is not in the file of node b`, `[[virtual_service]] "192.0.2.1:25" is not the same on node b`} {
		if !slices.ContainsFunc(r.Notes, func(n Note) bool { return strings.Contains(n.Message, want) }) {
			t.Errorf("no note %q in %v", want, r.Notes)
		}
	}
	if _, err := Import([]File{first, first}, options); err == nil {
		t.Error("two files of one node were taken")
	}
}

func TestNothing(t *testing.T) {
	r, err := Import([]File{load(t, "testdata/seeds/reference-global.conf")}, options)
	if !errors.Is(err, ErrNothing) {
		t.Fatalf("error %v", err)
	}
	if len(r.Notes) == 0 {
		t.Error("no notes of what the file has")
	}
}

// TestRelay: the rule that the relay's scripts install becomes lvsd's own, and the
// scripts go.
func TestRelay(t *testing.T) {
	r := importFile(t, load(t, "testdata/seeds/mail-relay.conf"))
	v := r.Config.VRRP[0]
	if !v.ServeOnBackup || v.Hooks.Master != nil || v.Hooks.Backup != nil || v.Hooks.Fault != nil {
		t.Errorf("serve_on_backup %v, hooks %+v", v.ServeOnBackup, v.Hooks)
	}
	for name, script := range map[string]string{
		"by what it says": "#!/bin/sh\niptables -t nat -A PREROUTING -d $1 -p tcp -j REDIRECT\n",
		"of another kind": "#!/bin/sh\nlogger $1\n",
	} {
		text := strings.ReplaceAll(string(load(t, "testdata/seeds/mail-relay.conf").Text), "bypass_ipvs.py", "role.sh")
		o := options
		o.ReadFile = func(string) ([]byte, error) { return []byte(script), nil }
		r, err := Import([]File{{Name: "relay.conf", Text: []byte(text)}}, o)
		if err != nil {
			t.Fatal(err)
		}
		v := r.Config.VRRP[0]
		if want := strings.Contains(script, "REDIRECT"); v.ServeOnBackup != want || (v.Hooks.Backup == nil) != want {
			t.Errorf("%s: serve_on_backup %v, hooks %+v", name, v.ServeOnBackup, v.Hooks)
		}
	}
}

// TestSamples imports the samples of the distribution's keepalived.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("/usr/share/doc/keepalived/samples/keepalived.conf.*")
	if err != nil || len(files) == 0 {
		message := "the package keepalived with its samples is not installed"
		if slices.Contains(strings.Split(os.Getenv("LVSD_TEST_REQUIRE"), ","), "keepalived") {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	if len(files) < 20 {
		t.Errorf("%d samples", len(files))
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			for _, id := range []string{"", "high", "low"} {
				r, err := Import([]File{load(t, path)}, Options{ConfigID: id})
				if err != nil {
					t.Fatal(err)
				}
				accounted(t, r)
			}
		})
	}
}
