package ipvs

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestValidateService(t *testing.T) {
	good := Service{
		ServiceKey:  ServiceKey{Family: IPv4, Protocol: TCP, Address: netip.MustParseAddrPort("192.0.2.1:25")},
		Scheduler:   "wlc",
		Granularity: 32,
	}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Service){
		"family 0, want IPv4 or IPv6":          func(s *Service) { s.Family = 0 },
		"either a firewall mark or":            func(s *Service) { s.Mark = 7 },
		"protocol ip-50, want tcp, udp or":     func(s *Service) { s.Protocol = 50 },
		"needs a protocol or a firewall mark":  func(s *Service) { s.Protocol = 0 },
		"address invalid IP":                   func(s *Service) { s.Address = netip.AddrPort{} },
		"address 192.0.2.1 in an IPv6 service": func(s *Service) { s.Family = IPv6 },
		"address ::ffff:192.0.2.1, want plain": func(s *Service) {
			s.Family, s.Address = IPv6, netip.MustParseAddrPort("[::ffff:192.0.2.1]:25")
		},
		"scheduler \"\"":                          func(s *Service) { s.Scheduler = "" },
		"scheduler \"0123456789abcdef\"":          func(s *Service) { s.Scheduler = "0123456789abcdef" },
		"persistence engine \"0123456789abcdef\"": func(s *Service) { s.Engine = "0123456789abcdef" },
		"timeout 1.5s":                            func(s *Service) { s.Timeout = 1500 * time.Millisecond },
		"timeout -1s":                             func(s *Service) { s.Timeout = -time.Second },
		"timeout 745h0m0s":                        func(s *Service) { s.Timeout = 745 * time.Hour },
		"granularity 33 of an IPv4 service":       func(s *Service) { s.Granularity = 33 },
		"granularity 0 of an IPv6 service": func(s *Service) {
			s.ServiceKey, s.Granularity = ServiceKey{Family: IPv6, Mark: 7}, 0
		},
	} {
		s := good
		change(&s)
		if err := s.validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", s, err, want)
		}
	}
}

func TestValidateDestination(t *testing.T) {
	good := Destination{Address: netip.MustParseAddrPort("192.0.2.11:25"), Forwarding: DirectRoute, Weight: 65535}
	if err := good.validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Destination){
		"address invalid IP":                   func(d *Destination) { d.Address = netip.AddrPort{} },
		"forwarding 5":                         func(d *Destination) { d.Forwarding = 5 },
		"weight -1, want 0..65535":             func(d *Destination) { d.Weight = -1 },
		"weight 65536, want 0..65535":          func(d *Destination) { d.Weight = 65536 },
		"thresholds 2147483648 and 0":          func(d *Destination) { d.Upper = 1 << 31 },
		"thresholds 0 and 4294967295":          func(d *Destination) { d.Lower = 1<<32 - 1 },
		"without the forwarding method Tunnel": func(d *Destination) { d.Tunnel.Type = 1 },
		"tunnel type 3, want ipip, gue or gre": func(d *Destination) {
			d.Forwarding, d.Tunnel = Tunnel, TunnelInfo{Type: 3}
		},
		"gue needs a port": func(d *Destination) { d.Forwarding, d.Tunnel = Tunnel, TunnelInfo{Type: GUE} },
	} {
		d := good
		change(&d)
		if err := d.validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", d, err, want)
		}
	}
}

func TestValidateTimeouts(t *testing.T) {
	for _, bad := range []Timeouts{{TCP: -time.Second}, {TCPFin: time.Millisecond}, {UDP: 32 * 24 * time.Hour}} {
		if err := bad.validate(); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: error %v, want ErrInvalid", bad, err)
		}
	}
	if err := (Timeouts{TCP: 15 * time.Minute}).validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateChange(t *testing.T) {
	change := Change{
		Command: AddDestination,
		Service: Service{ServiceKey: ServiceKey{Family: IPv4, Protocol: SCTP, Address: netip.MustParseAddrPort("192.0.2.1:25")}},
		Destination: Destination{
			Address: netip.MustParseAddrPort("[2001:db8::b]:25"), Forwarding: Tunnel,
		},
	}
	if err := change.validate(); err != nil {
		t.Errorf("tunnel to the other family: %v", err)
	}
	direct := change
	direct.Destination.Forwarding = DirectRoute
	remove := direct
	remove.Command = DeleteDestination
	if err := remove.validate(); err != nil {
		t.Errorf("delete: %v", err)
	}
	unknown := change
	unknown.Command = 9
	nowhere := change
	nowhere.Service.Family = 0
	for want, c := range map[string]Change{
		"only a tunnel leads": direct, "unknown command 9": unknown, "family 0": nowhere, "unknown command 0": {},
	} {
		if err := c.validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestValidateDaemon(t *testing.T) {
	good := Daemon{State: DaemonMaster, Interface: "eth0", Group: netip.MustParseAddr("ff02::81")}
	if err := good.validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Daemon){
		"daemon state 3, want master or backup": func(d *Daemon) { d.State = 3 },
		`interface ""`:                          func(d *Daemon) { d.Interface = "" },
		`interface "0123456789abcdef"`:          func(d *Daemon) { d.Interface = "0123456789abcdef" },
		"group 192.0.2.1, want a multicast":     func(d *Daemon) { d.Group = netip.MustParseAddr("192.0.2.1") },
	} {
		d := good
		change(&d)
		if err := d.validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", d, err, want)
		}
	}
}
