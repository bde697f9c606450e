package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// parseCached is parseFiles by way of the cache.
func parseCached(c *Cache, text, node string) (*Config, error) {
	doc, err := decode("test.toml", []byte(text))
	if err != nil {
		return nil, err
	}
	doc.readFile = keyFile
	return c.config(doc, node)
}

// wantFresh reads the text with the cache and wants what a fresh one gives.
func wantFresh(t interface{ Fatalf(string, ...any) }, c *Cache, text, node string) {
	got, err := parseCached(c, text, node)
	want, wantErr := parseCached(new(Cache), text, node)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\non %s, from the cache: %+v, %v\nfresh: %+v, %v", text, node, got, err, want, wantErr)
	}
}

// parts are what the property puts together: services that collide with each
// other, with instances and with trackers, and some that are not valid or not
// to be read alone.
var parts = []string{
	cutInstance,
	"[[vrrp]]\nname = \"b\"\ninterface = \"eth0\"\nvrid = 2\nvips = [\"192.0.2.2\"]\nserve_on_backup = true\n",
	"[vrrp.node.relay2]\npriority = 3\n",
	"[sync]\n",
	"[[tracker]]\nname = \"t\"\ntype = \"service\"\nservice = \"s\"\nquorum = 2\n",
	"[ipvs.sysctl]\nconntrack = 0\n",
	cutService,
	cutService + "[virtual_service.check]\ntype = \"smtp\"\n[[virtual_service.real_server]]\naddress = \"10.0.0.1\"\n",
	cutService + "name = \"s\"\n[[virtual_service.real_server]]\naddress = \"192.0.2.2\"\n[[virtual_service.real_server]]\naddress = \"10.0.0.1\"\n",
	"[[virtual_service]]\nname = \"s\"\nfirewall_mark = 1\n[[virtual_service.mark_traffic]]\nvip = \"192.0.2.1\"\n",
	"[[virtual_service]]\nfirewall_mark = 2\n[[virtual_service.mark_traffic]]\nvip = \"192.0.2.1\"\nprotocol = \"tcp\"\n",
	"[[virtual_service]]\naddresses = [\"192.0.2.1-192.0.2.2\"]\nports = [\"80-81\", 443]\nprotocol = \"tcp\"\nforwarding = \"nat\"\nsnat = true\n" +
		"[[virtual_service.real_server]]\naddress = \"10.0.0.1\"\n[[virtual_service.real_server]]\naddress = \"10.0.0.1:8080\"\n",
	"[[virtual_service]]\naddress = \"192.0.2.2:53\"\nprotocol = \"udp\"\nforwarding = \"tun\"\n[[virtual_service.real_server]]\naddress = \"2001:db8::1\"\n",
	"[[virtual_service]]\naddress = \"192.0.2.9:53\"\nprotocol = \"sctp\"\nweight = 1\n",
	"[[virtual_service]]\naddress = \"192.0.2.1:25\"\nprotocol = \"tcp\"\nname = '''\n[x]\n'''\n",
	"x =\n",
}

// TestCacheIsFresh checks that what was read before makes no difference, be it
// for another node or with problems.
func TestCacheIsFresh(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := new(Cache)
		file := rapid.SliceOfN(rapid.SampledFrom(parts), 0, 6).Draw(t, "file")
		for range rapid.IntRange(1, 6).Draw(t, "loads") {
			wantFresh(t, c, strings.Join(file, ""), rapid.SampledFrom([]string{"relay1", "relay2"}).Draw(t, "node"))
			at := rapid.IntRange(0, len(file)).Draw(t, "at")
			end := rapid.IntRange(at, min(len(file), at+2)).Draw(t, "end")
			file = slices.Replace(slices.Clone(file), at, end, rapid.SliceOfN(rapid.SampledFrom(parts), 0, 2).Draw(t, "by")...)
		}
	})
}

// FuzzCache is the same with any two files, there and back.
func FuzzCache(f *testing.F) {
	for i, text := range slices.Concat(cuts, parts) {
		f.Add(cutInstance+parts[i%len(parts)]+text, cutInstance+text+cutService)
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		c := new(Cache)
		for _, text := range []string{before, after, before + after, after + before, before} {
			wantFresh(t, c, text, "relay1")
		}
	})
}

// TestCacheShares wants a changed file to keep the memory of every service that
// is as it was, also across a file that is refused, and no document.
func TestCacheShares(t *testing.T) {
	const services = 100
	text := largeDocument(services)
	c := new(Cache)
	load := func(text string) []VirtualService {
		t.Helper()
		cfg, err := parseCached(c, text, "relay1")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range c.pieces {
			if p.service.reader != nil {
				t.Fatal("the cache has the document")
			}
		}
		return cfg.Services
	}
	for _, tt := range []struct {
		name, text string
		shared     int
	}{
		{"the same", text, services},
		{"changed", strings.Replace(text, "weight = 7", "weight = 8", 1), services - 1},
		{"more in front", strings.Replace(text, "[[virtual_service]]", "[[virtual_service]]\nfirewall_mark = 1\n[[virtual_service]]", 1), services},
		{"more at the end", text + "[[virtual_service]]\nfirewall_mark = 1\n", services},
		{"fewer", text[:strings.LastIndex(text, "[[virtual_service]]")], services - 1},
	} {
		before := make(map[*RealServer]bool)
		for _, s := range load(text) {
			before[&s.RealServers[0]] = true
		}
		for _, refused := range []string{text + "x =\n", text + "[[virtual_service]]\n"} {
			if _, err := parseCached(c, refused, "relay1"); err == nil {
				t.Fatal("no problem")
			}
		}
		shared := 0
		for _, s := range load(tt.text) {
			if len(s.RealServers) > 0 && before[&s.RealServers[0]] {
				shared++
			}
		}
		if shared != tt.shared {
			t.Errorf("%s: %d services shared, want %d", tt.name, shared, tt.shared)
		}
	}
}

// TestReadersAgree wants the same problems, in the same order, of a file that
// several read at once.
func TestReadersAgree(t *testing.T) {
	text := strings.ReplaceAll(largeDocument(200), "weight = 7", "weight = 7\n  weigth = 8\n  upper_connections = \"x\"")
	_, want := parseWhole("test.toml", []byte(text), "relay1")
	for range 10 {
		if _, err := parseFiles("test.toml", []byte(text), "relay1"); err == nil || err.Error() != want.Error() {
			t.Fatalf("%v, want %v", err, want)
		}
	}
}

// TestCacheAfter wants what a fresh one gives after a file without problems.
func TestCacheAfter(t *testing.T) {
	const (
		marked = "[[virtual_service]]\nfirewall_mark = 1\n"
		other  = "[[virtual_service]]\nfirewall_mark = 2\n"
		mail   = cutService + "[virtual_service.check]\ntype = \"smtp\"\n[[virtual_service.real_server]]\naddress = \"10.0.0.1\"\n"
	)
	for _, tt := range []struct{ name, before, after, node string }{
		{"another node", mail, mail, "relay2"},
		{"moved, and there again", cutService, marked + cutService + other + cutService, "relay1"},
		{"there twice between others", cutService, marked + cutService + cutService + other, "relay1"},
		{"another order", cutService + marked + other, other + cutService + marked + cutService, "relay1"},
		{"VIP gone", cutService + marked, marked + strings.Replace(cutInstance, "192.0.2.1", "192.0.2.2", 1) + cutService, "relay1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := new(Cache)
			if _, err := parseCached(c, cutInstance+tt.before, "relay1"); err != nil {
				t.Fatal(err)
			}
			wantFresh(t, c, cutInstance+tt.after, tt.node)
		})
	}
}
