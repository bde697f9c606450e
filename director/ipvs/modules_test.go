package ipvs

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func TestLookForNeeds(t *testing.T) {
	host := modules{
		loaded: fstest.MapFS{"ip_vs/refcnt": {}, "ip_vs_rr/refcnt": {}},
		installed: fstest.MapFS{
			"modules.builtin": {Data: []byte("kernel/net/netfilter/ipvs/ip_vs_wlc.ko\n")},
			"modules.dep": {Data: []byte("kernel/net/netfilter/ipvs/ip_vs_sh.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\n" +
				"kernel/net/netfilter/ipvs/ip_vs_pe_sip.ko:\n")},
		},
	}
	why := errors.New("not permitted")
	n := Needs{Schedulers: []string{"rr", "wlc", "sh", "none", "", "mh", "wl"}, Engines: []string{"sip", "", "pop"}}
	missing, err := lookForNeeds(n, host, why)
	wantErrors(t, missing, "scheduler mh", "scheduler wl ", "engine pop")
	if err != nil {
		t.Errorf("error %v", err)
	}

	bare := modules{loaded: fstest.MapFS{"ip_vs_rr/refcnt": {}}, installed: fstest.MapFS{}}
	missing, err = lookForNeeds(Needs{Schedulers: []string{"rr", "mh"}}, bare, why)
	wantErrors(t, missing)
	if !errors.Is(err, ErrCannotTell) || !strings.Contains(err.Error(), "ip_vs_mh: ") || strings.Contains(err.Error(), "ip_vs_rr") {
		t.Errorf("error %v", err)
	}
	bare.installed = nil
	if _, err := lookForNeeds(Needs{}, bare, why); !errors.Is(err, ErrCannotTell) {
		t.Errorf("without a release: error %v", err)
	}

	missing, err = lookForNeeds(Needs{Protocols: []Protocol{SCTP}}, host, why)
	wantErrors(t, missing)
	if !errors.Is(err, ErrCannotTell) || !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	host.loaded = fstest.MapFS{}
	missing, _ = lookForNeeds(Needs{}, host, why)
	if len(missing) != 1 || !errors.Is(missing[0], ErrUnavailable) {
		t.Errorf("missing %v, want ErrUnavailable", missing)
	}
}

func wantErrors(t *testing.T, got []error, parts ...string) {
	t.Helper()
	if len(got) != len(parts) {
		t.Fatalf("errors %v, want %q", got, parts)
	}
	for i, err := range got {
		if !strings.Contains(err.Error(), parts[i]) {
			t.Errorf("error %v, want %q", err, parts[i])
		}
	}
}
