package main

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/lvsd/lvsd/integration/lab"
)

// The addresses of every site: sites do not know of each other.
const (
	vip         = "10.99.0.100"
	servicePort = 80
	// idlePort is of the service that nobody asks. Its real servers are addresses of the
	// first real server, from this host number on.
	idlePort  = 81
	firstIdle = 130
	mostIdle  = 100
	vrid      = 51
	// firstGuest is the host number of the first host that a fault adds.
	firstGuest = 31
)

// priorities are those of the nodes, in their order.
var priorities = []int{150, 100, 50}

// A Site is one contestant's network.
type Site struct {
	lab.TB
	Lab        *lab.Lab
	Contestant Contestant
	Config     Config
	// Nodes are the directors: a of the highest priority, b, and c in a relay.
	Nodes []*Node
	// Servers are the real servers: s1 and s2, or the nodes of a relay.
	Servers []*lab.Host
	Client  *lab.Host
	// Service is what the client connects to.
	Service netip.AddrPort
	Load    *Load

	// programs are those that serve, in the order of Servers.
	programs []*server
	watch    *watch
	guests   int
}

// Config is what the configurations of both contestants have in common. Zero values
// are what most faults want.
type Config struct {
	Topology Topology
	// Version is that of VRRP, 2 or 3; 3 by default. In 2, Interval is whole seconds.
	Version int
	// Interval is between two adverts; by default one second on a quiet machine, more
	// on a slower one.
	Interval time.Duration
	// CheckInterval is between two checks of a real server; by default Interval.
	CheckInterval time.Duration
	// Key has adverts signed, where the contestant can.
	Key string
	// Unicast has the nodes speak to each other's addresses alone.
	Unicast bool
	// Notify is a command for every change of role: an absolute path.
	Notify string
	// Tracker is a script that every node depends on, an absolute path: it runs every
	// CheckInterval, and where it fails there is FAULT.
	Tracker string
	// HTTP has the checks of real servers ask for a page, instead of connecting only.
	HTTP bool
	// Prepare is called for each node before its daemon starts the first time, unless
	// nil: it puts scripts in place, say.
	Prepare func(*Node) error
	// Servers is how many real servers of no consequence there are beside, in a service
	// that nobody asks: something to reload and to check. 3 by default.
	Servers int
	// Global, VRRP and ServiceLines are lines to add for lvsd, to [global], each
	// [[vrrp]] and each [[virtual_service]]; CheckKeys are keys of the checks, as
	// "flap_limit = 4"; More is whole tables.
	Global, VRRP, ServiceLines, CheckKeys, More string
}

// withDefaults fills in what is zero, for a machine so much slower than a quiet one.
func (c Config) withDefaults(scale float64) Config {
	if c.Version == 0 {
		c.Version = 3
	}
	if c.Interval == 0 {
		// Long enough for a daemon to be restarted within three of them.
		c.Interval = max(time.Second, time.Duration(scale/3*10)*time.Second/10)
		if c.Topology == Patient {
			c.Interval *= 4
		}
		if c.Version == 2 {
			c.Interval = (c.Interval + time.Second - 1).Truncate(time.Second)
		}
	}
	if c.CheckInterval == 0 {
		c.CheckInterval = c.Interval
	}
	if c.Servers == 0 {
		c.Servers = 3
	}
	return c
}

// newSite builds a site and starts everything, and returns when it has settled.
func newSite(t lab.TB, c Contestant, config Config, scale float64) *Site {
	t.Helper()
	s := &Site{
		TB: t, Lab: lab.New(t), Contestant: c, Config: config.withDefaults(scale),
		Service: netip.AddrPortFrom(netip.MustParseAddr(vip), servicePort),
	}
	s.Client = s.Lab.Host("client", "10.99.0.3/24")
	if config.Topology == Relay {
		s.addRelays()
	} else {
		s.addPair()
	}
	s.addIdleServers()
	for _, host := range s.Servers {
		s.programs = append(s.programs, serve(t, host, servicePort))
	}
	s.watch = startWatch(t, s)
	s.Load = newLoad(s)
	for _, n := range s.Nodes {
		n.prepare()
		n.Configure(s.Config)
		n.Start()
	}
	if err := s.awaitWithin(s.Lab.Scaled(patience), "the desired state", s.begun); err != nil {
		t.Fatalf("a new site of %s: %v", c.Name(), err)
	}
	return s
}

// begun is Settled for a site whose daemons have just been started: none of them may
// end.
func (s *Site) begun() error {
	for _, n := range s.Nodes {
		if !n.Daemon.Running() {
			return fmt.Errorf("%w: %s has ended: %w", errHopeless, n.Name, n.Daemon.Err())
		}
	}
	return s.Settled()
}

// errHopeless ends a wait at once.
var errHopeless = errors.New("it cannot come to that")

func (s *Site) addNode(name, address string) *Node {
	s.Helper()
	n := newNode(s, s.Lab.Host(name, address+"/24"))
	s.Nodes = append(s.Nodes, n)
	return n
}

// addPair adds directors, and real servers that have the VIP and are silent about
// it.
func (s *Site) addPair() {
	s.Helper()
	s.addNode("a", "10.99.0.1")
	s.addNode("b", "10.99.0.2")
	for i, name := range []string{"s1", "s2"} {
		server := s.Lab.Host(name, fmt.Sprintf("10.99.0.%d/24", 11+i))
		server.Run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
		server.Run("ip", "address", "add", vip+"/32", "dev", "lo")
		s.Servers = append(s.Servers, server)
	}
}

func (s *Site) addRelays() {
	s.Helper()
	for i, name := range []string{"a", "b", "c"} {
		s.Servers = append(s.Servers, s.addNode(name, fmt.Sprintf("10.99.0.%d", 11+i)).Host)
	}
}

// addIdleServers gives the first real server the addresses of those that nobody asks,
// and of one more, for a reload. They are on the segment: no link that goes down takes
// a route to them away.
func (s *Site) addIdleServers() {
	s.Helper()
	if s.Config.Servers >= mostIdle {
		s.Fatalf("%d real servers beside, at most %d", s.Config.Servers, mostIdle-1)
	}
	first := s.Servers[0]
	serve(s, first, idlePort)
	err := first.Do(func() error {
		link, err := netlink.LinkByName(lab.LinkName)
		for i := 0; i <= s.Config.Servers && err == nil; i++ {
			err = netlink.AddrAdd(link, &netlink.Addr{IPNet: netlink.NewIPNet(idleServer(i).Addr().AsSlice())})
		}
		return err
	})
	if err != nil {
		s.Fatalf("%s: addresses of idle servers: %v", first.Name, err)
	}
}

// idleServer is the address of such a real server.
func idleServer(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 99, 0, byte(firstIdle + i)}), idlePort)
}

// MasterDown is how long the BACKUP of the highest priority waits for adverts
// (RFC 9568 section 6.1).
func (s *Site) MasterDown() time.Duration {
	return 3*s.Config.Interval + s.Skew()
}

// Skew is how long that BACKUP waits after a goodbye.
func (s *Site) Skew() time.Duration {
	return s.Config.Interval * time.Duration(256-priorities[1]) / 256
}

// Master is the node that has the VIP and says that it is MASTER; nil if there is
// none, or more than one.
func (s *Site) Master() *Node {
	var master *Node
	for i, n := range s.Nodes {
		if !s.watch.holds(i) || s.Contestant.Role(n) != roleMaster {
			continue
		}
		if master != nil {
			return nil
		}
		master = n
	}
	return master
}

// Other is a node that is not this one: of the next lower priority, else the first.
func (s *Site) Other(n *Node) *Node {
	for i := range s.Nodes {
		if s.Nodes[i] == n {
			return s.Nodes[(i+1)%len(s.Nodes)]
		}
	}
	return s.Nodes[0]
}

// AddHost adds a host to the segment, which leaves with the site.
func (s *Site) AddHost(name string) *lab.Host {
	s.Helper()
	s.guests++
	return s.Lab.Host(name, fmt.Sprintf("10.99.0.%d/24", firstGuest+s.guests-1))
}

const (
	// patience bounds Await before scaling: it tells hanging from slow.
	patience     = time.Minute
	pollInterval = 100 * time.Millisecond
)

// Await waits until the condition is nil, in the site's own time and not for ever.
func (s *Site) Await(what string, condition func() error) error {
	return s.awaitWithin(s.Lab.Scaled(patience), what, condition)
}

func (s *Site) awaitWithin(deadline time.Duration, what string, condition func() error) error {
	start := time.Now()
	for {
		err := condition()
		switch {
		case err == nil, errors.Is(err, errHopeless):
			return err
		case s.Context().Err() != nil:
			return fmt.Errorf("%s: %w", what, s.Context().Err())
		case time.Since(start) > deadline:
			return fmt.Errorf("%s: not after %v: %w", what, deadline.Round(time.Second), err)
		}
		s.Pause(pollInterval)
	}
}

// awaitSettled waits for the desired state. keepalived is known not to return to it
// after some faults, and is not waited for as long.
func (s *Site) awaitSettled() error {
	deadline := s.Lab.Scaled(patience)
	if s.Contestant.Name() != lvsdName {
		deadline = min(deadline, 20*time.Second+4*s.MasterDown())
	}
	return s.awaitWithin(deadline, "the desired state", s.Settled)
}

// Pause waits, unless the run is interrupted.
func (s *Site) Pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.Context().Done():
	}
}
