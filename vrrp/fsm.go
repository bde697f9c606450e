package vrrp

import (
	"net/netip"
	"time"
)

// Role is the state of a virtual router (RFC 5798 section 6.3), plus Fault: the
// router cannot work now (its interface is down, a tracked thing failed) and
// takes no part in the election.
type Role uint8

// The roles. RFC 9568 calls Master "Active"; this code keeps the word that
// operators and ipvsadm use.
const (
	Initialize Role = iota
	Backup
	Master
	Fault
)

// Config is what Step needs to know of one virtual router.
type Config struct {
	// Name labels the router in reports.
	Name string
	// Version is 2 (RFC 3768) or 3 (RFC 5798, RFC 9568).
	Version Version
	// VRID is 1..255.
	VRID uint8
	// Priority is 1..254, or 255 for the owner of the addresses.
	Priority uint8
	// Interval is the time between adverts: whole seconds 1s..255s in version
	// 2, centiseconds 10ms..40.95s in version 3.
	Interval time.Duration
	// Preempt lets a BACKUP replace a MASTER of lower priority, PreemptDelay
	// after it first hears it.
	Preempt      bool
	PreemptDelay time.Duration
	// Source is the address adverts are sent from; it decides between equal
	// priorities.
	Source netip.Addr
	// VIPs are the addresses that an advert lists.
	VIPs []netip.Addr
	// Password authenticates version 2 adverts (auth type 1) when set: at most
	// 8 bytes.
	Password string
	// Peers, when set, makes the router unicast to them instead of multicast.
	Peers []netip.Addr
}

// Version is the version of the protocol: 2 or 3.
type Version uint8

// State is all that changes in a virtual router. The zero State is Initialize.
type State struct {
	Role Role
	// Deadline is when Timeout is due: Master_Down_Timer in Backup,
	// Adver_Timer in Master, zero otherwise.
	Deadline time.Time
	// Priority is the effective priority, Config.Priority unless changed.
	Priority uint8
	// MasterInterval is the interval that Master_Down_Interval is computed
	// from: learnt from the MASTER in version 3.
	MasterInterval time.Duration
	// PreemptAfter is when a pending preempt delay ends; zero if none.
	PreemptAfter time.Time
	// MasterAddress and MasterPriority are those of the last accepted advert.
	MasterAddress  netip.Addr
	MasterPriority uint8
}
