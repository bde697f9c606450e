package director

import "time"

// Explanation says why a real server stands as it does, from all that is known of
// it. As JSON its fields are only ever added to.
type Explanation struct {
	// Schema is "lvsd.explain/1".
	Schema string `json:"schema"`
	// At is when, Asked for whom it was asked.
	At    time.Time `json:"at"`
	Asked string    `json:"asked"`
	// CheckNotices are what is the matter with the checks as a whole.
	CheckNotices []CheckNoticeStatus `json:"check_notices"`
	// Servers are in file order, one for each virtual service and real server.
	Servers []ServerExplanation `json:"servers"`
}

// ServerExplanation is a real server of one virtual service.
type ServerExplanation struct {
	Service string `json:"service"`
	Address string `json:"address"`
	// Host is the name that the file gives it by; empty if it gives an address.
	Host string `json:"host,omitempty"`
	// State is "up", "down", "unknown" or "draining", Since when.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// AnyCheck tells that one check that is up is enough.
	AnyCheck bool `json:"any_check,omitempty"`
	// Because is the place in Checks of the one that decides; -1 if there is none.
	Because int                `json:"because"`
	Checks  []CheckExplanation `json:"checks"`
	// WeightChecks change the weight and nothing else.
	WeightChecks []WeightCheckExplanation `json:"weight_checks,omitempty"`
	Weight       WeightExplanation        `json:"weight"`
	Quorum       QuorumStatus             `json:"quorum"`
	// Removed tells that it is to be removed while it is down, not to be kept with
	// weight 0.
	Removed bool `json:"removed_while_down,omitempty"`
	// SorryServer is the service's; empty if there is none. Sorry tells that it is
	// needed, SorryBeside that it comes beside the real servers that are up.
	SorryServer string `json:"sorry_server,omitempty"`
	Sorry       bool   `json:"sorry_server_needed,omitempty"`
	SorryBeside bool   `json:"sorry_server_beside,omitempty"`
	// Admin and Override are as in RealServerStatus.
	Admin    AdminState `json:"admin"`
	Override *Override  `json:"override,omitempty"`
	// Places are the virtual services of the name, each with its weight.
	Places []PlaceExplanation `json:"places"`
}

// WeightExplanation is how the weight of a real server that is up comes about.
type WeightExplanation struct {
	Configured int `json:"configured"`
	// Told is the weight that counts in place of the configured one, ToldBy the
	// place in Checks of the one that told it; nil if there is none.
	Told   *int `json:"told_weight,omitempty"`
	ToldBy *int `json:"told_by,omitempty"`
	// Ordered is the weight that an operator ordered, which counts in place of both;
	// nil if there is none.
	Ordered *int `json:"ordered_weight,omitempty"`
	// Kept says that Up is what it had before, until the check by which it may tell
	// another has answered.
	Kept bool `json:"kept,omitempty"`
	// Up is the sum, with what WeightChecks add and take away. Now is less while
	// it rises in a slow start, which began at RisingSince and ends at RisingUntil.
	Up          int       `json:"up"`
	Now         int       `json:"now"`
	RisingSince time.Time `json:"rising_since,omitzero"`
	RisingUntil time.Time `json:"rising_until,omitzero"`
}

// PlaceExplanation is the real server in one virtual service of the kernel.
type PlaceExplanation struct {
	Service string `json:"service"`
	// Planned is the weight that it is to have, Kernel the one that it has; -1 is
	// not in the table.
	Planned  int    `json:"planned_weight"`
	Kernel   int    `json:"kernel_weight"`
	Active   uint32 `json:"active_connections"`
	Inactive uint32 `json:"inactive_connections"`
}

// CheckExplanation is one check of a real server.
type CheckExplanation struct {
	CheckStatus
	// Via is the VIP that the probe goes by; empty if it goes to the target.
	Via          string        `json:"via,omitempty"`
	Interval     time.Duration `json:"interval_ns"`
	FastInterval time.Duration `json:"fast_interval_ns,omitempty"`
	Timeout      time.Duration `json:"timeout_ns"`
	Retries      int           `json:"retries,omitempty"`
	RetryDelay   time.Duration `json:"retry_delay_ns,omitempty"`
	Rise         int           `json:"rise"`
	Fall         int           `json:"fall"`
	// FlapLimit is the score at which it is kept down, which halves every
	// FlapHalfLife; 0 is never.
	FlapLimit    int           `json:"flap_limit,omitempty"`
	FlapHalfLife time.Duration `json:"flap_half_life_ns,omitempty"`
	// Against is how many results in a row speak against the verdict, Needed how
	// many change it.
	Against int `json:"against"`
	Needed  int `json:"needed"`
	// AssumedUp is what it counts as while it is unknown, Inherited says that a
	// predecessor's weight in the kernel has it so.
	AssumedUp bool `json:"assumed_up,omitempty"`
	Inherited bool `json:"inherited,omitempty"`
	// Successes, Failures and Inconclusive count results.
	Successes    uint64 `json:"successes"`
	Failures     uint64 `json:"failures"`
	Inconclusive uint64 `json:"inconclusive"`
	// Last and LastFailure are nil if there is none.
	Last        *ResultExplanation `json:"last,omitempty"`
	LastFailure *ResultExplanation `json:"last_failure,omitempty"`
	// History are the last results, the oldest first, without transcripts.
	History []ResultExplanation `json:"history"`
	// Next is when the next probe is due; zero while one is under way or waits.
	Next time.Time `json:"next,omitzero"`
	// Shared are the others that the same probe is for.
	Shared []CheckUser `json:"shared,omitempty"`
}

// WeightCheckExplanation is a check that makes the weight depend on its result.
type WeightCheckExplanation struct {
	CheckExplanation
	// Change is the configured one, Applied what is added to the weight now.
	Change  int `json:"weight"`
	Applied int `json:"applied"`
}

// ResultExplanation is the outcome of one probe.
type ResultExplanation struct {
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration_ns"`
	OK       bool          `json:"ok"`
	// Inconclusive tells that this host could not ask: it says nothing about the
	// server.
	Inconclusive bool   `json:"inconclusive,omitempty"`
	Code         string `json:"code"`
	Reason       string `json:"reason,omitempty"`
	Told         *int   `json:"told_weight,omitempty"`
	Warning      string `json:"warning,omitempty"`
	// Tries is more than 1 after retries.
	Tries int `json:"tries,omitempty"`
	// Transcript is what was said, in lines that begin with "> " for what was
	// sent, "< " for what was received and "* " for what was done.
	Transcript string `json:"transcript,omitempty"`
}

// CheckUser is who a probe is for: a real server of a virtual service, or a
// tracker.
type CheckUser struct {
	Service string `json:"service,omitempty"`
	Server  string `json:"server,omitempty"`
	Tracker string `json:"tracker,omitempty"`
}
