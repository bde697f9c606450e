package lab

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

// SetCable plugs or pulls a host's cable to the segment.
func (s *Segment) SetCable(h *Host, plugged bool) {
	s.lab.t.Helper()
	h.setLink(s.lab.sw, s.port(h), plugged)
}

// port is the host's in the bridge.
func (s *Segment) port(h *Host) string { return s.bridge + "." + h.Name }
