package config

import (
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

var (
	tunnelTypes = map[string]ipvs.TunnelType{
		string(netif.IPIP): ipvs.IPIP, string(netif.GUE): ipvs.GUE, string(netif.GRE): ipvs.GRE,
	}
	tunnelFlags = map[string]uint16{"none": 0, "checksum": ipvs.TunnelChecksum, "remote": ipvs.TunnelRemoteChecksum}
	// tunnelKeys are the keys of a table that only tunnels have.
	tunnelKeys = []string{"encapsulation", "gue_port", "tunnel_checksum"}
)

func encapsulation() kind[string] {
	return choice(string(netif.IPIP), string(netif.GRE), string(netif.GUE))
}

// tunnelWords are the defaults as the reference has them.
type tunnelWords struct{ encapsulation, port, checksum string }

var (
	serviceTunnel = tunnelWords{`"ipip"`, "required with gue", `"none"`}
	serverTunnel  = tunnelWords{"the service's", "the service's", "the service's"}
)

// readTunnel reads how packets are wrapped. What inherited has holds for the
// same encapsulation. Other forwarding methods have none.
func readTunnel(t *table, forwarding ipvs.Forwarding, inherited ipvs.TunnelInfo, words tunnelWords) ipvs.TunnelInfo {
	name := read(t, "encapsulation", kinds.encapsulation)
	port := read(t, "gue_port", kinds.port)
	checksum := read(t, "tunnel_checksum", kinds.checksum)
	info := inherited
	if of, ok := tunnelTypes[name.orElse("", words.encapsulation)]; ok && of != inherited.Type {
		info = ipvs.TunnelInfo{Type: of}
	}
	if number := port.orElse(0, words.port); port.set {
		info.Port = uint16(number)
	}
	if flag := checksum.orElse("none", words.checksum); checksum.set {
		info.Flags = tunnelFlags[flag]
	}
	if forwarding != ipvs.Tunnel {
		wantNoTunnel(t)
		return ipvs.TunnelInfo{}
	}
	switch {
	case name.set && name.value == "":
		return info // not readable, reported
	case port.set && info.Type != ipvs.GUE:
		t.failKey(t.at("gue_port"), `is of GUE, expected it only with encapsulation = "gue"`)
	case name.set && info.Type == ipvs.GUE && info.Port == 0 && !port.set:
		t.missing("gue_port", "the UDP port of GUE")
	}
	switch {
	case checksum.set && info.Flags == ipvs.TunnelRemoteChecksum && info.Type != ipvs.GUE:
		t.fail(t.at("tunnel_checksum"), `"remote" is of GUE, expected it only with encapsulation = "gue"`)
	case checksum.set && info.Flags == ipvs.TunnelChecksum && info.Type == ipvs.IPIP:
		t.fail(t.at("tunnel_checksum"), `IP in IP has no checksum, expected it only with encapsulation = "gre" or "gue"`)
	}
	return info
}

// wantNoTunnel reports the keys of tunnels where there is none.
func wantNoTunnel(t *table) {
	for _, key := range tunnelKeys {
		if t.has(key) {
			t.failKey(t.at(key), `is of tunnels, expected it only with forwarding = "tun"`)
		}
	}
}
