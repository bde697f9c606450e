package ipvs

import (
	"fmt"
	"math"
	"net/netip"
	"time"
)

const (
	maxNameLength = 15 // IP_VS_SCHEDNAME_MAXLEN and IP_VS_PENAME_MAXLEN, without the zero
	maxWeight     = 65535
	// maxTimeout is ipvsadm's limit. The kernel multiplies by its tick rate in
	// 32 bits and would wrap silently beyond 49 days.
	maxTimeout = 31 * 24 * time.Hour
)

// validate refuses what the kernel would not refuse but misunderstand: an
// address of the wrong family is cut to 4 bytes, a long timeout wraps.
func (k ServiceKey) validate() error {
	if k.Family != IPv4 && k.Family != IPv6 {
		return fmt.Errorf("%w: %v, want IPv4 or IPv6", ErrInvalid, k.Family)
	}
	if k.Mark != 0 {
		if k.Protocol != 0 || k.Address.IsValid() {
			return fmt.Errorf("%w: a service has either a firewall mark or protocol and address", ErrInvalid)
		}
		return nil
	}
	switch k.Protocol {
	case TCP, UDP, SCTP:
	case 0:
		return fmt.Errorf("%w: a service needs a protocol or a firewall mark", ErrInvalid)
	default:
		return fmt.Errorf("%w: protocol %v, want tcp, udp or sctp", ErrInvalid, k.Protocol)
	}
	if err := validateAddress(k.Address.Addr()); err != nil {
		return err
	}
	if familyOf(k.Address.Addr()) != k.Family {
		return fmt.Errorf("%w: address %v in an %v service", ErrInvalid, k.Address.Addr(), k.Family)
	}
	return nil
}

func (s Service) validate() error {
	if err := s.ServiceKey.validate(); err != nil {
		return err
	}
	if n := len(s.Scheduler); n == 0 || n > maxNameLength {
		return fmt.Errorf("%w: scheduler %q, want 1 to %d bytes", ErrInvalid, s.Scheduler, maxNameLength)
	}
	if len(s.Engine) > maxNameLength {
		return fmt.Errorf("%w: persistence engine %q, want at most %d bytes", ErrInvalid, s.Engine, maxNameLength)
	}
	if s.Timeout%time.Second != 0 || s.Timeout < 0 || s.Timeout > maxTimeout {
		return fmt.Errorf("%w: timeout %v, want whole seconds up to %v", ErrInvalid, s.Timeout, maxTimeout)
	}
	if s.Granularity > s.Family.Bits() || s.Family == IPv6 && s.Granularity == 0 {
		return fmt.Errorf("%w: granularity %d of an %v service", ErrInvalid, s.Granularity, s.Family)
	}
	return nil
}

func (d Destination) validate() error {
	if err := validateAddress(d.Address.Addr()); err != nil {
		return err
	}
	if d.Forwarding > Bypass {
		return fmt.Errorf("%w: %v", ErrInvalid, d.Forwarding)
	}
	if d.Weight < 0 || d.Weight > maxWeight {
		return fmt.Errorf("%w: weight %d, want 0..%d", ErrInvalid, d.Weight, maxWeight)
	}
	if d.Upper > math.MaxInt32 || d.Lower > math.MaxInt32 {
		return fmt.Errorf("%w: thresholds %d and %d, want 0..%d", ErrInvalid, d.Upper, d.Lower, math.MaxInt32)
	}
	if d.Forwarding != Tunnel && d.Tunnel != (TunnelInfo{}) {
		return fmt.Errorf("%w: encapsulation %v without the forwarding method %v", ErrInvalid, d.Tunnel, Tunnel)
	}
	if d.Tunnel.Type > GRE {
		return fmt.Errorf("%w: %v, want ipip, gue or gre", ErrInvalid, d.Tunnel)
	}
	if d.Tunnel.Type == GUE && d.Tunnel.Port == 0 {
		return fmt.Errorf("%w: encapsulation gue needs a port", ErrInvalid)
	}
	return nil
}

// validate refuses a change before the kernel is asked. A destination may be of
// another family than its service where it is reached through a tunnel.
func (c Change) validate() error {
	key := c.Service.ServiceKey
	switch c.Command {
	case AddService, UpdateService:
		return c.Service.validate()
	case DeleteService:
		return key.validate()
	case AddDestination, UpdateDestination:
		if err := key.validate(); err != nil {
			return err
		}
		if err := c.Destination.validate(); err != nil {
			return err
		}
		if c.mixed() && c.Destination.Forwarding != Tunnel {
			return fmt.Errorf("%w: only a tunnel leads to an address of another family than the service's %v",
				ErrInvalid, key.Family)
		}
		return nil
	case DeleteDestination:
		if err := key.validate(); err != nil {
			return err
		}
		return validateAddress(c.Destination.Address.Addr())
	default:
		return fmt.Errorf("%w: unknown %v", ErrInvalid, c.Command)
	}
}

func (s DaemonState) validate() error {
	if s != DaemonMaster && s != DaemonBackup {
		return fmt.Errorf("%w: %v, want %v or %v", ErrInvalid, s, DaemonMaster, DaemonBackup)
	}
	return nil
}

func (d Daemon) validate() error {
	if err := d.State.validate(); err != nil {
		return err
	}
	if n := len(d.Interface); n == 0 || n > maxNameLength {
		return fmt.Errorf("%w: interface %q, want 1 to %d bytes", ErrInvalid, d.Interface, maxNameLength)
	}
	if d.Group.IsValid() && (!d.Group.IsMulticast() || d.Group.Is4In6() || d.Group.Zone() != "") {
		return fmt.Errorf("%w: group %v, want a multicast address", ErrInvalid, d.Group)
	}
	return nil
}

func (t Timeouts) validate() error {
	for _, d := range []time.Duration{t.TCP, t.TCPFin, t.UDP} {
		if d%time.Second != 0 || d < 0 || d > maxTimeout {
			return fmt.Errorf("%w: timeout %v, want whole seconds up to %v", ErrInvalid, d, maxTimeout)
		}
	}
	return nil
}

func validateAddress(a netip.Addr) error {
	if !a.IsValid() || a.Is4In6() || a.Zone() != "" {
		return fmt.Errorf("%w: address %v, want plain IPv4 or IPv6", ErrInvalid, a)
	}
	return nil
}
