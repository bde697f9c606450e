package main

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/config/keepalived"
	"github.com/lvsd/lvsd/director/ipvs"
)

// keepalived is what keepalived programs for its configuration.
func (p programmed) keepalived(c *keepalived.Configuration) {
	for _, i := range c.Instances {
		for _, list := range [][]keepalived.Address{i.VIPs, i.Excluded} {
			for _, a := range list {
				p.vip(cmp.Or(a.Interface, i.Interface), a.Prefix)
			}
		}
	}
	for _, v := range c.Services {
		for _, key := range keysOf(c, v) {
			p.virtualServer(key, v)
		}
	}
}

// keysOf are the kernel's services of a virtual server: one for each address of a
// group, and for each mark.
func keysOf(c *keepalived.Configuration, v *keepalived.VirtualServer) []ipvs.ServiceKey {
	protocol := map[string]ipvs.Protocol{"tcp": ipvs.TCP, "udp": ipvs.UDP, "sctp": ipvs.SCTP}[v.Protocol]
	address := func(a netip.Addr, port uint16) ipvs.ServiceKey {
		return ipvs.ServiceKey{Family: familyOf(a), Protocol: protocol, Address: netip.AddrPortFrom(a, port)}
	}
	mark := func(mark uint32, said *bool) ipvs.ServiceKey {
		family := ipvs.IPv4
		if said = cmp.Or(said, v.IPv6); said != nil && *said || said == nil && len(v.RealServers) > 0 && v.RealServers[0].Address.Addr().Is6() {
			family = ipvs.IPv6
		}
		return ipvs.ServiceKey{Family: family, Mark: mark}
	}
	switch {
	case v.Mark != 0:
		return []ipvs.ServiceKey{mark(v.Mark, nil)}
	case v.Group == "":
		return []ipvs.ServiceKey{address(v.Address.Addr(), v.Address.Port())}
	}
	var keys []ipvs.ServiceKey
	for _, g := range c.ServerGroups {
		if g.Name != v.Group {
			continue
		}
		for _, e := range g.Entries {
			if e.Mark != 0 {
				keys = append(keys, mark(e.Mark, e.IPv6))
				continue
			}
			for a := e.First; a.IsValid() && len(keys) < 1<<16; a = a.Next() {
				keys = append(keys, address(a, e.Port))
				if a == e.Last {
					break
				}
			}
		}
	}
	return keys
}

func familyOf(a netip.Addr) ipvs.Family {
	if a.Is6() {
		return ipvs.IPv6
	}
	return ipvs.IPv4
}

func (p programmed) virtualServer(key ipvs.ServiceKey, v *keepalived.VirtualServer) {
	s := ipvs.Service{ServiceKey: key, Scheduler: v.Scheduler, Granularity: key.Family.Bits()}
	if v.Persistent {
		s.Flags |= ipvs.Persistent
		s.Timeout = v.Timeout
		if v.Granularity >= 0 {
			s.Granularity = uint8(v.Granularity)
		}
		s.Engine = v.Engine
	}
	if v.OnePacket && v.Protocol == "udp" {
		s.Flags |= ipvs.OnePacket
	}
	for flag := range v.Flags {
		s.Flags |= flagOf(flag, v.Scheduler)
	}
	p.service(s)
	for _, server := range v.RealServers {
		d := destination(key, server.Address, cmp.Or(server.Forwarding, &v.Forwarding))
		d.Weight, d.Upper, d.Lower = server.Weight, uint32(server.Upper), uint32(server.Lower)
		p.server(key, d)
		for _, check := range server.Checks {
			p.checker(key, d.Address, v, server, check)
		}
	}
	if v.Sorry != nil && v.Sorry.Inhibit && v.Sorry.Address.IsValid() {
		p.server(key, destination(key, v.Sorry.Address, cmp.Or(v.Sorry.Forwarding, &v.Forwarding)))
	}
}

// flagOf is the kernel's flag; those of sh and mh count for them alone.
func flagOf(flag, scheduler string) ipvs.Flags {
	switch flag {
	case "flag-1":
		return ipvs.Sched1
	case "flag-2":
		return ipvs.Sched2
	case "flag-3":
		return ipvs.Sched3
	case scheduler + "-fallback":
		return ipvs.Sched1
	case scheduler + "-port":
		return ipvs.Sched2
	}
	return 0
}

func destination(key ipvs.ServiceKey, address netip.AddrPort, f *keepalived.Forwarding) ipvs.Destination {
	d := ipvs.Destination{Address: address, Forwarding: ipvs.Masquerade}
	switch f.Method {
	case "dr":
		d.Forwarding = ipvs.DirectRoute
	case "tun":
		d.Forwarding = ipvs.Tunnel
		d.Tunnel = ipvs.TunnelInfo{
			Type:  map[string]ipvs.TunnelType{"gue": ipvs.GUE, "gre": ipvs.GRE}[f.Tunnel],
			Port:  uint16(f.Port),
			Flags: map[string]uint16{"checksum": ipvs.TunnelChecksum, "remote": ipvs.TunnelRemoteChecksum}[f.Checksum],
		}
	}
	if d.Forwarding != ipvs.Masquerade {
		d.Address = netip.AddrPortFrom(address.Addr(), key.Address.Port())
	}
	return d
}

func (p programmed) checker(key ipvs.ServiceKey, server netip.AddrPort, v *keepalived.VirtualServer, s *keepalived.RealServer, c *keepalived.Checker) {
	kind := map[string]string{
		"TCP_CHECK": "tcp", "SMTP_CHECK": "smtp", "HTTP_GET": "http", "SSL_GET": "https", "DNS_CHECK": "dns", "MISC_CHECK": "script",
		"UDP_CHECK": "udp", "PING_CHECK": "ping", "FILE_CHECK": "file", "BFD_CHECK": "bfd",
	}[c.Kind]
	interval := time.Minute
	if loop := cmp.Or(c.Timing.DelayLoop, s.Timing.DelayLoop, v.Timing.DelayLoop); loop != nil {
		interval = *loop
	}
	if kind == "file" {
		interval = 5 * time.Second // keepalived is told of changes
	}
	count := max(1, len(c.Hosts))
	if hosts := map[string]bool{}; len(c.URLs) > 0 {
		for _, u := range c.URLs {
			hosts[u.VirtualHost] = true
		}
		count = len(hosts)
	}
	for range count {
		p.check(key, server, kind, interval.String())
	}
}
