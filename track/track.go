// Package track watches what a node's fitness depends on beside its links and
// real servers: scripts, processes and files. Each tracker says up or down, or
// a number, with the reason; what that does to a priority is not its business.
// It must not know VRRP, roles or weights.
package track

import (
	"fmt"
	"time"
)

// Spec is one tracker. Exactly one of Script, Process and File is set.
type Spec struct {
	// Name identifies the tracker; a reload that leaves the rest equal keeps
	// its history.
	Name    string
	Script  *Script
	Process *Process
	File    *File
}

// Script is a command that is run again and again; exit status 0 is success.
type Script struct {
	// Command is the argument vector, the first an absolute path.
	Command []string
	// Interval is from the start of one run to the start of the next. Timeout
	// bounds one run: then its process group is killed and the run failed.
	Interval, Timeout time.Duration
	// Rise and Fall are the results in a row that change the state; at the
	// start one decides.
	Rise, Fall int
	// User is whom it runs as; empty is this process's user.
	User string
}

// Process is a number of running processes.
type Process struct {
	// Name is the process's name as the kernel has it (comm), or the base name
	// of its program.
	Name string
	// Quorum is how many must run, at least 1.
	Quorum int
	// DownDelay and UpDelay are how long too few, or enough, must be seen
	// before the state changes: a restart need not count.
	DownDelay, UpDelay time.Duration
}

// File is a file that holds an integer, such as "0" or "-20". One that is absent
// or empty counts as 0; one that cannot be read as a number is down.
type File struct {
	Path string
}

// State is what a tracker found.
type State uint8

// The states.
const (
	// Unknown: it has not answered yet.
	Unknown State = iota
	Up
	Down
)

// Status is a tracker at one moment.
type Status struct {
	State State
	// Value is the number in the file; 0 for other trackers.
	Value int
	// Since is when State or Value last changed.
	Since time.Time
	// Reason is what was found, in words: "exit status 1", "2 of 1 running".
	Reason string
}

// Change tells that the status of a tracker changed.
type Change struct {
	Name     string
	From, To Status
}

// String is the state as status and logs write it: "unknown", "up", "down".
func (s State) String() string {
	switch s {
	case Unknown:
		return "unknown"
	case Up:
		return "up"
	case Down:
		return "down"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// MarshalText is String, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
