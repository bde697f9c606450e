package director

import "time"

// QuorumStatus is how a virtual service stands against its quorum.
type QuorumStatus struct {
	// Needed is the least sum of weights, Up what is up.
	Needed int `json:"needed"`
	Up     int `json:"up"`
	// Quorate is the answer, with the hysteresis, Since when it stands.
	Quorate bool      `json:"quorate"`
	Since   time.Time `json:"since"`
}

// ServiceStatus is one virtual service.
type ServiceStatus struct {
	Name    string `json:"name"`
	Service string `json:"service"`
	// Protocol, Address, Mark and Family are as in ServiceTraffic.
	Protocol   string       `json:"protocol,omitempty"`
	Address    string       `json:"address,omitempty"`
	Mark       uint32       `json:"mark,omitempty"`
	Family     string       `json:"family"`
	Scheduler  string       `json:"scheduler"`
	Forwarding string       `json:"forwarding"`
	Up         int          `json:"servers_up"`
	Quorum     QuorumStatus `json:"quorum"`
	// SorryServer is its address; empty if there is none. Sorry tells that it is
	// in use.
	SorryServer string             `json:"sorry_server,omitempty"`
	Sorry       bool               `json:"sorry_server_in_use"`
	RealServers []RealServerStatus `json:"real_servers"`
	// Override is the operator's of the service; nil if there is none.
	Override *Override `json:"override,omitempty"`
}

// RealServerStatus is one real server of one virtual service.
type RealServerStatus struct {
	Address string `json:"address"`
	// State is "up", "down", "unknown" (not yet checked) or "draining".
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// AnyCheck tells that one check that is up is enough.
	AnyCheck bool `json:"any_check,omitempty"`
	// Host is the name that the file gives it by; empty if it gives an address.
	Host string `json:"host,omitempty"`
	// Weight is the one to have while up: as configured, and as checks of the
	// weight have it. KernelWeight is the one in force; -1 is not in the kernel's
	// table.
	Weight       int `json:"weight"`
	KernelWeight int `json:"kernel_weight"`
	// Configured is the weight in the file, Told the one that the server tells by
	// a check and that counts in its place; nil if it tells none. Kept says that
	// Weight is the one it had before, until it tells its own.
	Configured int  `json:"configured_weight"`
	Told       *int `json:"told_weight,omitempty"`
	Kept       bool `json:"weight_kept,omitempty"`
	// SlowStart tells that the weight rises until then; zero if it does not.
	SlowStart time.Time     `json:"slow_start_until,omitzero"`
	Active    uint32        `json:"active_connections"`
	Inactive  uint32        `json:"inactive_connections"`
	Checks    []CheckStatus `json:"checks"`
	// WeightChecks change the weight and nothing else.
	WeightChecks []WeightCheckStatus `json:"weight_checks,omitempty"`
	// Admin is "enabled", "drain" or "disabled": what operators want of it, by an
	// override of its own, of its service or of its node; the one that decides is
	// Override, nil if there is none.
	Admin    AdminState `json:"admin"`
	Override *Override  `json:"override,omitempty"`
}

// WeightCheckStatus is a check that makes the weight depend on its result.
type WeightCheckStatus struct {
	CheckStatus
	// Change is what it adds while it passes, or, negative, takes away while it
	// does not.
	Change int `json:"weight"`
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
	// Held is why the state stays although the results are against it.
	Held string `json:"held,omitempty"`
	// FlapScore is how much the state changed lately; 0 is nothing worth telling.
	// FlapSuppressed tells that the server is kept down because of it.
	FlapScore      float64 `json:"flap_score,omitempty"`
	FlapSuppressed bool    `json:"flap_suppressed,omitempty"`
	// Told is the weight that the server tells by this check; nil if none.
	Told *int `json:"told_weight,omitempty"`
	// Warning is what is wrong although it does not decide, such as a certificate
	// that expires soon.
	Warning string `json:"warning,omitempty"`
}

// CheckNoticeStatus is something that is the matter with the checks as a whole.
type CheckNoticeStatus struct {
	// Kind is "delayed", "held" or "starved".
	Kind   string    `json:"kind"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}
