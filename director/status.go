package director

import "time"

// Status is what lvsd tells of itself, on the control socket and in JSON. Its
// fields are only ever added to.
type Status struct {
	// Schema is "lvsd.status/1".
	Schema   string    `json:"schema"`
	Version  string    `json:"version"`
	PID      int       `json:"pid"`
	RouterID string    `json:"router_id"`
	Config   string    `json:"config"`
	Started  time.Time `json:"started"`
	// Ready is false until every check has answered once.
	Ready bool `json:"ready"`
	// CheckNotices are what is the matter with the checks as a whole now, the
	// oldest first.
	CheckNotices []CheckNoticeStatus `json:"check_notices"`
	Reload       ReloadStatus        `json:"reload"`
	Reconcile    ReconcileStatus     `json:"reconcile"`
	Instances    []InstanceStatus    `json:"instances"`
	// Groups and Trackers are those of the configuration, in file order.
	Groups   []GroupStatus   `json:"groups"`
	Trackers []TrackerStatus `json:"trackers"`
	Services []ServiceStatus `json:"services"`
	// Conflicts are the hosts that said they have a VIP of a MASTER here.
	Conflicts []ConflictStatus `json:"conflicts"`
	// Drift is what somebody else changed and lvsd leaves, as on_drift says.
	Drift []DriftStatus `json:"drift"`
	// Daemons are the synchronisation daemons that run.
	Daemons []DaemonStatus `json:"sync_daemons"`
	// Hosts are the host names of real servers.
	Hosts []HostStatus `json:"hosts"`
	// Foreign is what stands in the kernel beside lvsd's own, left alone.
	Foreign []string `json:"foreign"`
	// Sysctls are the kernel parameters that are not as they should be.
	Sysctls []SysctlStatus `json:"sysctls"`
	// ConfigHash is of the file's text, as 16 hex digits: nodes that serve the same
	// file have the same.
	ConfigHash string `json:"config_hash,omitempty"`
	// Maintenance is why this node is in maintenance; nil if it is not.
	Maintenance *Override `json:"maintenance,omitempty"`
	// Overrides are those that stand, also those of what the configuration does not
	// have. OverrideTrouble is why it is not known what was ordered before the start:
	// real servers that had weight 0 are drained, then.
	Overrides       []Override `json:"overrides"`
	OverrideTrouble string     `json:"override_trouble,omitempty"`
	// Nodes are the other nodes of the cluster, by name.
	Nodes []NodeStatus `json:"nodes"`
	// Confirm is when a reload is rolled back unless it is confirmed before; zero if
	// there is none to confirm.
	Confirm time.Time `json:"confirm_until,omitzero"`
	// FileDiffers tells that the file on disk is not the one in force: it has changed,
	// was refused or rolled back, or cannot be read. A restart would begin with it.
	FileDiffers bool `json:"file_differs,omitempty"`
	// Beside is what cannot work beside the director now, and is tried again.
	Beside []BesideStatus `json:"beside,omitempty"`
}

// BesideStatus is something that should run beside the director and cannot.
type BesideStatus struct {
	// Name is "cluster", "metrics", "web", "alerts" or "watch".
	Name string `json:"name"`
	// Error is why, as of the last attempt, Since when the first one failed.
	Error string    `json:"error"`
	Since time.Time `json:"since"`
}

// NodeStatus is another node of the cluster, as it tells of itself.
type NodeStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Reachable tells that it answered lately, Error why not, Last when it last did.
	Reachable bool      `json:"reachable"`
	Error     string    `json:"error,omitempty"`
	Last      time.Time `json:"last,omitzero"`
	NodeReport
}

// NodeReport is what a node tells the others of itself.
type NodeReport struct {
	Version    string    `json:"version,omitempty"`
	Started    time.Time `json:"started,omitzero"`
	ConfigHash string    `json:"config_hash,omitempty"`
	Ready      bool      `json:"ready"`
	// Maintenance tells that it is in maintenance.
	Maintenance bool `json:"maintenance,omitempty"`
	// Roles are the states of its instances by name, as "master".
	Roles map[string]string `json:"roles,omitempty"`
	// Servers are its real servers in file order, at most 10,000. Of a configuration
	// with more than 1,000 those that are up are left out, and UpOmitted tells so.
	Servers   []ServerReport `json:"servers,omitempty"`
	UpOmitted bool           `json:"up_omitted,omitempty"`
}

// ServerReport is what a node thinks of a real server.
type ServerReport struct {
	Service string `json:"service"`
	Address string `json:"address"`
	// State is as in RealServerStatus, Reason what the check that decides says.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Weight is the one in the kernel's table; -1 is not there.
	Weight int    `json:"weight"`
	Active uint32 `json:"active_connections"`
}

// ReloadStatus is the outcome of the last reload, or of the start.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"`
	// RolledBack tells that the configuration was in force, and the one before has
	// taken its place again; otherwise an Error is that nothing changed.
	RolledBack bool `json:"rolled_back,omitempty"`
}

// ReconcileStatus is the outcome of the last reconciliation.
type ReconcileStatus struct {
	At time.Time `json:"at"`
	// Changes counts the operations since start.
	Changes int    `json:"changes"`
	Error   string `json:"error,omitempty"`
}

// InstanceStatus is one VRRP instance.
type InstanceStatus struct {
	Name      string `json:"name"`
	VRID      int    `json:"vrid"`
	Version   int    `json:"version"`
	Interface string `json:"interface"`
	// State is "initialize", "backup", "master" or "fault".
	State    string        `json:"state"`
	Since    time.Time     `json:"since"`
	Reason   string        `json:"reason"`
	Priority int           `json:"priority"`
	Interval time.Duration `json:"advert_interval_ns"`
	Master   string        `json:"master,omitempty"`
	// MasterPriority is the MASTER's, as last heard.
	MasterPriority int         `json:"master_priority,omitempty"`
	VIPs           []VIPStatus `json:"vips"`
	Faults         []string    `json:"faults,omitempty"`
	// Sent and Received count adverts; Discarded counts refused ones by reason.
	Sent      uint64            `json:"adverts_sent"`
	Received  uint64            `json:"adverts_received"`
	Discarded map[string]uint64 `json:"adverts_discarded,omitempty"`
	// BasePriority is what tracking starts from: the configured one, or what
	// the priority verb set. Explanation is how Priority comes about: "100 −20
	// haproxy since 12:03:11 = 80".
	BasePriority  int                  `json:"base_priority"`
	Explanation   string               `json:"priority_explanation"`
	Contributions []ContributionStatus `json:"contributions"`
	// Held: the instance is not to be MASTER until it is released. Yielded: it
	// gave up, and leaves its successor in peace. Settling: it only listens yet.
	// Waiting is what it waits for before it takes part in the election.
	Held     bool   `json:"held"`
	Yielded  bool   `json:"yielded"`
	Settling bool   `json:"settling"`
	Waiting  string `json:"waiting,omitempty"`
	// Group is the name of its sync group.
	Group string `json:"group,omitempty"`
	// Peers are the other speakers of the virtual router, by address, Notices
	// what is wrong now, the gravest first.
	Peers   []PeerStatus   `json:"peers"`
	Notices []NoticeStatus `json:"notices"`
	// NoticeCounts counts what was wrong by kind, FaultCounts how often each
	// cause of FAULT came up, both since the start.
	NoticeCounts map[string]uint64 `json:"notice_counts,omitempty"`
	FaultCounts  map[string]uint64 `json:"fault_counts,omitempty"`
	// Transitions counts changes of state, MasterTransitions those to MASTER.
	Transitions       uint64 `json:"transitions"`
	MasterTransitions uint64 `json:"master_transitions"`
}

// ContributionStatus is what one tracker does to an instance now.
type ContributionStatus struct {
	Tracker string `json:"tracker"`
	// Group says that it is tracked by the sync group.
	Group bool `json:"group,omitempty"`
	// Weight is the configured one, Applied what is added to the priority now.
	Weight  int  `json:"weight"`
	Applied int  `json:"applied"`
	Reverse bool `json:"reverse,omitempty"`
	// Fault tells that it keeps the instance in FAULT.
	Fault bool `json:"fault"`
	// State is the tracker's own: "up", "down" or "unknown".
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
}

// PeerStatus is another speaker of a virtual router, by its last advert.
type PeerStatus struct {
	Address  string        `json:"address"`
	Version  int           `json:"version"`
	Priority int           `json:"priority"`
	Interval time.Duration `json:"advert_interval_ns"`
	// Auth is "none", "password" or "hmac KEY".
	Auth string   `json:"auth"`
	VIPs []string `json:"vips"`
	// Master tells that it is MASTER by its own account.
	Master bool `json:"master"`
	// Discard is why its adverts are not accepted; empty if they are.
	Discard string    `json:"discard,omitempty"`
	Last    time.Time `json:"last"`
	Adverts uint64    `json:"adverts"`
}

// NoticeStatus is something that is wrong on the segment.
type NoticeStatus struct {
	// Kind is as vrrp.NoticeKind writes it: "two_masters", "duplicate_vrid".
	Kind   string `json:"kind"`
	Peer   string `json:"peer"`
	Detail string `json:"detail"`
	// First and Last are when it was seen, Count how often.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count uint64    `json:"count"`
}

// GroupStatus is one sync group.
type GroupStatus struct {
	Name string `json:"name"`
	// State is what all members agree on: "initialize", "backup", "master" or
	// "fault", or "mixed" while they do not.
	State     string    `json:"state"`
	Since     time.Time `json:"since"`
	Instances []string  `json:"instances"`
}

// TrackerStatus is one tracker.
type TrackerStatus struct {
	Name string `json:"name"`
	// Kind is "interface", "script", "process", "file", "service" or "check".
	Kind string `json:"kind"`
	// State is "up", "down" or "unknown".
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
	// Value is a file's number.
	Value int `json:"value"`
	// Instances are those that depend on it.
	Instances []string `json:"instances"`
}

// ConflictStatus is another host that says, in ARP or a neighbour advertisement,
// that it has a VIP which this node holds.
type ConflictStatus struct {
	VIP       string `json:"vip"`
	Interface string `json:"interface"`
	MAC       string `json:"mac"`
	// Ended: it has not been heard for a while, or this node left the VIP to it.
	Ended bool `json:"ended"`
	// First and Last are when it was heard, Count how often.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	Count uint64    `json:"count"`
}

// VIPStatus is one VIP as the kernel has it.
type VIPStatus struct {
	Address string `json:"address"`
	// Held tells that the address is on the interface, Redirected that a rule
	// makes this node accept what the MASTER forwards to it.
	Held       bool `json:"held"`
	Redirected bool `json:"redirected"`
}

// DriftStatus is one change by somebody else.
type DriftStatus struct {
	// Found is what was found instead: "weight 7", "absent".
	Found string `json:"found"`
	// Op is the command that would put it right.
	Op    string    `json:"op"`
	Since time.Time `json:"since"`
}

// DaemonStatus is one synchronisation daemon.
type DaemonStatus struct {
	// State is "master", which sends, or "backup", which receives.
	State     string `json:"state"`
	Interface string `json:"interface"`
	ID        int    `json:"id"`
}

// HostStatus is a host name that real servers are given by.
type HostStatus struct {
	Host      string   `json:"host"`
	Addresses []string `json:"addresses"`
	// At is when the addresses were last confirmed; zero is by a predecessor,
	// or never.
	At time.Time `json:"at"`
	// Error is why the last lookup failed: the addresses are old, then.
	Error string `json:"error,omitempty"`
}

// SysctlStatus is a kernel parameter that is not as the configuration needs it.
type SysctlStatus struct {
	Name string `json:"name"`
	Have string `json:"have"`
	Want string `json:"want"`
	Why  string `json:"why"`
}
