package lab

import (
	"fmt"

	"github.com/vishvananda/netlink"
)

// A Segment is a network beside the one of every host's eth0: another bridge in
// the switch, and the hosts plugged into it.
type Segment struct {
	lab    *Lab
	bridge string
}

// Segment adds a segment. A port of it bears its name and that of the host, at
// most 14 bytes together.
func (l *Lab) Segment(name string) *Segment {
	l.t.Helper()
	if err := l.sw.Do(func() error { return addBridge(name) }); err != nil {
		l.t.Fatalf("switch: %v", err)
	}
	return &Segment{lab: l, bridge: name}
}

// Plug gives a host another interface: up, with the address, as "10.0.0.1/24",
// and plugged into the segment.
func (s *Segment) Plug(h *Host, link, address string) {
	s.lab.t.Helper()
	if err := h.plugIn(s.bridge, s.port(h), link, address); err != nil {
		s.lab.t.Fatalf("host %s: %v", h.Name, err)
	}
}

// Move plugs the cable of a host's eth0 into the segment.
func (s *Segment) Move(h *Host) {
	s.lab.t.Helper()
	err := s.lab.sw.Do(func() error {
		port, err := netlink.LinkByName(h.Name)
		if err != nil {
			return err
		}
		bridge, err := netlink.LinkByName(s.bridge)
		if err != nil {
			return err
		}
		return netlink.LinkSetMaster(port, bridge)
	})
	if err != nil {
		s.lab.t.Fatalf("host %s: to segment %s: %v", h.Name, s.bridge, err)
	}
}

// Join lays a line between the segment and the network of every host's eth0. It is as
// bad in both directions as the words say, in the language of tc-netem(8): "delay",
// "40ms". Without words it needs no kernel module.
func (s *Segment) Join(netem ...string) {
	s.lab.t.Helper()
	here, there := s.line(), s.bridge+".far"
	err := s.lab.sw.Do(func() error {
		line := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: here}, PeerName: there}
		if err := netlink.LinkAdd(line); err != nil {
			return err
		}
		return plugEnds(map[string]string{here: bridgeName, there: s.bridge})
	})
	if err != nil {
		s.lab.t.Fatalf("segment %s: join: %v", s.bridge, err)
	}
	for _, end := range []string{here, there} {
		if len(netem) > 0 {
			s.lab.sw.Run("tc", append([]string{"qdisc", "add", "dev", end, "root", "netem"}, netem...)...)
		}
	}
}

// SetLine repairs or cuts the line of Join.
func (s *Segment) SetLine(whole bool) {
	s.lab.t.Helper()
	s.lab.sw.setLink(s.lab.sw, s.line(), whole)
}

func (s *Segment) line() string { return s.bridge + ".line" }

// plugEnds plugs the ends of a line into bridges.
func plugEnds(ends map[string]string) error {
	for end, bridge := range ends {
		master, err := netlink.LinkByName(bridge)
		if err != nil {
			return err
		}
		link, err := netlink.LinkByName(end)
		if err != nil {
			return err
		}
		if err := netlink.LinkSetMaster(link, master); err != nil {
			return fmt.Errorf("%s: to %s: %w", end, bridge, err)
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
	}
	return nil
}

// SetCable plugs or pulls a host's cable to the segment.
func (s *Segment) SetCable(h *Host, plugged bool) {
	s.lab.t.Helper()
	h.setLink(s.lab.sw, s.port(h), plugged)
}

// port is the host's in the bridge.
func (s *Segment) port(h *Host) string { return s.bridge + "." + h.Name }
