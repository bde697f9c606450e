package director

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/vrrp"
	"github.com/lvsd/lvsd/vrrp/vrrptest"
)

// TestDriftIsReported: what somebody else changed stays, is told of once, and
// does not keep lvsd from its own changes.
func TestDriftIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, vrrptest.New(), 1)
		n.config.Global.OnDrift = config.Report
		n.start()
		advance(5 * time.Second)
		key := n.config.Services[0].IPVS.ServiceKey
		n.kernel.takeDone()
		n.kernel.change(func(s State) {
			service := s.Services[key]
			service.RealServers = slices.Clone(service.RealServers)
			service.RealServers[0].Weight = 7
			s.Services[key] = service
			delete(s.VIPs, relayVIP)
			s.Redirects.Add(relayRule)
		})
		advance(10 * n.config.Global.Resync)
		if ops := n.kernel.takeDone(); len(ops) > 0 {
			t.Errorf("the drift was touched: %v", ops)
		}
		var found []string
		for _, drift := range n.director.Status().Drift {
			found = append(found, drift.Found+": "+drift.Op)
			if age := time.Since(drift.Since); age < 9*n.config.Global.Resync {
				t.Errorf("%s is told to be there for %v", drift.Op, age)
			}
		}
		want := []string{
			"weight 7: ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.1:25 -g -w 1",
			"absent: ip address add 192.0.2.100/32 dev eth0",
			"present: iptables -t nat -D PREROUTING -d 192.0.2.100/32 -p tcp --dport 25 --syn -j REDIRECT",
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("drift (-want +got):\n%s", diff)
		}
		if told := strings.Count(n.log.String(), "somebody else changed the kernel, left alone"); told != len(want) {
			t.Errorf("told %d times, want %d:\n%s", told, len(want), n.log)
		}

		// Its own changes: another weight of the other real server.
		next := *n.config
		next.Services = slices.Clone(next.Services)
		next.Services[0].RealServers = slices.Clone(next.Services[0].RealServers)
		next.Services[0].RealServers[1].Weight = 3
		if err := n.director.Reload(t.Context(), &next); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		if diff := cmp.Diff([]string{"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.2:25 -g -w 3"}, n.kernel.takeDone()); diff != "" {
			t.Errorf("operations of the reload (-want +got):\n%s", diff)
		}
		if got := len(n.director.Status().Drift); got != len(want) {
			t.Errorf("after the reload %d kinds of drift, want %d", got, len(want))
		}

		// A real server that drifted and is changed by lvsd is lvsd's again.
		again := next
		again.Services = slices.Clone(next.Services)
		again.Services[0].RealServers = slices.Clone(next.Services[0].RealServers)
		again.Services[0].RealServers[0].Weight = 2
		if err := n.director.Reload(t.Context(), &again); err != nil {
			t.Fatal(err)
		}
		advance(time.Second)
		if diff := cmp.Diff([]string{"ipvsadm -e -t 192.0.2.100:25 -r 192.0.2.1:25 -g -w 2"}, n.kernel.takeDone()); diff != "" {
			t.Errorf("operations of the second reload (-want +got):\n%s", diff)
		}

		// Who undoes it himself is told of, too.
		n.kernel.change(func(s State) {
			s.VIPs.Add(relayVIP)
			delete(s.Redirects, relayRule)
		})
		advance(2 * time.Second)
		if left := n.director.Status().Drift; len(left) > 0 {
			t.Errorf("what is as it was left is drift: %+v", left)
		}
		n.config = &again
		n.want(relayState(n.config, vrrp.Master))
		n.stop(context.Canceled)
	})
}

// TestDriftOfAWholeService: what depends on what somebody deleted is left alone
// too, and no error.
func TestDriftOfAWholeService(t *testing.T) {
	c := farm(3, 2)
	c.Global.OnDrift = config.Report
	s := newSteps(t, c)
	s.kernel.change(func(state State) { delete(state.Services, c.Services[1].IPVS.ServiceKey) })
	s.kernel.takeDone()
	s.readAt = time.Now()
	s.step()
	s.verdict(c.Services[1].RealServers[0].Checks[0], false)
	s.verdict(c.Services[2].RealServers[0].Checks[0], false)
	s.step()
	if diff := cmp.Diff([]string{"ipvsadm -e -t 10.1.0.2:80 -r 10.100.0.2:80 -g -w 0"}, s.kernel.takeDone()); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	if got := len(s.status.drift); got != 3 {
		t.Errorf("%d kinds of drift, want the service and its real servers: %+v", got, s.status.drift)
	}
}

func TestFound(t *testing.T) {
	c := farm(1, 1)
	service := c.Services[0]
	key := service.IPVS.ServiceKey
	server := ipvs.Destination{Address: service.RealServers[0].Address, Forwarding: ipvs.Tunnel, Weight: 7, Upper: 9}
	have := NewState()
	have.Services[key] = Service{Service: service.IPVS, RealServers: []ipvs.Destination{server}}
	have.Sysctls["net.ipv4.ip_forward"] = "0"
	wanted := server
	wanted.Forwarding, wanted.Weight, wanted.Upper = ipvs.DirectRoute, 1, 0
	other := service.IPVS
	other.Scheduler = "rr"
	for op, want := range map[Op]string{
		EditRealServer{key, wanted}:                        "weight 7 forwarding Tunnel upper 9",
		EditService{other}:                                 "-t 10.1.0.0:80 -s wlc",
		DeleteRealServer{key, server.Address}:              "present",
		AddVIP{relayVIP}:                                   "absent",
		SetSysctl{"net.ipv4.ip_forward", "1"}:              "0",
		StartDaemon{ipvs.Daemon{ID: 1, Interface: "eth0"}}: "absent",
	} {
		if got := found(have, op); got != want {
			t.Errorf("%s: found %q, want %q", op, got, want)
		}
	}
}
