package director

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/iptables"
)

// TestApplyDoesNoHarm has one operation fail, and tells what is not tried then.
func TestApplyDoesNoHarm(t *testing.T) {
	key := relayConfig().Services[0].IPVS.ServiceKey
	add := AddService{relayConfig().Services[0].IPVS}
	server := AddRealServer{Key: key}
	local, vip := AddVIP{netif.HostVIP(loopback, relayVIP.Addr)}, AddVIP{relayVIP}
	gone := DeleteVIP(local)
	rule := iptables.Redirect{VIP: relayVIP.Addr, Protocol: "tcp"}
	quiet := SetSysctl{"net.ipv4.conf.all.arp_ignore", "1"}
	other := SetSysctl{"net.ipv4.ip_forward", "1"}
	for _, test := range []struct {
		name  string
		fails Op
		err   error
		ops   []Op
		done  []Op
	}{
		{"a service", add, errInjected, []Op{add, server, vip}, []Op{vip}},
		{"a VIP", vip, errInjected, []Op{vip, DeleteRedirect{rule}, other}, []Op{other}},
		{"a VIP on lo", local, errInjected, []Op{local, vip, DeleteRedirect{rule}}, []Op{vip, DeleteRedirect{rule}}},
		{"to keep quiet", quiet, errInjected, []Op{quiet, other, local, vip}, []Op{other, vip}},
		{"another parameter", other, errInjected, []Op{other, quiet, local}, []Op{quiet, local}},
		{"to delete a VIP on lo", gone, errInjected, []Op{gone, quiet, other}, []Op{other}},
		{
			"the lock",
			AddRedirect{rule},
			iptables.ErrLocked,
			[]Op{AddRedirect{rule}, AddMark{}, AddSNAT{}, DeleteMark{}, DeleteSNAT{}, AddMute{}, DeleteMute{}, HoldConntrack{}, DeleteStray{}, vip},
			[]Op{vip},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			kernel := newModel()
			kernel.fail = func(op Op) error {
				if op == test.fails {
					return test.err
				}
				if add, ok := op.(AddRealServer); ok && len(kernel.state.Services) == 0 {
					return fmt.Errorf("%v: no such service", add.Key)
				}
				return nil
			}
			done, err := Apply(t.Context(), kernel, test.ops)
			if want := (&opError{test.fails, test.err}).Error(); err == nil || err.Error() != want {
				t.Errorf("error %v, want %s alone", err, want)
			}
			if diff := cmp.Diff(texts(test.done), texts(done)); diff != "" {
				t.Errorf("done (-want +got):\n%s", diff)
			}
		})
	}
}

func texts(ops []Op) []string {
	var all []string
	for _, op := range ops {
		all = append(all, op.String())
	}
	return all
}
