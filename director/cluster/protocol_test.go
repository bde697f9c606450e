package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director"
)

func someOverrides() []director.Override {
	seven := 7
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	return []director.Override{
		{Target: director.Target{Service: "web", Server: "192.0.2.11:80"}, State: director.Drain, Reason: "disk", By: "root on a", Node: "a", At: at},
		{Target: director.Target{Service: "web", Server: "192.0.2.12:80"}, Weight: &seven, Node: "b", At: at, Until: at.Add(time.Hour)},
		{Target: director.Target{Node: "c"}, State: director.Drain, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.3")}, Node: "c", At: at, Cleared: true},
	}
}

// TestDigest: it is the same whatever the order and the time zone, and another one
// for anything else.
func TestDigest(t *testing.T) {
	all := someOverrides()
	want := digest(all)
	slices.Reverse(all)
	for i := range all {
		all[i].At = all[i].At.In(time.FixedZone("", 3600))
	}
	if got := digest(all); got != want {
		t.Errorf("of the same in another order and zone %s, want %s", got, want)
	}
	seen := map[string]int{want: -1}
	for i, change := range []func(*director.Override){
		func(o *director.Override) { o.Target.Service = "wab" },
		func(o *director.Override) { o.Target.Server = "192.0.2.1:80" },
		func(o *director.Override) { o.Target.Node = "a" },
		func(o *director.Override) { o.State = director.Disabled },
		func(o *director.Override) { o.Weight = new(int) },
		func(o *director.Override) { o.Addresses = []netip.Addr{netip.IPv4Unspecified()} },
		func(o *director.Override) { o.Reason = "disc" },
		func(o *director.Override) { o.By = "root on b" },
		func(o *director.Override) { o.Node = "b" },
		func(o *director.Override) { o.At = o.At.Add(1) },
		func(o *director.Override) { o.Until = o.At },
		func(o *director.Override) { o.Cleared = true },
	} {
		all := someOverrides()
		change(&all[0])
		got := digest(all)
		if before, known := seen[got]; known {
			t.Errorf("change %d has the digest of %d", i, before)
		}
		seen[got] = i
	}
	if got := digest(someOverrides()[:2]); got == want {
		t.Error("one less makes no difference")
	}
}

// TestDecodeBounds: what is too large is not read to its end.
func TestDecodeBounds(t *testing.T) {
	endless := &spaces{}
	if _, err := decode(io.LimitReader(endless, 3*maxBody)); !errors.Is(err, errTooLarge) {
		t.Errorf("error %v", err)
	}
	if endless.read > maxBody+1 {
		t.Errorf("%d bytes were read", endless.read)
	}
	whole := `{"node":"a"}`
	d, err := decode(io.MultiReader(io.LimitReader(endless, maxBody-int64(len(whole))), strings.NewReader(whole)))
	if err != nil || d.Node != "a" {
		t.Errorf("just within bounds: %v %v", d, err)
	}
}

// spaces is a document that does not begin.
type spaces struct{ read int }

func (s *spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	s.read += len(p)
	return len(p), nil
}

// TestKeys: the key pair depends on the whole secret and on nothing else.
func TestKeys(t *testing.T) {
	public := func(secret config.Secret) string {
		i, err := newIdentity(secret)
		if err != nil {
			t.Fatal(err)
		}
		return string(i.public)
	}
	if again := public(testKey); again != public(testKey) {
		t.Error("the same secret gives two keys")
	}
	if public(testKey) == public(testKey+" ") || public(testKey) == public(testKey[1:]) {
		t.Error("two secrets give the same key")
	}
}

func FuzzDecode(f *testing.F) {
	report := director.NodeReport{Version: "1.0", Started: time.Unix(0, 0).UTC(), Roles: map[string]string{"VI_1": "master"}, Servers: []director.ServerReport{{Service: "web", Address: "192.0.2.11:80", State: "down", Weight: -1}}}
	whole, err := json.Marshal(document{Node: "a", Digest: digest(nil), Report: &report, Overrides: someOverrides()})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(whole), "", "{}", "null", `{"node":"a"}`, `{"node":"a"}x`, `{"node":"a","overrides":[null]}`,
		`{"node":"a","overrides":[{"at":"9999-12-31T23:59:59-23:59"}]}`, `{"node":"a","overrides":[{"weight":1e400}]}`,
		`{"node":"a","report":{"roles":null,"servers":[{}]}}`, `{"Node":"a","nODE":"b"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := decode(bytes.NewReader(text))
		if err != nil {
			return
		}
		if len(digest(d.Overrides)) != 64 {
			t.Error("no digest")
		}
		again, err := json.Marshal(d)
		if err != nil {
			return // a time that JSON has no form for: it is answered with an error
		}
		same, err := decode(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("what was decoded is not when written: %v\n%s", err, again)
		}
		if diff := cmp.Diff(d, same, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("written and read again (-before +after):\n%s", diff)
		}
	})
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "two\nlines": "two lines", "\x1b[31mred": "[31mred",
		strings.Repeat("x", 1000): strings.Repeat("x", maxError),
	} {
		if got := printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
