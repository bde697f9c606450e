package vrrp

import (
	"net/netip"
	"time"
)

// backup is RFC 5798 section 6.4.2.
func (c Config) backup(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case Shutdown: // (350), (355): a BACKUP leaves without a word
		return s.leave(Initialize, ReasonStopped)
	case Trouble:
		return s.leave(Fault, ReasonFault)
	case Timeout:
		return c.backupTimeout(s, ev.Deaf, now)
	case Permit:
		return c.backupPermit(s, now)
	case AdvertReceived:
		return c.backupHears(s, ev, now), nil
	}
	return s, nil
}

// backupTimeout is (370), for a BACKUP that has reason to believe its timer: it
// was running and could hear.
func (c Config) backupTimeout(s State, deaf bool, now time.Time) (State, []Action) {
	late := s.late(now)
	s.Seen = now
	switch {
	case deaf:
		return c.settle(c.listen(s, now), now), nil
	case late && !s.Listened:
		s.Listened = true
		return c.listen(s, now), nil
	case now.Before(s.Deadline):
		return s, nil
	case s.Held:
		s.Settling = false
		return c.listen(s, now), nil
	case !s.Grouped:
		return c.toMaster(s, s.Expect, now)
	}
	if s.Want {
		s.Listened = late // an old wish: the next stall is a story of its own
	}
	s.Want, s.Follows, s.Settling = true, false, false
	s.Contested = time.Time{}
	s.Deadline = now.Add(s.MasterInterval)
	return s, nil
}

// backupPermit is what (370) is for a member of a group.
func (c Config) backupPermit(s State, now time.Time) (State, []Action) {
	switch {
	case !s.Want:
		return s, nil
	case s.late(now) && !s.Listened:
		s.Listened = true
		return c.listen(s, now), nil
	}
	return c.toMaster(s, s.Expect, now)
}

// late reports whether a BACKUP did not run for more than one interval of its
// MASTER, when it ought to have looked at its timer. Its MASTER's adverts of
// that time may be lost, as those are that a paused machine is sent: it listens
// once more before it takes over. It does so once only, because a machine that
// is always late must still take over.
func (s State) late(now time.Time) bool {
	return !s.Seen.IsZero() && now.Sub(s.Wake()) > s.MasterInterval
}

// listen waits for at least Master_Down_Interval from now on.
func (c Config) listen(s State, now time.Time) State {
	s.Deadline = later(s.Deadline, now.Add(c.masterDown(s)))
	s.Expect = ReasonMasterDown
	s.Want = false
	return s
}

// settle waits for Config.Settle in addition, as after Startup: a link that was
// down may again not pass packets.
func (c Config) settle(s State, now time.Time) State {
	s.Deadline = later(s.Deadline, now.Add(c.masterDown(s)+c.Settle))
	s.Settling = c.Settle > 0
	return s
}

// settled ends Config.Settle, because something was heard: the timer is no later
// than if the election began now.
func (c Config) settled(s State, now time.Time) State {
	if !s.Settling {
		return s
	}
	wait := c.masterDown(s)
	if s.Priority == Owner {
		wait = 0
	}
	s.Deadline = earlier(s.Deadline, now.Add(wait))
	s.Settling = false
	return s
}

// backupHears is (420) to (475).
func (c Config) backupHears(s State, ev AdvertReceived, now time.Time) State {
	s.Seen = now
	s = c.settled(s, now)
	if ev.Priority == 0 { // (430)
		return c.backupHearsGoodbye(s, ev, now)
	}
	if c.preempts(&s, ev, now) { // (470): the timer runs on, or a lower MASTER would hold us off for ever
		if s.Follows && ev.From == s.MasterAddress && ev.Priority < s.MasterPriority {
			// It stepped below us on purpose: as good as a goodbye.
			s.Deadline = earlier(s.Deadline, now.Add(c.skew(s)))
		}
		s.Expect = ReasonPreempting
		s.Follows, s.Contested = false, time.Time{}
		return heard(s, ev)
	}
	s = c.learn(s, ev, now)               // (450), (455)
	s.Deadline = now.Add(c.masterDown(s)) // (460)
	s.Expect = ReasonMasterDown
	s.Want, s.Follows, s.Listened = false, true, false
	if s.Grouped && s.Contested.IsZero() {
		s.Contested = now
	}
	return heard(s, ev)
}

// backupHearsGoodbye is (430).
func (c Config) backupHearsGoodbye(s State, ev AdvertReceived, now time.Time) State {
	if !s.Want {
		s.Deadline = now.Add(c.skew(s))
	}
	s.Expect = ReasonMasterLeft
	s.Follows, s.Contested = false, time.Time{}
	if ev.From == s.MasterAddress {
		s.MasterAddress, s.MasterPriority = netip.Addr{}, 0
		s.Yielded = false
	}
	return s
}

// preempts reports whether the sender of ev is to be replaced, and keeps the
// preempt delay.
func (c Config) preempts(s *State, ev AdvertReceived, now time.Time) bool {
	owner := s.Priority == Owner
	lower := ev.Priority < s.Priority && (c.Preempt || owner) && !s.Held && !s.Yielded
	if !lower || c.PreemptDelay == 0 || owner {
		s.PreemptAfter = time.Time{}
		return lower
	}
	if s.PreemptAfter.IsZero() {
		s.PreemptAfter = now.Add(c.PreemptDelay)
	}
	return !now.Before(s.PreemptAfter)
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
