package hook

import (
	"slices"
	"strconv"
	"time"
)

// The states an Event may tell of, in keepalived's words.
const (
	Master = "MASTER"
	Backup = "BACKUP"
	Fault  = "FAULT"
	Stop   = "STOP"
)

// The states of a virtual service's quorum and of a real server.
const (
	Up   = "UP"
	Down = "DOWN"
)

// DefaultTimeout bounds a command when Commands has no Timeout.
const DefaultTimeout = 30 * time.Second

// Commands are the commands of one instance, sync group or virtual service, each
// an argument vector that begins with an absolute path; an empty one is none.
// Whoever handed Commands over must not change the slices and the map any more.
type Commands struct {
	// Master, Backup, Fault and Stop run on entering that state, with exactly
	// these arguments.
	Master, Backup, Fault, Stop []string
	// Any runs on every change, after the one above, with "INSTANCE", the
	// instance's name, the state and the priority appended, or with "GROUP", the
	// sync group's name, the state and 0: the arguments of keepalived's notify.
	Any []string
	// QuorumUp and QuorumDown run when a virtual service gains or loses its
	// quorum, with "SERVICE", its name and the state appended; ServerUp and
	// ServerDown on a change of a real server, with "SERVER", the service's name,
	// the server's address and the state.
	QuorumUp, QuorumDown, ServerUp, ServerDown []string
	// Timeout bounds each single command; DefaultTimeout if not positive.
	Timeout time.Duration
	// User runs them, see command.ParseUser; empty is this process's user.
	User string
	// Environment is added to the environment. It may replace inherited
	// variables, but not those that begin with LVSD_ and tell the event.
	Environment map[string]string
}

// Event is one change of state of an instance, a sync group, a virtual service or
// a real server.
type Event struct {
	// Service is the name of the virtual service that changed, or whose real
	// server Server did; empty in all others. Then the event tells of no
	// instance, interface, VRID, priority and VIPs either.
	Service, Server string
	// Quorum is how much weight the service needs, Weight how much is up.
	Quorum, Weight int
	// Group is the name of the sync group that changed. Then the event tells of
	// no instance, interface, VRID, priority and VIPs.
	Group                         string
	Instance, Interface, RouterID string
	// VRID is 1..255.
	VRID int
	// State and Previous are Master, Backup, Fault or Stop; of a service Up or
	// Down. Previous is the state before, which a hook has not seen if it was left out.
	State, Previous string
	// Priority is the effective one, 0..255.
	Priority int
	// Reason is why the state changed, for people.
	Reason string
	// VIPs are the instance's addresses.
	VIPs []string
}

// Result tells how one command ended, or why it was not run.
type Result struct {
	Event Event
	// Command is the argument vector, with what was appended.
	Command []string
	// Exit is the exit status; -1 if the command was killed or not run.
	Exit int
	// Err is nil after exit status 0. It is context.DeadlineExceeded after a
	// timeout, ErrAbandoned if Finish could not wait any longer, and
	// command.ErrInsecure if the file may be changed by others; test with
	// errors.Is.
	Err      error
	Duration time.Duration
	// Output is the beginning of standard output and error together: at most
	// command.MaxOutput bytes of printable UTF-8, newlines and tabs.
	Output string
	// Skipped counts the events left out before this one because they waited
	// while a command was running. Only the first result of an event carries it, so
	// it may be summed up.
	Skipped int
}

// argvs returns the commands that an event calls for, in order.
func (c Commands) argvs(e Event) [][]string {
	if e.Service != "" {
		if argv := c.ofService(e); len(argv) > 0 {
			return [][]string{slices.Concat(argv, e.positional())}
		}
		return nil
	}
	var all [][]string
	if specific := c.specific(e.State); len(specific) > 0 {
		all = append(all, specific)
	}
	if len(c.Any) > 0 {
		all = append(all, slices.Concat(c.Any, e.positional()))
	}
	return all
}

// Some reports whether there is any command.
func (c Commands) Some() bool {
	return len(c.Master)+len(c.Backup)+len(c.Fault)+len(c.Stop)+len(c.Any)+
		len(c.QuorumUp)+len(c.QuorumDown)+len(c.ServerUp)+len(c.ServerDown) > 0
}

// ofService is the command for an event of a service.
func (c Commands) ofService(e Event) []string {
	switch {
	case e.Server == "" && e.State == Up:
		return c.QuorumUp
	case e.Server == "":
		return c.QuorumDown
	case e.State == Up:
		return c.ServerUp
	default:
		return c.ServerDown
	}
}

// positional are the arguments that a command gets in addition.
func (e Event) positional() []string {
	switch {
	case e.Server != "":
		return []string{"SERVER", e.Service, e.Server, e.State}
	case e.Service != "":
		return []string{"SERVICE", e.Service, e.State}
	}
	if e.Group != "" {
		return []string{"GROUP", e.Group, e.State, "0"}
	}
	return []string{"INSTANCE", e.Instance, e.State, strconv.Itoa(e.Priority)}
}

func (c Commands) specific(state string) []string {
	switch state {
	case Master:
		return c.Master
	case Backup:
		return c.Backup
	case Fault:
		return c.Fault
	case Stop:
		return c.Stop
	}
	return nil
}

func (c Commands) timeout() time.Duration {
	if c.Timeout <= 0 {
		return DefaultTimeout
	}
	return c.Timeout
}
