package vrrp

import (
	"net/netip"
	"time"
)

// Event is something that happens to a virtual router: one of the types below.
type Event interface{ event() }

type (
	// Startup begins the election (RFC 5798 section 6.4.1).
	Startup struct {
		// Resume says that this router was MASTER less than
		// Master_Down_Interval ago and its VIPs are still in place: it goes on
		// as MASTER at once.
		Resume bool
	}
	// Shutdown ends it. A MASTER says goodbye with priority 0.
	Shutdown struct{}
	// Timeout says that State.Wake may have passed. Too early, it changes
	// nothing; later than that, the router was not running, and Step takes
	// account of it.
	Timeout struct {
		// Deaf says that the interface is, or since the last Timeout was, down:
		// to have heard nothing means nothing.
		Deaf bool
	}
	// AdvertReceived is a valid advert of this virtual router.
	AdvertReceived struct {
		From     netip.Addr
		Priority uint8
		// Interval is what a version 3 advert says; unused in version 2.
		Interval time.Duration
	}
	// Trouble takes the router out of the election until Recover.
	Trouble struct{}
	// Recover puts it back, as Startup does.
	Recover struct{}
	// SetPriority changes the effective priority: 1..254, or 0 for the
	// configured one. The owner's never changes.
	SetPriority struct{ Priority uint8 }
	// Reconfigured says that Step was called with the configuration Old until
	// now. The VRID is the same.
	Reconfigured struct{ Old Config }

	// GiveUp makes a MASTER leave the role to another router, see
	// State.Yielded. Others ignore it.
	GiveUp struct{}
	// Hold keeps the router from being MASTER until Release.
	Hold struct{}
	// Release ends what GiveUp and Hold began.
	Release struct{}

	// Grouped says whether the router is a member of a sync group, and whether
	// it decides at once between two MASTERs, see SyncGroup.
	Grouped struct{ Member, Decides bool }
	// Permit lets a router with State.Want become MASTER: all members of its
	// group want it too, or are it.
	Permit struct{}
	// Demote takes a MASTER to BACKUP because another member of its group is
	// not, and will not be.
	Demote struct{}
)

func (Startup) event()        {}
func (Shutdown) event()       {}
func (Timeout) event()        {}
func (AdvertReceived) event() {}
func (Trouble) event()        {}
func (Recover) event()        {}
func (SetPriority) event()    {}
func (Reconfigured) event()   {}
func (GiveUp) event()         {}
func (Hold) event()           {}
func (Release) event()        {}
func (Grouped) event()        {}
func (Permit) event()         {}
func (Demote) event()         {}

// Action is something Step wants done: Send or Become. Actions are performed in
// the order given.
type Action interface{ action() }

type (
	// Send is one advert with this priority; 0 says that the MASTER leaves.
	Send struct{ Priority uint8 }
	// Become reports that the role is now another one.
	Become struct {
		Role   Role
		Reason Reason
	}
)

func (Send) action()   {}
func (Become) action() {}

// Reason is why the role changed.
type Reason uint8

// The reasons.
const (
	// ReasonNone: no role was taken yet.
	ReasonNone Reason = iota
	// ReasonStarted: initialize to backup, or to master for the owner.
	ReasonStarted
	// ReasonResumed: initialize to master, Startup with Resume.
	ReasonResumed
	// ReasonMasterDown: backup to master, nothing heard for
	// Master_Down_Interval.
	ReasonMasterDown
	// ReasonMasterLeft: backup to master, after an advert with priority 0.
	ReasonMasterLeft
	// ReasonPreempting: backup to master, the MASTER has a lower priority.
	ReasonPreempting
	// ReasonHigherPriority: master to backup, another MASTER has a higher one.
	ReasonHigherPriority
	// ReasonHigherAddress: master to backup, another MASTER of equal priority
	// has a greater address.
	ReasonHigherAddress
	// ReasonStalled: master to backup, this router did not run for its own
	// Master_Down_Interval.
	ReasonStalled
	// ReasonFault: to fault.
	ReasonFault
	// ReasonRecovered: fault to backup, or to master for the owner.
	ReasonRecovered
	// ReasonStopped: to initialize.
	ReasonStopped
	// ReasonGaveUp: master to backup, GiveUp.
	ReasonGaveUp
	// ReasonHeld: master to backup, Hold.
	ReasonHeld
	// ReasonGroup: master to backup, with another member of its sync group.
	ReasonGroup
)

var reasonText = [...]string{
	ReasonNone:           "not started",
	ReasonStarted:        "started",
	ReasonResumed:        "resumed after a restart",
	ReasonMasterDown:     "no advert from a master",
	ReasonMasterLeft:     "the master left",
	ReasonPreempting:     "the master has a lower priority",
	ReasonHigherPriority: "another master has a higher priority",
	ReasonHigherAddress:  "another master of equal priority has a greater address",
	ReasonStalled:        "was not running for the master down interval",
	ReasonFault:          "fault",
	ReasonRecovered:      "fault cleared",
	ReasonStopped:        "stopped",
	ReasonGaveUp:         "gave up on request",
	ReasonHeld:           "held on request",
	ReasonGroup:          "another member of its group is not master",
}

// String is the reason in words.
func (r Reason) String() string { return name(reasonText[:], uint8(r)) }

// MarshalText is String, for JSON.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
