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
	"github.com/lvsd/lvsd/track"
	"github.com/lvsd/lvsd/vrrp"
)

// Config is a valid configuration as it applies to one node: overrides by host
// name are resolved, defaults are filled in.
type Config struct {
	Global   Global
	Sysctl   Sysctl
	VRRP     []VRRP
	Groups   []SyncGroup
	Trackers []Tracker
	Services []VirtualService
}

// Equal reports whether a reload from c to other changes nothing. It compares
// by reflection, so that no new field is ever forgotten.
func (c *Config) Equal(other *Config) bool { return reflect.DeepEqual(c, other) }

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
	IPVS       ipvs.Service
	Forwarding ipvs.Forwarding
	OnFailure  OnFailure
	// RealServers in file order. Sorry is used while none of them is up.
	RealServers []RealServer
	Sorry       *SorryServer
}

// RealServer is a real server of a service.
type RealServer struct {
	Address netip.AddrPort
	// Weight is 0..65535 while up.
	Weight       int
	Upper, Lower uint32
	// Checks must all pass for the server to be up; none means always up.
	Checks []healthcheck.Spec
}

// SorryServer takes the connections while no real server is up.
type SorryServer struct {
	Address    netip.AddrPort
	Forwarding ipvs.Forwarding
}
