package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Missing tells what of n the kernel lacks, an error for each that names the
// module to load or what else helps. It tries everything for real, in a network
// namespace of its own, and so loads the modules that the kernel can load. Where
// it may not, it looks for the modules, and its second result wraps
// ErrCannotTell where that leaves something open.
func Missing(n Needs) ([]error, error) {
	var missing []error
	err := inScratch(func() (err error) {
		missing, err = tryNeeds(n)
		return err
	})
	if errors.Is(err, ErrPermission) {
		return lookForNeeds(n, hostModules(), err)
	}
	return missing, err
}

// What is tried is tried at an address that needs no set-up but lo.
var (
	trialService = map[Family]netip.AddrPort{
		IPv4: netip.MustParseAddrPort("127.0.0.1:9"),
		IPv6: netip.MustParseAddrPort("[fd00::1]:9"),
	}
	trialDestination = map[Family]netip.AddrPort{
		IPv4: netip.MustParseAddrPort("127.0.0.2:9"),
		IPv6: netip.MustParseAddrPort("[fd00::2]:9"),
	}
)

// inScratch calls f in a new network namespace with lo up, which ends with it.
func inScratch(f func() error) error {
	runtime.LockOSThread()
	before, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("find the network namespace: %w", err)
	}
	defer before.Close()
	// A thread that stayed behind would have to end, which the first thread of a
	// process cannot: the namespace would last as long as the process.
	defer func() {
		if unix.Setns(int(before.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}()
	if err := enterScratch(); err != nil {
		return err
	}
	return f()
}

// tryNeeds tries what is needed in an empty network namespace.
func tryNeeds(n Needs) ([]error, error) {
	c, err := Open()
	if errors.Is(err, ErrUnavailable) {
		return []error{ErrUnavailable}, nil
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	t := trial{client: c, works: "rr"}
	for _, name := range n.Schedulers {
		t.scheduler(name)
	}
	for _, name := range n.Engines {
		t.engine(name)
	}
	for _, f := range n.Families {
		t.family(f)
	}
	for _, tunnel := range n.Tunnels {
		t.tunnel(tunnel)
	}
	for _, p := range n.Protocols {
		t.protocol(p)
	}
	return t.missing, t.err
}

// enterScratch moves the thread into a new network namespace with lo up.
func enterScratch() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EPERM) {
			return fmt.Errorf("make a network namespace: %w (%w)", ErrPermission, err)
		}
		return fmt.Errorf("make a network namespace: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	lo.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

// trial makes services in a scratch namespace and collects what fails.
type trial struct {
	client *Client
	// works is a scheduler to schedule a packet with.
	works   string
	missing []error
	err     error
}

// make makes these changes in an empty table, as far as the first that fails.
func (t *trial) make(changes ...Change) error {
	if err := t.client.Flush(); err != nil {
		return err
	}
	for _, c := range changes {
		if err := t.client.Change([]Change{c})[0]; err != nil {
			return err
		}
	}
	return nil
}

// found records the outcome of one trial: kind is the error that means that it
// is missing.
func (t *trial) found(err, kind, missing error) {
	switch {
	case err == nil:
	case errors.Is(err, kind):
		t.missing = append(t.missing, missing)
	default:
		t.err = errors.Join(t.err, fmt.Errorf("try what the kernel has: %w", err))
	}
}

func (t *trial) scheduler(name string) {
	if name == "" {
		return
	}
	s := trialOf(IPv4, TCP)
	s.Scheduler = name
	err := t.make(Change{Command: AddService, Service: s})
	if err == nil && name != noScheduler {
		t.works = name
	}
	t.found(err, ErrNoScheduler, missingScheduler(name))
}

func missingScheduler(name string) error {
	return fmt.Errorf("scheduler %s is not in the kernel; load it: modprobe %s", name, schedulerModule(name))
}

func (t *trial) engine(name string) {
	if name == "" {
		return
	}
	s := trialOf(IPv4, UDP)
	s.Flags, s.Timeout, s.Engine = Persistent, 60e9, name
	t.found(t.make(Change{Command: AddService, Service: s}), ErrNoScheduler, missingEngine(name))
}

func missingEngine(name string) error {
	return fmt.Errorf("persistence engine %s is not in the kernel; load it: modprobe %s", name, engineModule(name))
}

// family also tries a destination: its address has to be looked up.
func (t *trial) family(f Family) {
	d := Destination{Address: trialDestination[f], Weight: 1}
	t.found(t.make(adding(trialOf(f, TCP), d)...), ErrInvalid,
		fmt.Errorf("the kernel's IPVS has no %v; it takes CONFIG_IP_VS_IPV6, and IPv6 not disabled", f))
}

// tunnel reads the destination back: an old kernel takes every tunnel for
// IP-in-IP.
func (t *trial) tunnel(tunnel TunnelType) {
	d := Destination{Address: trialDestination[IPv4], Weight: 1, Forwarding: Tunnel, Tunnel: TunnelInfo{Type: tunnel}}
	if tunnel == GUE {
		d.Tunnel.Port = 6080
	}
	missing := fmt.Errorf("the kernel's IPVS has no %v tunnels; it takes Linux 5.4 or later", d.Tunnel)
	err := t.make(adding(trialOf(IPv4, TCP), d)...)
	if err != nil {
		t.found(err, ErrInvalid, missing)
		return
	}
	services, err := t.client.Services()
	t.found(err, ErrInvalid, missing)
	if len(services) == 1 && len(services[0].Destinations) == 1 &&
		services[0].Destinations[0].Tunnel != d.Tunnel {
		t.missing = append(t.missing, missing)
	}
}

// protocol sends the first packet of a connection through a service: the kernel
// takes a service of any protocol, but not its packets.
func (t *trial) protocol(p Protocol) {
	s := trialOf(IPv4, p)
	s.Scheduler = t.works
	err := t.make(adding(s, Destination{Address: trialDestination[IPv4], Weight: 1})...)
	if err == nil {
		err = sendFirst(p)
	}
	if err == nil {
		err = connectionOf(p)
	}
	t.found(err, errNoConnection, fmt.Errorf("the kernel's IPVS has no %v; it takes CONFIG_IP_VS_PROTO_%s",
		p, strings.ToUpper(p.String())))
}

func trialOf(f Family, p Protocol) Service {
	return Service{
		ServiceKey: ServiceKey{Family: f, Protocol: p, Address: trialService[f]},
		Scheduler:  noScheduler, Granularity: f.Bits(),
	}
}

func adding(s Service, d Destination) []Change {
	return []Change{
		{Command: AddService, Service: s},
		{Command: AddDestination, Service: s, Destination: d},
	}
}

// sendFirst sends what begins a connection to the service.
func sendFirst(p Protocol) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(p))
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrInet4{Addr: trialService[IPv4].Addr().As4()}
	if err := unix.Sendto(fd, firstPacket(p), 0, to); err != nil {
		return fmt.Errorf("send a %v packet: %w", p, err)
	}
	return nil
}

// firstPacket is a datagram of UDP, a SYN of TCP or an INIT of SCTP, from port
// 1 to port 9. IPVS schedules it before anyone looks at its checksum.
func firstPacket(p Protocol) []byte {
	const ports = "\x00\x01\x00\x09"
	switch p {
	case UDP:
		return []byte(ports + "\x00\x08\x00\x00")
	case SCTP:
		return []byte(ports + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + // tag, checksum
			"\x01\x00\x00\x14" + // INIT, 20 bytes
			"\x00\x00\x00\x01" + "\x00\x00\x10\x00" + "\x00\x01\x00\x01" + "\x00\x00\x00\x01")
	default:
		return []byte(ports + "\x00\x00\x00\x01" + "\x00\x00\x00\x00" + "\x50\x02\x10\x00" + "\x00\x00\x00\x00")
	}
}

var errNoConnection = errors.New("no connection")

// connectionOf looks for a connection of that protocol in IPVS.
func connectionOf(p Protocol) error {
	f, err := os.Open("/proc/thread-self/net/ip_vs_conn")
	if err != nil {
		return err
	}
	defer f.Close()
	for c, err := range Connections(f) {
		if err != nil || c.Protocol == p {
			return err
		}
	}
	return errNoConnection
}
