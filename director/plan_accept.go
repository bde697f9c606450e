package director

import (
	"github.com/lvsd/lvsd/director/netif"
)

// loopback is where VIPs stand that this node takes packets for and does not
// tell neighbours of.
const loopback = "lo"

// planAccept adds what makes this node a real server of others' services. The
// VIPs stand on lo for tunnels too: a packet that comes out of a tunnel is local
// by its address, whatever the device.
//
// It stays at a clean stop: other directors do not know that lvsd was stopped
// here, and go on sending this node its share.
func planAccept(want State, f Facts) {
	for _, accept := range f.Config.Accept {
		for _, vip := range accept.VIPs {
			want.VIPs.Add(netif.HostVIP(loopback, vip))
		}
		for _, tunnel := range accept.Decapsulations {
			want.Decapsulations.Add(tunnel)
		}
	}
}
