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
}

// Step is the state machine of RFC 5798 section 6.4 (RFC 3768 section 6.4 with
// version 2's timers): what becomes of s when ev happens at now, and what to do,
// in order. It has no clock, does no I/O and does not keep ev. Numbers in
// brackets in this file are RFC 5798's steps.
//
// The owner of priority 255 does not take adverts for noise: hearing another
// owner, the lower address yields.
func (c Config) Step(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case SetPriority:
		return c.setPriority(s, ev.Priority), nil
	case Reconfigured:
		return c.reconfigured(s, &ev.Old, now), nil
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
		case ev.Resume:
			return c.enter(s, ReasonResumed, true, now)
		}
		return c.enter(s, ReasonStarted, false, now)
	case Recover:
		if s.Role == Fault {
			return c.enter(s, ReasonRecovered, false, now)
		}
	case Trouble:
		if s.Role == Initialize {
			return State{Role: Fault, Priority: s.Priority}, []Action{Become{Fault, ReasonFault}}
		}
	case Shutdown:
		if s.Role == Fault {
			return State{}, []Action{Become{Initialize, ReasonStopped}}
		}
	}
	return s, nil
}

// enter begins the election with nothing known of it: (100) to (170).
func (c Config) enter(s State, why Reason, resume bool, now time.Time) (State, []Action) {
	s = State{Priority: s.Priority, MasterInterval: c.Interval} // (155)
	if s.Priority == 0 {
		s.Priority = c.Priority
	}
	if s.Priority == Owner || resume {
		return c.toMaster(s, why, now)
	}
	return c.toBackup(s, now), []Action{Become{Backup, why}}
}

// toBackup arms Master_Down_Timer in full: (160), (165) and (760), (765).
func (c Config) toBackup(s State, now time.Time) State {
	s.Role = Backup
	s.Deadline = now.Add(c.masterDown(s))
	s.PreemptAfter = time.Time{}
	s.Expect = ReasonMasterDown
	s.Asserted = false
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
	return s, []Action{Send{s.Priority}, Become{Master, why}}
}

// backup is RFC 5798 section 6.4.2.
func (c Config) backup(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case Shutdown: // (350), (355): a BACKUP leaves without a word
		return State{}, []Action{Become{Initialize, ReasonStopped}}
	case Trouble:
		return State{Role: Fault, Priority: s.Priority}, []Action{Become{Fault, ReasonFault}}
	case Timeout:
		if !now.Before(s.Deadline) { // (370)
			return c.toMaster(s, s.Expect, now)
		}
	case AdvertReceived:
		return c.backupHears(s, ev, now), nil
	}
	return s, nil
}

// backupHears is (420) to (475).
func (c Config) backupHears(s State, ev AdvertReceived, now time.Time) State {
	if ev.Priority == 0 { // (430)
		s.Deadline = now.Add(c.Version.SkewTime(s.Priority, s.MasterInterval))
		s.Expect = ReasonMasterLeft
		if ev.From == s.MasterAddress {
			s.MasterAddress, s.MasterPriority = netip.Addr{}, 0
		}
		return s
	}
	lower := ev.Priority < s.Priority && (c.Preempt || s.Priority == Owner)
	if lower && c.PreemptDelay > 0 && s.Priority != Owner {
		if s.PreemptAfter.IsZero() {
			s.PreemptAfter = now.Add(c.PreemptDelay)
		}
		lower = !now.Before(s.PreemptAfter)
	} else {
		s.PreemptAfter = time.Time{}
	}
	if lower { // (470): the timer runs on, or a lower MASTER would hold us off for ever
		s.Expect = ReasonPreempting
		return heard(s, ev)
	}
	s = c.learn(s, ev, now)               // (450), (455)
	s.Deadline = now.Add(c.masterDown(s)) // (460)
	s.Expect = ReasonMasterDown
	return heard(s, ev)
}

// master is RFC 5798 section 6.4.3.
func (c Config) master(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case Shutdown: // (655) to (670)
		return State{}, []Action{Send{0}, Become{Initialize, ReasonStopped}}
	case Trouble:
		return State{Role: Fault, Priority: s.Priority}, []Action{Send{0}, Become{Fault, ReasonFault}}
	case Timeout:
		if c.stalled(s, now) {
			return c.stepBack(s, now), []Action{Become{Backup, ReasonStalled}}
		}
		if !now.Before(s.Deadline) { // (685), (690)
			s.Deadline = s.Deadline.Add(c.Interval)
			if !s.Deadline.After(now) {
				s.Deadline = now.Add(c.Interval)
			}
			s.Asserted = false
			return s, []Action{Send{s.Priority}}
		}
	case AdvertReceived:
		if c.stalled(s, now) {
			return c.backupHears(c.stepBack(s, now), ev, now), []Action{Become{Backup, ReasonStalled}}
		}
		return c.masterHears(s, ev, now)
	}
	return s, nil
}

// masterHears is (700) to (775).
func (c Config) masterHears(s State, ev AdvertReceived, now time.Time) (State, []Action) {
	switch {
	case ev.Priority == 0: // (710), (715)
		s.Deadline = now.Add(c.Interval)
		s.Asserted = false
		return s, []Action{Send{s.Priority}}
	case ev.Priority > s.Priority: // (725)
		return c.yield(s, ev, ReasonHigherPriority, now)
	case ev.Priority == s.Priority && ev.From.Compare(c.Source) > 0: // (735)
		return c.yield(s, ev, ReasonHigherAddress, now)
	case s.Asserted: // (775); bounded, as two that each think the other loses would never stop
		return s, nil
	}
	s.Asserted = true // RFC 9568 section 6.4.3: tell the loser, and the bridges
	return s, []Action{Send{s.Priority}}
}

// yield is (740) to (765).
func (c Config) yield(s State, ev AdvertReceived, why Reason, now time.Time) (State, []Action) {
	s = heard(c.toBackup(c.learn(s, ev, now), now), ev)
	return s, []Action{Become{Backup, why}}
}

// stepBack is a stalled MASTER's way to Backup: it knows nothing of who is
// MASTER now, so it begins as from Initialize.
func (c Config) stepBack(s State, now time.Time) State {
	s.MasterInterval = c.Interval
	return c.toBackup(s, now)
}

// stalled reports whether a MASTER has been silent for its own
// Master_Down_Interval: others may have taken its place. The last advert was
// sent no later than one interval before Deadline.
func (c Config) stalled(s State, now time.Time) bool {
	return now.Sub(s.Deadline)+c.Interval > c.Version.MasterDownInterval(s.Priority, c.Interval)
}

// heard remembers who is MASTER.
func heard(s State, ev AdvertReceived) State {
	s.MasterAddress, s.MasterPriority = ev.From, ev.Priority
	return s
}

// masterDown is Master_Down_Interval in s.
func (c Config) masterDown(s State) time.Duration {
	return c.Version.MasterDownInterval(s.Priority, s.MasterInterval)
}

// learn takes over the interval of an accepted advert, (450) and (745), as long
// as that is at most twice the configured one. A greater one must earn trust: the
// first such advert is believed up to twice the configured interval, each later
// one up to twice the trust or the pause before it, whichever is longer. So one
// forged advert, which may say 40.95s, leaves the VIPs without a MASTER for
// little more than six configured intervals instead of two minutes; a MASTER that
// really is that slow is after its second advert waited for as the RFC says, or
// after a few more if others disturb it.
func (c Config) learn(s State, ev AdvertReceived, now time.Time) State {
	s.MasterInterval = ev.Interval
	switch twice := 2 * c.Interval; {
	case c.Version == V2:
		s.MasterInterval = c.Interval
	case ev.Interval > twice:
		switch pause := now.Sub(s.SlowHeard); {
		case pause > 2*MaxIntervalV3: // no sender is that slow: a new story
			s.SlowTrust = twice
		case pause >= c.Interval: // a burst shows nothing
			s.SlowTrust = min(2*max(s.SlowTrust, pause), MaxIntervalV3)
		}
		s.SlowHeard = now
		s.MasterInterval = min(ev.Interval, max(s.SlowTrust, twice))
	}
	return s
}

// setPriority moves a running Master_Down_Timer by what Master_Down_Interval
// changes. A MASTER says the new priority in its next advert.
func (c Config) setPriority(s State, priority uint8) State {
	if c.Priority == Owner || priority == 0 {
		return s
	}
	was := c.masterDown(s)
	s.Priority = min(priority, Owner-1)
	if s.Role == Backup {
		s.Deadline = s.Deadline.Add(c.masterDown(s) - was)
	}
	return s
}

// reconfigured keeps the role. What was added to or taken from the priority
// stays so; a running Master_Down_Timer moves by what Master_Down_Interval
// changes; a MASTER is never later with its next advert than either interval.
func (c Config) reconfigured(s State, old *Config, now time.Time) State {
	was := old.masterDown(s)
	if s.Priority != 0 {
		s.Priority = c.shifted(s.Priority, old.Priority)
	}
	if s.MasterInterval == old.Interval || c.Version == V2 {
		s.MasterInterval = c.Interval
	}
	switch s.Role {
	case Backup:
		s.Deadline = s.Deadline.Add(c.masterDown(s) - was)
		if !c.Preempt || c.PreemptDelay != old.PreemptDelay {
			s.PreemptAfter = time.Time{}
		}
	case Master:
		if soon := now.Add(c.Interval); soon.Before(s.Deadline) {
			s.Deadline = soon
		}
	}
	return s
}

// shifted is c's priority with the change that made effective out of base.
func (c Config) shifted(effective, base uint8) uint8 {
	if c.Priority == Owner || base == Owner {
		return c.Priority
	}
	p := int(c.Priority) + int(effective) - int(base)
	return uint8(min(max(p, 1), Owner-1))
}
