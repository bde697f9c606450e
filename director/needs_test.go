package director

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
)

func TestNeedsOf(t *testing.T) {
	c := farm(4, 2)
	c.Services[1].IPVS.Scheduler = "mh"
	c.Services[1].IPVS.Engine = "sip"
	c.Services[1].IPVS.Protocol = ipvs.UDP
	c.Services[2].IPVS.ServiceKey = ipvs.ServiceKey{Family: ipvs.IPv6, Mark: 7}
	c.Services[2].RealServers[1].Forwarding = ipvs.Tunnel
	c.Services[2].RealServers[1].Tunnel = ipvs.TunnelInfo{Type: ipvs.GUE, Port: 6080}
	c.Services[3].Sorry = &config.SorryServer{Forwarding: ipvs.Tunnel}
	want := ipvs.Needs{
		Schedulers: []string{"mh", "wlc"}, Engines: []string{"sip"},
		Families: []ipvs.Family{ipvs.IPv4, ipvs.IPv6}, Protocols: []ipvs.Protocol{ipvs.TCP, ipvs.UDP},
		Tunnels: []ipvs.TunnelType{ipvs.IPIP, ipvs.GUE},
	}
	if diff := cmp.Diff(want, needsOf(c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ipvs.Needs{}, needsOf(&config.Config{})); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}
}
