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
	if k.Protocol == 0 {
		return fmt.Errorf("%w: a service needs a protocol or a firewall mark", ErrInvalid)
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
