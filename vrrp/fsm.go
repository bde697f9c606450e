package vrrp

import (
	"net/netip"
	"strconv"
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

var roleText = [...]string{Initialize: "INITIALIZE", Backup: "BACKUP", Master: "MASTER", Fault: "FAULT"}

// String is the role as operators write it: "MASTER".
func (r Role) String() string { return name(roleText[:], uint8(r)) }

// MarshalText is String, for JSON.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// name is what names has for i, or the number.
func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return strconv.Itoa(int(i))
}

// State is all that changes in a virtual router. The zero State is Initialize.
type State struct {
	Role Role
	// Deadline is Master_Down_Timer in Backup, Adver_Timer in Master, zero
	// otherwise. With Want it is when the wish is looked at again.
	Deadline time.Time
	// Priority is the effective priority, Config.Priority unless changed.
	Priority uint8
	// MasterInterval is the interval that Master_Down_Interval is computed
	// from: learnt from the MASTER in version 3.
	MasterInterval time.Duration
	// PreemptAfter is when a pending preempt delay ends; zero if none.
	PreemptAfter time.Time
	// MasterAddress and MasterPriority are those of the last advert of another
	// MASTER that this router heard while it was, or became, Backup. Zero
	// before the first, and when that MASTER says it leaves.
	MasterAddress  netip.Addr
	MasterPriority uint8
	// SlowHeard is when a version 3 advert with more than twice the configured
	// interval was last accepted, and SlowTrust the longest interval that such
	// adverts are believed since.
	SlowHeard time.Time
	SlowTrust time.Duration
	// Expect is why this router will be MASTER if Deadline passes in Backup.
	Expect Reason
	// Asserted says that a losing advert was answered since the last regular
	// one was sent.
	Asserted bool

	// Seen is when this BACKUP last served an advert or its timer: a gap tells
	// that it did not run. Listened says that it already waited once more for
	// that reason since it last heard its MASTER.
	Seen     time.Time
	Listened bool
	// Settling says that Config.Settle was added to the running timer.
	Settling bool
	// Follows says that the last advert this BACKUP heard was of a MASTER it
	// leaves in peace.
	Follows bool

	// Held keeps the router from being MASTER until Release.
	Held bool
	// Yielded says that this router gave up: it preempts nobody until the
	// MASTER that followed it leaves, or Release. If none followed, or that one
	// falls silent, it becomes MASTER again.
	Yielded bool

	// Grouped and Decides are those of the last Grouped.
	Grouped, Decides bool
	// Want says that this BACKUP would be MASTER now, and waits for Permit.
	Want bool
	// Contested is since when a member of a group hears, as MASTER or Backup,
	// another MASTER that is better; zero if none.
	Contested time.Time
}

// Wake is when Timeout is due; zero is never. A BACKUP that hears nothing wants
// one every one and a half intervals of its MASTER: that is how it knows that it
// runs.
func (s State) Wake() time.Time {
	if tick := s.Seen.Add(s.MasterInterval * 3 / 2); s.Role == Backup && !s.Seen.IsZero() && tick.Before(s.Deadline) {
		return tick
	}
	return s.Deadline
}

// Step is the state machine of RFC 5798 section 6.4 (RFC 3768 section 6.4 with
// version 2's timers): what becomes of s when ev happens at now, and what to do,
// in order. It has no clock, does no I/O and does not keep ev. Numbers in
// brackets in this package are RFC 5798's steps.
//
// The owner of priority 255 does not take adverts for noise: hearing another
// owner, the lower address yields.
func (c Config) Step(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case SetPriority:
		return c.setPriority(s, ev.Priority, now)
	case Reconfigured:
		return c.reconfigured(s, &ev.Old, now)
	case Grouped:
		return c.grouped(s, ev, now), nil
	case Hold:
		return c.hold(s, now)
	case Release:
		s.Held, s.Yielded = false, false
		return s, nil
	case AdvertReceived:
		if ev.From == c.Source {
			return s, nil // an echo of our own would set us against ourselves
		}
	}
	switch s.Role {
	case Backup:
		return c.backup(s, ev, now)
	case Master:
		return c.master(s, ev, now)
	default:
		return c.idle(s, ev, now)
	}
}

// idle is RFC 5798 section 6.4.1 for Initialize and Fault: only Startup or
// Recover leads into the election.
func (c Config) idle(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case Startup:
		switch {
		case s.Role != Initialize:
			return s, nil
		case ev.Resume && !s.Held:
			return c.toMaster(c.fresh(s), ReasonResumed, now)
		}
		return c.enter(s, ReasonStarted, now)
	case Recover:
		if s.Role == Fault {
			return c.enter(s, ReasonRecovered, now)
		}
	case Trouble:
		if s.Role == Initialize {
			return s.leave(Fault, ReasonFault)
		}
	case Shutdown:
		if s.Role == Fault {
			return s.leave(Initialize, ReasonStopped)
		}
	}
	return s, nil
}

// fresh is s with nothing known of the election, (155): what others decided
// about this router stays.
func (c Config) fresh(s State) State {
	f := State{
		Priority: s.Priority, MasterInterval: c.Interval,
		Held: s.Held, Yielded: s.Yielded, Grouped: s.Grouped, Decides: s.Decides,
	}
	if f.Priority == 0 {
		f.Priority = c.Priority
	}
	return f
}

// enter begins the election: (100) to (170). With Config.Settle all only listen
// at first, the owner too.
func (c Config) enter(s State, why Reason, now time.Time) (State, []Action) {
	s = c.fresh(s)
	owner := s.Priority == Owner
	if owner && c.Settle == 0 && !s.Held && !s.Grouped {
		return c.toMaster(s, why, now)
	}
	s = c.toBackup(s, now)
	if owner {
		s.Deadline = now
	}
	s.Deadline = s.Deadline.Add(c.Settle)
	s.Settling = c.Settle > 0
	return s, []Action{Become{Backup, why}}
}

// leave takes no more part in the election.
func (s State) leave(to Role, why Reason) (State, []Action) {
	idle := State{Role: to, Held: s.Held, Grouped: s.Grouped, Decides: s.Decides}
	if to == Fault {
		idle.Priority, idle.Yielded = s.Priority, s.Yielded
	}
	return idle, []Action{Become{to, why}}
}

// toBackup arms Master_Down_Timer in full: (160), (165) and (760), (765).
func (c Config) toBackup(s State, now time.Time) State {
	s.Role = Backup
	s.Deadline = now.Add(c.masterDown(s))
	s.PreemptAfter = time.Time{}
	s.Expect = ReasonMasterDown
	s.Asserted = false
	s.Seen, s.Listened, s.Settling, s.Follows = now, false, false, false
	s.Want, s.Contested = false, time.Time{}
	return s
}

// toMaster sends before anything else happens: (110) to (145) and (370) to
// (410).
func (c Config) toMaster(s State, why Reason, now time.Time) (State, []Action) {
	s.Role = Master
	s.Deadline = now.Add(c.Interval)
	s.PreemptAfter = time.Time{}
	s.Expect = ReasonNone
	s.Asserted = false
	s.Seen, s.Listened, s.Settling, s.Follows = time.Time{}, false, false, false
	s.Want, s.Yielded, s.Contested = false, false, time.Time{}
	return s, []Action{Send{s.Priority}, Become{Master, why}}
}

// masterDown is Master_Down_Interval in s.
func (c Config) masterDown(s State) time.Duration {
	return c.Version.MasterDownInterval(s.Priority, s.MasterInterval)
}

// skew is Skew_Time in s.
func (c Config) skew(s State) time.Duration {
	return c.Version.SkewTime(s.Priority, s.MasterInterval)
}

// heard remembers who is MASTER.
func heard(s State, ev AdvertReceived) State {
	s.MasterAddress, s.MasterPriority = ev.From, ev.Priority
	return s
}

// earlier is the first of two times, later the other.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
