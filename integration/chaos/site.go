package main

import (
	"errors"
	"net/netip"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

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
}

// Config is what the configurations of both contestants have in common. Zero values
// are what most faults want.
type Config struct {
	Topology Topology
	// Interval is between two adverts; by default one second on a quiet machine, more
	// on a slower one.
	Interval time.Duration
	// CheckInterval is between two checks of a real server.
	CheckInterval time.Duration
	// Key has adverts signed, where the contestant can.
	Key string
	// Peers has the nodes speak to each other's addresses alone.
	Unicast bool
	// Notify is a command for every change of role: an absolute path.
	Notify string
	// Servers is how many virtual real servers of no consequence there are beside, in
	// a service that nobody asks: something to reload and to check.
	Servers int
	// Global, VRRP and Service are lines to add for lvsd, to [global], each [[vrrp]]
	// and each [[virtual_service]]; More is whole tables.
	Global, VRRP, ServiceLines, More string
}

// A Node is a director of a site.
type Node struct {
	*lab.Host
	Site   *Site
	Daemon *lab.Daemon
	// Dir is the daemon's own directory, of run files and state; File its configuration.
	Dir, File string
}

// A Contestant is a kind of daemon.
type Contestant interface {
	// Name is lvsd or keepalived.
	Name() string
	// Text is the configuration of a node.
	Text(*Node, Config) string
	// Command runs the daemon.
	Command(*Node) lab.Command
	// Reload asks for the file to be read again and waits until it has been, or says
	// why it was refused.
	Reload(*Node) error
	// Role is "MASTER", "BACKUP", "FAULT" or "" for none, as the daemon says itself.
	Role(*Node) string
	// Processes are those of a daemon, its own first.
	Processes(*Node) []int
}

// errNotWritten marks what is missing.
var errNotWritten = errors.New("not written yet")

// MasterDown is how long the BACKUP of the highest priority waits for adverts
// (RFC 9568 section 6.1).
func (s *Site) MasterDown() time.Duration { return 0 }

// Settled is nil when everything is as desired: a is the one MASTER and alone has
// the VIP, the client's neighbour table says so, the IPVS tables, rules and
// addresses of every node are what the configuration wants, and every server is up.
func (s *Site) Settled() error { return errNotWritten }

// Master is the node that has the VIP and says that it is MASTER; nil if there is
// none, or more than one.
func (s *Site) Master() *Node { return nil }

// Other is a node that is not this one: of the next lower priority, else the first.
func (s *Site) Other(*Node) *Node { return nil }

// AddHost adds a host to the segment, which leaves with the site.
func (s *Site) AddHost(name string) *lab.Host { return nil }

// Await waits until the condition is nil, in the site's own time and not for ever.
func (s *Site) Await(what string, condition func() error) error { return errNotWritten }

// Pause waits, unless the run is interrupted.
func (s *Site) Pause(time.Duration) {}

// Start starts the node's daemon; Stop asks it to end and waits; Kill ends all its
// processes at once with SIGKILL; Signal sends a signal to all its processes.
func (n *Node) Start()             {}
func (n *Node) Stop()              {}
func (n *Node) Kill()              {}
func (n *Node) Signal(int)         {}
func (n *Node) Configure(c Config) {}

// Log is what the daemon has written since the mark; Mark is the end of it now.
func (n *Node) Mark() int           { return 0 }
func (n *Node) Log(mark int) string { return "" }

// A Load is what the client does: new connections at a pace, each one exchange, and
// held ones that exchange something at a pace.
type Load struct{}
