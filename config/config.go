// Package config reads the TOML file: it turns bytes and a node name into a
// Config, or into every problem the file has, each with its position. It reads
// no interface, socket or clock, of files only those with keys that the text
// names, and must not know how anything is carried out.
package config

import (
	"net/netip"
	"reflect"
	"time"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/healthcheck"
	"github.com/lvsd/lvsd/iptables"
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
)

// Config is a valid configuration as it applies to one node: overrides by host
// name are resolved, defaults are filled in.
type Config struct {
	Global Global
	Sysctl Sysctl
	IPVS   IPVS
	// Sync is nil where connections are not synchronised.
	Sync *Sync
	VRRP []VRRP
	// Accept is what this node takes as a real server of others' services.
	Accept   []Accept
	Groups   []SyncGroup
	Trackers []Tracker
	Services []VirtualService
	// Checks are the bounds of health checks.
	Checks healthcheck.Limits
	// Cluster is nil where nodes do not speak with each other.
	Cluster *Cluster
	Metrics Metrics
	Web     Web
	Alerts  Alerts
	Reload  Reload
	// Hash is of the file's bytes, the first 16 hex digits of their SHA-256: nodes
	// with the same file have the same. It is no part of what Equal compares.
	Hash string `json:"-"`
	// Warnings are what is to be said about the file as such, who may read it;
	// they are no part of what Equal compares either.
	Warnings []string `json:"-"`
}

// Equal reports whether a reload from c to other changes nothing. It compares
// by reflection, so that no new field is ever forgotten.
func (c *Config) Equal(other *Config) bool {
	a, b := *c, *other
	a.Hash, b.Hash = "", ""
	a.Warnings, b.Warnings = nil, nil
	return reflect.DeepEqual(&a, &b)
}

// Equal reports whether a reload changes nothing of the instance.
func (v VRRP) Equal(other VRRP) bool { return reflect.DeepEqual(v, other) }

// Equal reports whether a reload changes nothing of the service.
func (s VirtualService) Equal(other VirtualService) bool { return reflect.DeepEqual(s, other) }

// Global holds what concerns the whole daemon.
type Global struct {
	// RouterID names this node in hooks, logs and status; the host name unless
	// set.
	RouterID string
	// Resync is how often the kernel is read again to find what others
	// changed; default 1s, range 100ms..1h.
	Resync time.Duration
	// LockWait bounds how long one iptables call waits for the xtables lock, in
	// whole seconds; default 1s, range 1s..60s.
	LockWait time.Duration
	// OnDrift is what is done about changes of somebody else's.
	OnDrift OnDrift
	// ScriptUser runs the hooks and the scripts of trackers and checks that name
	// no user; empty is lvsd's own. They all have it already.
	ScriptUser string
}

// OnDrift is what is done about what somebody else changed in the kernel.
type OnDrift string

// The two ways.
const (
	// Repair puts it right at once. It is the default.
	Repair OnDrift = "repair"
	// Report leaves it and says so in log and status.
	Report OnDrift = "report"
)

// IPVS holds what concerns all virtual services.
type IPVS struct {
	// Timeouts of idle connections; zero leaves the kernel's.
	Timeouts ipvs.Timeouts
	// Sysctls are kernel parameters by their full dotted name, all below
	// net.ipv4.vs. They are set whether or not Sysctl.Manage.
	Sysctls map[string]string
}

// SyncDaemons is which synchronisation daemons run.
type SyncDaemons string

// The two ways.
const (
	// SyncBoth: sender and receiver on every node in every role, so that
	// nothing waits in a sender that is stopped. It is the default.
	SyncBoth SyncDaemons = "both"
	// SyncFollow: the sender on the MASTER, the receiver on every other node.
	// A former MASTER's sender, and a new one's receiver, stop when the former's
	// queue is empty.
	SyncFollow SyncDaemons = "follow"
)

// Sync is the synchronisation of connections between directors (ip_vs_sync).
type Sync struct {
	// Instance is the VRRP instance whose role the daemons follow.
	Instance string
	Daemons  SyncDaemons
	// Interface is that of Instance unless set.
	Interface string
	// ID is 1..255, the instance's VRID unless set; it is the same on every
	// node.
	ID uint8
	// MaxLen, Group, Port and TTL are as in ipvs.Daemon; zero is the kernel's
	// default.
	MaxLen uint16
	Group  netip.Addr
	Port   uint16
	TTL    uint8
}

// Accept makes this node a real server that takes what directors send to it for
// VIPs that it does not hold: the VIPs stand on lo or on a tunnel device, and
// ARP does not tell of them.
type Accept struct {
	VIPs []netip.Addr
	// Forwarding is ipvs.DirectRoute or ipvs.Tunnel.
	Forwarding ipvs.Forwarding
	// Decapsulations are those of Tunnel, at least one.
	Decapsulations []netif.Decapsulation
}

// Sysctl says what to do about kernel parameters that lvsd needs.
type Sysctl struct {
	// Manage sets them and restores the old values on a clean stop; otherwise
	// a wrong one is only reported.
	Manage bool
}

// RedirectScope is which packets the rule on a BACKUP accepts.
type RedirectScope string

// The scopes of the rule.
const (
	// RedirectServices: the protocol and ports of the VIP's virtual services,
	// and of TCP only connection requests.
	RedirectServices RedirectScope = "services"
	// RedirectAllTCP: every TCP packet to the VIP.
	RedirectAllTCP RedirectScope = "all-tcp"
)

// VRRP is one VRRP instance on this node.
type VRRP struct {
	// Router is what the protocol needs. Source is zero unless the file sets
	// it: then the interface's first address is used.
	Router    vrrp.Config
	Interface string
	// VIPs are held while MASTER. Those that are not Excluded are Router.VIPs,
	// in an order of their own.
	VIPs []VIP
	// Routes and Rules stand while MASTER.
	Routes []netif.Route
	Rules  []netif.Rule
	// Track are the trackers that the priority or the role depends on.
	Track []Tracked
	// ServeOnBackup makes a node that is not MASTER accept what the MASTER
	// forwards to it, by a REDIRECT rule for each VIP.
	ServeOnBackup bool
	Redirect      RedirectScope
	// KeepConnections makes connections that this node serves itself survive
	// the loss of mastership: the VIPs stand on lo in every role, and IPVS
	// leaves packets alone while BACKUP. It needs ServeOnBackup, and a Sync of
	// this instance.
	KeepConnections bool
	// KeepRedirectOnStop leaves the rule in place at a clean stop, because the
	// other directors still send this node its share. Default true.
	KeepRedirectOnStop bool
	// GARP says when gratuitous ARP is sent.
	GARP GARP
	// Hooks are called on state changes.
	Hooks Hooks
}

// VIP is a virtual address of an instance.
type VIP struct {
	netif.VIP
	// Excluded keeps it out of the adverts: another address family, or more
	// than an advert can list.
	Excluded bool
}

// SyncGroup makes instances move together: all are MASTER, or none is.
type SyncGroup struct {
	Name      string
	Instances []string
	// Track holds for every member.
	Track []Tracked
	// Hooks are called when the group changes, with "GROUP" where an
	// instance's have "INSTANCE".
	Hooks Hooks
}

// TrackerKind is what a tracker watches.
type TrackerKind string

// The kinds of tracker.
const (
	TrackInterface TrackerKind = "interface"
	TrackScript    TrackerKind = "script"
	TrackProcess   TrackerKind = "process"
	TrackFile      TrackerKind = "file"
	// TrackService is up while the real servers of a virtual service that are
	// up have at least Quorum as the sum of their weights.
	TrackService TrackerKind = "service"
	// TrackCheck is up while a health check passes.
	TrackCheck TrackerKind = "check"
)

// Tracker is something that instances can depend on. Only the fields of its Kind
// are set.
type Tracker struct {
	Name string
	Kind TrackerKind
	// Script, Process and File are run by package track.
	Spec track.Spec
	// Interface must exist, be up and have a carrier.
	Interface string
	// DownDelay and UpDelay debounce interface and service: how long a change
	// must last before it counts.
	DownDelay, UpDelay time.Duration
	// Service is the Name of a virtual service, Quorum the least sum of weights.
	Service string
	Quorum  int
	// Check is the probe.
	Check healthcheck.Spec
}

// Tracked is a tracker as an instance depends on it.
type Tracked struct {
	// Tracker is its name.
	Tracker string
	// Weight is -253..253. 0: FAULT while the tracker is down (a file: while its
	// number is not 0). Greater: added while up. Less: taken away while down. Of
	// a file, the number times Weight is added.
	Weight int
	// Reverse exchanges up and down.
	Reverse bool
}

// GARP is the schedule of gratuitous ARP, and of unsolicited neighbour
// advertisements in IPv6, while MASTER.
type GARP struct {
	// Count is how many are sent in a burst (default 5, 1..100); one burst is
	// sent at once and one Delay later (default 5s).
	Count int
	Delay time.Duration
	// Refresh sends one every so often; default 60s, 0 is never.
	Refresh time.Duration
}

// Hooks are the commands of an instance: argv, the first an absolute path.
type Hooks struct {
	// Master, Backup, Fault and Stop run with exactly the arguments written.
	Master, Backup, Fault, Stop []string
	// Any runs on every change with "INSTANCE" name STATE priority appended, as
	// keepalived's notify.
	Any []string
	// Timeout bounds one run; default 30s.
	Timeout time.Duration
	// User runs them, see command.ParseUser; empty is lvsd's own.
	User string
	// Environment is added to the hook's environment.
	Environment map[string]string
}

// OnFailure is what happens to a real server that fails its checks.
type OnFailure string

// The two ways.
const (
	// Quiesce sets weight 0: established connections stay.
	Quiesce OnFailure = "quiesce"
	// Remove deletes it from the kernel's table.
	Remove OnFailure = "remove"
)

// VirtualService is a virtual service and its real servers.
type VirtualService struct {
	// Name is the service's name in status and logs; its key unless set:
	// "tcp 192.0.2.1:25".
	Name string
	// IPVS is the kernel's view of the service.
	//
	// A table of the file with several addresses or ports is several services
	// of one Name here, with equal real servers.
	IPVS       ipvs.Service
	Forwarding ipvs.Forwarding
	OnFailure  OnFailure
	// RealServers in file order. Sorry is used while Quorum is not met.
	RealServers []RealServer
	Sorry       *SorryServer
	Quorum      Quorum
	// SlowStart is how long the weight of a real server that recovered takes
	// to rise from 1 to the full; 0 is at once.
	SlowStart time.Duration
	Hooks     ServiceHooks
	// Omega runs the hooks for down, of servers and quorum, at a clean stop.
	Omega bool
	// Marks are rules that give packets the service's firewall mark.
	Marks []iptables.Mark
	// SNAT, of NAT only, hides clients behind this node.
	SNAT *SNAT
}

// SNAT is the source of packets to a real server.
type SNAT struct {
	// Source is an address of this node; zero is that of the outgoing
	// interface.
	Source netip.Addr
}

// Quorum is how much must be up for a service to be in order.
type Quorum struct {
	// Weight is the least sum of the weights of the real servers that are up;
	// 0 counts as 1.
	Weight int
	// Hysteresis keeps the answer steady: lost below Weight-Hysteresis,
	// regained at Weight+Hysteresis. It is less than Weight.
	Hysteresis int
}

// ServiceHooks are the commands of a service: argv, the first an absolute path.
// Appended are "SERVICE" name and UP or DOWN, or "SERVER" name address and UP
// or DOWN.
type ServiceHooks struct {
	QuorumUp, QuorumDown, ServerUp, ServerDown []string
	// Timeout bounds one run; default 30s.
	Timeout time.Duration
	// User runs them, as those of an instance.
	User string
	// Environment is added to the hook's environment.
	Environment map[string]string
}

// RealServer is a real server of a service.
type RealServer struct {
	// Host is the name that the file gave in place of an address; empty if it
	// gave an address. WithAddresses makes of a server with a name one server
	// for each of its addresses; before that, Address holds only the port.
	Host       string
	Address    netip.AddrPort
	Forwarding ipvs.Forwarding
	// Tunnel is how packets are wrapped, of ipvs.Tunnel only.
	Tunnel ipvs.TunnelInfo
	// Weight is 0..65535 while up.
	Weight       int
	Upper, Lower uint32
	// Checks decide whether the server is up: all must pass, or with AnyCheck
	// one of them. None means always up.
	Checks   []healthcheck.Spec
	AnyCheck bool
	// WeightChecks change the weight and nothing else.
	WeightChecks []WeightCheck
}

// WeightCheck is a check that makes a real server's weight depend on its
// result.
type WeightCheck struct {
	Check healthcheck.Spec
	// Weight is -65535..65535: positive, it is added while the check passes;
	// negative, it is taken away while it fails. The sum is kept within
	// 0..65535.
	Weight int
}

// SorryMode is what becomes of the real servers that are up when the quorum is
// lost and the sorry server comes.
type SorryMode string

// The two ways.
const (
	// SorryReplaces: they go, as their on_failure says. It is the default.
	SorryReplaces SorryMode = "replace"
	// SorryBeside: they stay.
	SorryBeside SorryMode = "beside"
)

// SorryServer takes the connections while the quorum is not met.
type SorryServer struct {
	Address    netip.AddrPort
	Forwarding ipvs.Forwarding
	Tunnel     ipvs.TunnelInfo
	// Weight is 1 unless set.
	Weight int
	// Inhibit keeps it in the table with weight 0 while it is not needed, so
	// that its connections end in peace.
	Inhibit bool
	Mode    SorryMode
}
