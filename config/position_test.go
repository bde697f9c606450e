package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director/ipvs"
)

func TestPositions(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      []string // path key value, in the order of the paths
	}{
		{"key", "a = 1\n  bc\t=\t2", []string{"a 1:1 1:5", "bc 2:3 2:8"}},
		{"no newline at the end", "a=1", []string{"a 1:1 1:3"}},
		{"dotted", "a . b.\"c d\" = 1", []string{"a 1:1 1:1", "a.b 1:5 1:5", `a.b."c d" 1:7 1:15`}},
		{"quoted", "\"a\\u0062\" = 1\n'c\\' = 2", []string{`"c\\" 2:1 2:8`, "ab 1:1 1:13"}},
		{"header", "[a.b]\nc = 1\n[a]\nd = 1", []string{"a 1:2 1:2", "a.b 1:4 1:4", "a.b.c 2:1 2:5", "a.d 4:1 4:5"}},
		{"header with blanks", "  [ a . b ] # x", []string{"a 1:5 1:5", "a.b 1:9 1:9"}},
		{
			"array of tables", "[[a]]\nx = 1\n[[a]]\nx = 2",
			[]string{"a 1:3 1:3", "a[0] 1:3 1:3", "a[0].x 2:1 2:5", "a[1] 3:3 3:3", "a[1].x 4:1 4:5"},
		},
		{
			"nested array of tables", "[[a]]\n[[a.b]]\n[[a.b]]\n[a.b.c]\nx=1\n[[a]]\n[[a.b]]",
			[]string{
				"a 1:3 1:3", "a[0] 1:3 1:3", "a[0].b 2:5 2:5", "a[0].b[0] 2:5 2:5", "a[0].b[1] 3:5 3:5",
				"a[0].b[1].c 4:6 4:6", "a[0].b[1].c.x 5:1 5:3", "a[1] 6:3 6:3", "a[1].b 7:5 7:5", "a[1].b[0] 7:5 7:5",
			},
		},
		{
			"arrays", "a = [1, [ 2 ],\n  # ], 9\n  { x = 3 },\n]",
			[]string{"a 1:1 1:5", "a[0] 1:6 1:6", "a[1] 1:9 1:9", "a[1][0] 1:11 1:11", "a[2] 3:3 3:3", "a[2].x 3:5 3:9"},
		},
		{"inline table", "a = { b = 1, c.d = \"}\" }", []string{"a 1:1 1:5", "a.b 1:7 1:11", "a.c 1:14 1:14", "a.c.d 1:16 1:20"}},
		{"comment", "# a = 1\nb = 2 # c = 3\n#", []string{"b 2:1 2:5"}},
		{"strings", `a = "# \" ]"` + "\nb = '\\'\nc = 1", []string{"a 1:1 1:5", "b 2:1 2:5", "c 3:1 3:5"}},
		{"multi-line strings", "a = \"\"\"\nb = 1\n\\\"\"\"\"\"\"\nc = '''\n'\n[d]'''''\ne = 1", []string{"a 1:1 1:5", "c 4:1 4:5", "e 7:1 7:5"}},
		{"CR LF", "a = 1\r\n[b]\r\nc = 2\r\n", []string{"a 1:1 1:5", "b 2:2 2:2", "b.c 3:1 3:5"}},
		{"characters, not bytes", "a = ['ä', '€', 1]", []string{"a 1:1 1:5", "a[0] 1:6 1:6", "a[1] 1:11 1:11", "a[2] 1:16 1:16"}},
		{"date with a blank", "a = 1979-05-27 07:32:00\nb = 1", []string{"a 1:1 1:5", "b 2:1 2:5"}},
		{"empty", "", nil},
		{"header that does not end", "a = 1\n[b", []string{"a 1:1 1:5"}},
		{"array that does not end", "a = [1,", []string{"a 1:1 1:5", "a[0] 1:6 1:6"}},
		{"array without a value", "a = [,]\nb = 1", []string{"a 1:1 1:5", "a[0] 1:6 1:6"}},
		{"inline table that does not end", "a = { b = 1", []string{"a 1:1 1:5", "a.b 1:7 1:11"}},
		{"string that does not end", "a = \"\nb = 1", []string{"a 1:1 1:5"}},
		{"multi-line string that does not end", "a = \"\"\"\nb = 1", []string{"a 1:1 1:5"}},
		{"key that does not end", "a = 1\n\"b = 1", []string{"a 1:1 1:5"}},
		{"key of an unknown escape", "\"\\z\" = 1", nil},
		{"key of half an escape", "\"\\u00\" = 1", nil},
		{"key of a wrong escape", "\"\\u00zz\" = 1", nil},
		{"ends where it stops being TOML", "a = 1\n= 2\nb = 3", []string{"a 1:1 1:5"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := scanPositions(tt.doc)
			var got []string
			for key, at := range p.keys {
				kl, kc := p.place(at.key)
				vl, vc := p.place(at.value)
				got = append(got, fmt.Sprintf("%s %d:%d %d:%d", key, kl, kc, vl, vc))
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// documents adds the files of testdata as seeds.
func documents(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/bad/*.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal("no files", pattern, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(data))
		}
	}
}

// FuzzPositions checks that the scanner finds exactly the decoder's keys in
// every document that the decoder accepts.
func FuzzPositions(f *testing.F) {
	documents(f)
	for _, seed := range []string{
		"a = [[1, {b = 2}], []]\n", "\"\".'' = 1\n", "[[a]]\n[a.b]\nc.d = 1\n[[a]]\n[a.b]\nc.d = 1\n",
		"a = \"\"\"\\\"\"\"\"\"\"\nb = ''''a'''''\n", "a = {b = {c = 1,},\n # x\n}\n", "a = 07:32:00\nb = inf\nc = +1_0\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		found := scanPositions(doc).keys // must not panic, whatever doc is
		var root map[string]any
		if _, err := toml.Decode(doc, &root); err != nil || strings.HasPrefix(doc, "\ufeff") ||
			strings.HasPrefix(doc, "\xff\xfe") || strings.HasPrefix(doc, "\xfe\xff") {
			return
		}
		want := make(map[string]bool)
		flatten(want, path{}, root)
		for _, p := range slices.Collect(maps.Keys(want)) {
			if _, ok := found[p]; !ok {
				t.Errorf("decoder has %s, scanner does not", p)
			}
		}
		for p := range found {
			if !want[p] {
				t.Errorf("scanner has %s, decoder does not", p)
			}
		}
	})
}

// flatten collects the paths of everything in a decoded value.
func flatten(into map[string]bool, at path, value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, value := range v {
			into[at.key(name).exact()] = true
			flatten(into, at.key(name), value)
		}
	case []map[string]any:
		for i, value := range v {
			into[at.index(i).exact()] = true
			flatten(into, at.index(i), value)
		}
	case []any:
		for i, value := range v {
			into[at.index(i).exact()] = true
			flatten(into, at.index(i), value)
		}
	}
}

// FuzzParse checks that any file gives a configuration that vrrp can run, or
// problems that stand in the file, and the same when it is decoded as a whole.
func FuzzParse(f *testing.F) {
	documents(f)
	for _, seed := range cuts {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		cfg, err := parseFiles("fuzz.toml", []byte(doc), "relay1")
		whole, wholeErr := parseWhole("fuzz.toml", []byte(doc), "relay1")
		if fmt.Sprint(err) != fmt.Sprint(wholeErr) || !reflect.DeepEqual(cfg, whole) {
			t.Fatalf("in pieces: %v, %v\nas a whole: %v, %v", cfg, err, whole, wholeErr)
		}
		if (cfg == nil) == (err == nil) {
			t.Fatalf("got config %v and error %v", cfg, err)
		}
		if cfg != nil {
			for _, v := range cfg.VRRP {
				if err := v.Router.Validate(); err != nil {
					t.Errorf("instance %q is valid here and not in vrrp: %v", v.Router.Name, err)
				}
			}
			checkNames(t, cfg)
			checkIPVS(t, cfg)
		}
		problems, ok := errors.AsType[Problems](err)
		if err != nil && (!ok || len(problems) == 0) {
			t.Fatalf("error without problems: %v", err)
		}
		lines := strings.Split(doc, "\n")
		for _, p := range problems {
			if p.Line < 1 || p.Line > len(lines) || p.Column < 1 || p.Column > len([]rune(lines[p.Line-1]))+1 || p.Message == "" {
				t.Errorf("%s is not in the file", p)
			}
		}
	})
}

// checkIPVS checks what the kernel wants of virtual services.
func checkIPVS(t *testing.T, cfg *Config) {
	t.Helper()
	keys := make(map[ipvs.ServiceKey]bool)
	for _, s := range cfg.Services {
		key := s.IPVS.ServiceKey
		if keys[key] || (key.Mark != 0) == key.Address.IsValid() || (key.Mark == 0) != (key.Protocol != 0) {
			t.Errorf("service twice or without identity: %v", key)
		}
		keys[key] = true
		if key.Mark == 0 && key.Family != familyNumber(key.Address.Addr()) {
			t.Errorf("service %v has family %v", key, key.Family)
		}
		if s.Quorum.Weight < 1 || s.Quorum.Hysteresis >= s.Quorum.Weight {
			t.Errorf("service %v has quorum %+v", key, s.Quorum)
		}
		for _, server := range s.RealServers {
			addr := server.Address.Addr()
			if addr.IsValid() == (server.Host != "") || server.Forwarding != ipvs.Tunnel && server.Tunnel != (ipvs.TunnelInfo{}) ||
				server.Forwarding != ipvs.Tunnel && addr.IsValid() && familyNumber(addr) != key.Family {
				t.Errorf("service %v has real server %+v", key, server)
			}
			if (server.Tunnel.Type == ipvs.GUE) != (server.Tunnel.Port != 0) {
				t.Errorf("real server has tunnel %+v", server.Tunnel)
			}
			for spec := range server.specs {
				if !spec.Target.Addr().IsValid() && server.Host != "" {
					continue
				}
				if err := spec.Validate(); err != nil {
					t.Errorf("valid here and not in healthcheck: %v", err)
				}
			}
		}
	}
	for _, a := range cfg.Accept {
		if len(a.VIPs) == 0 || (a.Forwarding == ipvs.Tunnel) != (len(a.Decapsulations) > 0) {
			t.Errorf("accepts nothing: %+v", a)
		}
	}
	if s := cfg.Sync; s != nil && (s.Interface == "" || s.ID == 0 || !slices.ContainsFunc(cfg.VRRP, func(v VRRP) bool { return v.Router.Name == s.Instance })) {
		t.Errorf("synchronises with nobody: %+v", s)
	}
}

// checkNames checks that what the configuration depends on by name is there.
func checkNames(t *testing.T, cfg *Config) {
	t.Helper()
	instances, trackers, services := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, s := range cfg.Services {
		services[s.Name] = true
	}
	for _, tr := range cfg.Trackers {
		trackers[tr.Name] = true
		if (tr.Kind == TrackService) != services[tr.Service] {
			t.Errorf("tracker %q is of a service that is not there: %q", tr.Name, tr.Service)
		}
		if tr.Kind == TrackCheck {
			if err := tr.Check.Validate(); err != nil {
				t.Errorf("tracker %q is valid here and not in healthcheck: %v", tr.Name, err)
			}
		}
	}
	tracked := make([]Tracked, 0, len(trackers))
	for _, v := range cfg.VRRP {
		instances[v.Router.Name] = true
		tracked = append(tracked, v.Track...)
	}
	for _, g := range cfg.Groups {
		tracked = append(tracked, g.Track...)
		for _, name := range g.Instances {
			if !instances[name] {
				t.Errorf("sync group %q has an instance that is not there: %q", g.Name, name)
			}
		}
	}
	for _, tr := range tracked {
		if !trackers[tr.Tracker] || tr.Weight < -maxWeight || tr.Weight > maxWeight {
			t.Errorf("tracked as it cannot be: %+v", tr)
		}
	}
}
