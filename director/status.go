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
	Ready     bool             `json:"ready"`
	Reload    ReloadStatus     `json:"reload"`
	Reconcile ReconcileStatus  `json:"reconcile"`
	Instances []InstanceStatus `json:"instances"`
	Services  []ServiceStatus  `json:"services"`
	// Foreign is what stands in the kernel beside lvsd's own, left alone.
	Foreign []string `json:"foreign"`
	// Sysctls are the kernel parameters that are not as they should be.
	Sysctls []SysctlStatus `json:"sysctls"`
}

// ReloadStatus is the outcome of the last reload, or of the start.
type ReloadStatus struct {
	At    time.Time `json:"at"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"`
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
	// State is "init", "backup", "master" or "fault".
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
}

// VIPStatus is one VIP as the kernel has it.
type VIPStatus struct {
	Address string `json:"address"`
	// Held tells that the address is on the interface, Redirected that a rule
	// makes this node accept what the MASTER forwards to it.
	Held       bool `json:"held"`
	Redirected bool `json:"redirected"`
}

// ServiceStatus is one virtual service.
type ServiceStatus struct {
	Name       string `json:"name"`
	Service    string `json:"service"`
	Scheduler  string `json:"scheduler"`
	Forwarding string `json:"forwarding"`
	Up         int    `json:"servers_up"`
	// Sorry tells that the sorry server is in use.
	Sorry       bool               `json:"sorry_server_in_use"`
	RealServers []RealServerStatus `json:"real_servers"`
}

// RealServerStatus is one real server of one virtual service.
type RealServerStatus struct {
	Address string `json:"address"`
	// State is "up", "down", "unknown" (not yet checked) or "draining".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Weight is the configured one, KernelWeight the one in force; -1 is not in
	// the kernel's table.
	Weight       int           `json:"weight"`
	KernelWeight int           `json:"kernel_weight"`
	Active       uint32        `json:"active_connections"`
	Inactive     uint32        `json:"inactive_connections"`
	Checks       []CheckStatus `json:"checks"`
}

// CheckStatus is one check of a real server.
type CheckStatus struct {
	Kind   string    `json:"kind"`
	Target string    `json:"target"`
	State  string    `json:"state"`
	Since  time.Time `json:"since"`
	// Code is in HAProxy's vocabulary: L4OK, L4CON, L7STS and so on.
	Code     string        `json:"code,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration_ns"`
}

// SysctlStatus is a kernel parameter that is not as the configuration needs it.
type SysctlStatus struct {
	Name string `json:"name"`
	Have string `json:"have"`
	Want string `json:"want"`
	Why  string `json:"why"`
}
