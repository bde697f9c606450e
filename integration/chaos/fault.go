package main

import "time"

// A Topology is what a site looks like.
type Topology int

const (
	// Pair is two directors, a of the higher priority, and two real servers beside
	// them, by direct routing.
	Pair Topology = iota
	// Patient is a Pair with adverts so far apart that a daemon is back within three of
	// them, also on a slow machine.
	Patient
	// Relay is three nodes that are director and real server: BACKUPs serve by the
	// REDIRECT rule. keepalived has the rule from a notify script.
	Relay
)

// A Fault is one thing that goes wrong.
type Fault struct {
	// Name is a word or two in lower case with hyphens, by which -only and the table
	// know it; What is one line for a person.
	Name, What string
	// Number is the fault's in the catalogue of docs/faults.md, as "F1"; empty for one
	// that is not there.
	Number string
	// Topology is what it happens to.
	Topology Topology
	// Quick has it in the selection of make test.
	Quick bool
	// Random has it among those that come at random, and while another one stands:
	// what it breaks is on its own, and it needs no Edit.
	Random bool
	// Without says why keepalived is not asked; empty if it is.
	Without string
	// Alone has the contestants take turns, because what is injected would be in the
	// other's way: it takes the machine itself.
	Alone bool
	// Edit changes the site's configuration before its daemons start, unless nil. A
	// fault with Edit has sites of its own.
	Edit func(*Config)
	// Inject breaks the site. What it returns mends it, after the fault has been held
	// for Hold; nil if nothing needs to be mended, or nobody but the daemon shall.
	Inject func(*Site) (mend func() error, err error)
	// Hold is how long it stays broken, in the site's own measure; nil is not at all.
	Hold func(*Site) time.Duration
	// Check looks, after the desired state is back, at what only this fault is about;
	// nil if there is nothing of that kind. An error fails the run where the contestant
	// is lvsd, and is a remark in the table where it is not.
	Check func(*Site, *Result) error
	// Want is what lvsd promises under it.
	Want Promise
}

// A Promise is what fails the run when lvsd breaks it.
type Promise struct {
	// Lossless: no connection is refused, reset or left hanging, neither a new one nor
	// one that is held.
	Lossless bool
	// KeepsHeld: connections that are held go on, though new ones may fail meanwhile.
	KeepsHeld bool
	// KeepsMaster: no node changes its role.
	KeepsMaster bool
	// Two allows that two nodes are MASTER at once for a while, because no protocol
	// could prevent it: they do not hear each other.
	Two bool
}

// A Result is what one contestant made of one fault.
type Result struct {
	Fault      string
	Contestant string
	// New and Held count connections; Failed and Broken those of them that failed.
	New, Failed, Held, Broken int
	// Outage is the longest time without a new connection that succeeded; Allowed
	// what the protocol allows, zero where nothing is allowed.
	Outage, Allowed time.Duration
	// Repair is from the injection, or from the mending where there is one, until the
	// site was as desired again. Two is how long more than one node held the VIP, and
	// None how long nobody did.
	Repair, Two, None time.Duration
	// Took is the whole of it, with the waiting before and after.
	Took time.Duration
	// Changes counts changes of role of any node.
	Changes int
	// Said are lines of the daemons' log that tell of it, the most telling first,
	// shortened; Lines counts all lines of the time.
	Said  []string
	Lines int
	// Before and After are what the daemons of all nodes use together.
	Before, After Usage
	// Excused is why promises are not judged: the machine was too slow for them, as
	// measured in the protocol's own time. Empty if they are.
	Excused string
	// Remarks are for a person; Broke are the promises that were broken.
	Remarks, Broke []string
	// Err is why there is no result: it did not come to rest, say.
	Err error
}

// Usage is what the processes of a contestant's nodes use.
type Usage struct {
	// Resident is memory in bytes (Pss), CPU the time used since the start.
	Resident    int64
	CPU         time.Duration
	Descriptors int
	// Goroutines are of lvsd alone; zero for keepalived.
	Goroutines int
	Processes  int
}

// faults are all of them, in the order of the table.
func faults() []Fault {
	var all []Fault
	for _, some := range [][]Fault{
		processFaults(), reloadFaults(), networkFaults(), advertFaults(), kernelFaults(), hostFaults(), scriptFaults(), serverFaults(),
	} {
		all = append(all, some...)
	}
	return all
}
