package keepalived

import (
	"net/netip"
	"time"
)

// Configuration is what keepalived makes of a file, with its defaults.
type Configuration struct {
	Global       Global
	Instances    []*Instance
	Groups       []*SyncGroup
	Scripts      []*TrackScript
	Processes    []*TrackProcess
	Files        []*TrackFile
	Delays       map[string]Delays
	Static       []Address
	ServerGroups []*ServerGroup
	Services     []*VirtualServer
}

// Global is global_defs.
type Global struct {
	origin
	RouterID                                   string
	Version                                    int
	Multicast4, Multicast6                     netip.Addr
	DefaultInterface                           string
	GARP                                       GARP
	CheckUnicastSource                         bool
	StartupDelay                               time.Duration
	Checksum2                                  bool
	Sync                                       *SyncDaemon
	TCPTimeout, TCPFinTimeout, UDPTimeout      time.Duration
	Recipients                                 []string
	Sender, MailServer                         string
	MailAlert, MailAlertVRRP, MailAlertChecker *bool
	ScriptUser, FIFO, FIFOFor                  string
	fifo                                       *Statement
	mailAt                                     *Statement
}

// GARP is when gratuitous ARP is sent; nil is what global_defs say, or keepalived's
// default.
type GARP struct {
	Delay, Refresh *time.Duration
	Repeat         *int
	Minimal        bool
}

// SyncDaemon is lvs_sync_daemon. Without an instance both daemons run always.
type SyncDaemon struct {
	at                  *Statement
	Interface, Instance string
	ID                  *int
	MaxLength           int
	Port, TTL           int
	Group               netip.Addr
}

// Instance is a vrrp_instance.
type Instance struct {
	origin
	Name, Interface         string
	VRID, Priority, Version int
	State                   string
	AdvertInterval          time.Duration
	AuthType, AuthPass      string
	HMAC                    *HMAC
	VIPs, Excluded          []Address
	Routes                  []Route
	Rules                   []Rule
	NoPreempt               bool
	PreemptDelay            time.Duration
	Source                  netip.Addr
	Multicast               netip.Addr
	Peers                   []Peer
	CheckSource             *bool
	Checksum2               *bool
	GARP                    GARP
	Track                   []Tracked
	Notify                  Notify
	MailAlert               *bool
	SyncInterface           string
}

// HMAC is auth_hmac, of keepalived 2.4.
type HMAC struct {
	origin
	Keys   []HMACKey
	Active int
	Window time.Duration
	Mode   string
}

// HMACKey is a key of auth_hmac: hex:, file: or text.
type HMACKey struct {
	ID     int
	Secret string
}

// Peer is a line of unicast_peer.
type Peer struct {
	Address netip.Addr
	MinTTL  int
}

// Address is a line of virtual_ipaddress and its kin.
type Address struct {
	at                      *Statement
	Prefix                  netip.Prefix
	Whole                   bool // no length was written
	Interface, Label, Scope string
	Broadcast               netip.Addr
}

// Route is a line of virtual_routes.
type Route struct {
	at                            *Statement
	Destination                   netip.Prefix
	Type, Interface, Scope, Table string
	Gateway, Source               netip.Addr
	Metric                        string
	OnLink, Unusable              bool
}

// Rule is a line of virtual_rules.
type Rule struct {
	at                                        *Statement
	From, To                                  netip.Prefix
	Incoming, Outgoing, Table, Mark, Priority string
	IPv6                                      bool
}

// Tracked is a line of track_script and its kin: of Kind "interface", "script",
// "process", "file" or "bfd".
type Tracked struct {
	at         *Statement
	Kind, Name string
	Weight     *int
	Reverse    *bool
}

// Notify are the scripts of an instance or group.
type Notify struct{ Master, Backup, Fault, Stop, Any *Script }

// Script is a command and whom it runs as.
type Script struct {
	at   *Statement
	Line string
	User string
}

// SyncGroup is a vrrp_sync_group.
type SyncGroup struct {
	origin
	Name           string
	Members        []string
	Track          []Tracked
	Notify         Notify
	MailAlert      *bool
	TrackingWeight bool
}

// TrackScript is a vrrp_script.
type TrackScript struct {
	origin
	Name              string
	Script            *Script
	Interval, Timeout time.Duration
	Weight            int
	Reverse           bool
	Rise, Fall        int
	User              string
}

// TrackProcess is a vrrp_track_process.
type TrackProcess struct {
	origin
	Name, Process      string
	Weight             int
	Reverse            bool
	Quorum             int
	UpDelay, DownDelay time.Duration
}

// TrackFile is a track_file.
type TrackFile struct {
	origin
	Name, File string
	Weight     int
	Reverse    bool
}

// Delays are those of interface_up_down_delays.
type Delays struct {
	at       *Statement
	Down, Up time.Duration
}

// ServerGroup is a virtual_server_group.
type ServerGroup struct {
	origin
	Name    string
	Entries []GroupEntry
}

// GroupEntry is a line of it: addresses from First to Last, or a mark.
type GroupEntry struct {
	at          *Statement
	First, Last netip.Addr
	Port        uint16
	Mark        uint32
	IPv6        *bool
}

// VirtualServer is a virtual_server.
type VirtualServer struct {
	origin
	Address      netip.AddrPort
	Mark         uint32
	Group        string
	Protocol     string
	Scheduler    string
	Flags        map[string]bool
	Forwarding   Forwarding
	Persistent   bool
	Timeout      time.Duration
	Granularity  int // -1: none
	Engine       string
	OnePacket    bool
	IPv6         *bool
	Alpha, Omega bool
	Inhibit      bool
	Quorum       int
	Hysteresis   int
	QuorumUp     *Script
	QuorumDown   *Script
	Sorry        *SorryServer
	Weight       int
	VirtualHost  string
	Timing       Timing
	MailAlert    *bool
	RealServers  []*RealServer
	seen         map[netip.AddrPort]bool
}

// Forwarding is lvs_method with its tunnel: "nat", "dr" or "tun".
type Forwarding struct {
	Method, Tunnel, Checksum string
	Port                     int
}

// SorryServer is sorry_server and what belongs to it.
type SorryServer struct {
	at         *Statement
	Address    netip.AddrPort
	Forwarding *Forwarding
	Inhibit    bool
}

// Timing is when checks are made; what is not set is nil. Servers have it from
// their service and checks from their server.
type Timing struct {
	DelayLoop, ConnectTimeout, DelayBeforeRetry, Warmup *time.Duration
	Retry                                               *int
	Alpha                                               *bool
}

// RealServer is a real_server.
type RealServer struct {
	origin
	Address              netip.AddrPort
	Weight               int
	Forwarding           *Forwarding
	Upper, Lower         int
	Inhibit              *bool
	NotifyUp, NotifyDown *Script
	VirtualHost          string
	Timing               Timing
	Checks               []*Checker
}

// Checker is a checker of a real server. Kind is its keyword.
type Checker struct {
	origin
	Kind        string
	Timing      Timing
	ConnectIP   netip.Addr
	ConnectPort int
	BindTo      netip.Addr
	BindPort    int
	BindIf      string
	Mark        int
	// Hosts are those of SMTP_CHECK's host { }.
	Hosts []*Checker

	HeloName           string
	URLs               []*URL
	VirtualHost        string
	Protocol           string
	SNI                string
	EnableSNI          bool
	Name, Query        string
	Script             *Script
	MiscTimeout        *time.Duration
	Dynamic            bool
	User               string
	Payload, Reply     string
	ReplyRequired      bool
	MinReply, MaxReply *int
	File               string
}

// URL is url { } of HTTP_GET and SSL_GET.
type URL struct {
	origin
	Path, Digest, VirtualHost, Regex string
	NoMatch                          bool
	Options                          []string
	Status                           []string
}
