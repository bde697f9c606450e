package vrrp

import "time"

// master is RFC 5798 section 6.4.3.
func (c Config) master(s State, ev Event, now time.Time) (State, []Action) {
	switch ev := ev.(type) {
	case Shutdown: // (655) to (670)
		return goodbye(s.leave(Initialize, ReasonStopped))
	case Trouble:
		return goodbye(s.leave(Fault, ReasonFault))
	case Demote:
		return goodbye(c.stepBack(s, ReasonGroup, now))
	case GiveUp:
		return c.giveUp(s, now)
	case Timeout:
		if c.stalled(s, now) {
			return c.stepBack(s, ReasonStalled, now)
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
			s, actions := c.stepBack(s, ReasonStalled, now)
			return c.backupHears(s, ev, now), actions
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
		s.Contested = time.Time{}
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
	if s.Grouped {
		if s.Contested.IsZero() || now.Sub(s.Contested) > 2*c.patience(s) {
			s.Contested = now // by nobody before, or not lately
		}
		if !s.lost(c, now) {
			return s, nil
		}
	}
	since := s.Contested
	s = heard(c.toBackup(c.learn(s, ev, now), now), ev)
	s.Follows, s.Contested = true, since
	return s, []Action{Become{Backup, why}}
}

// lost reports whether a member of a group that hears a better MASTER lets that
// decide for all members: at once, or when its patience is over.
func (s State) lost(c Config, now time.Time) bool {
	return !s.Contested.IsZero() && (s.Decides || now.Sub(s.Contested) >= c.patience(s))
}

// patience is how long a member of a group leaves it to the first to decide.
func (c Config) patience(s State) time.Duration {
	return c.Version.MasterDownInterval(s.Priority, c.Interval)
}

// stepBack is a MASTER's way to Backup for reasons of its own: it knows nothing
// of who is MASTER now, so it begins as from Initialize.
func (c Config) stepBack(s State, why Reason, now time.Time) (State, []Action) {
	s.MasterInterval = c.Interval
	return c.toBackup(s, now), []Action{Become{Backup, why}}
}

// giveUp waits for a successor as long as a BACKUP of any priority may take,
// even one that does not hear the goodbye.
func (c Config) giveUp(s State, now time.Time) (State, []Action) {
	s, actions := c.stepBack(s, ReasonGaveUp, now)
	s.Yielded = true
	s.Deadline = now.Add(c.Version.MasterDownInterval(1, c.Interval))
	return goodbye(s, actions)
}

// goodbye says that a MASTER leaves before it does.
func goodbye(s State, actions []Action) (State, []Action) {
	return s, append([]Action{Send{0}}, actions...)
}

// stalled reports whether a MASTER has been silent for its own
// Master_Down_Interval: others may have taken its place. The last advert was
// sent no later than one interval before Deadline.
func (c Config) stalled(s State, now time.Time) bool {
	return now.Sub(s.Deadline)+c.Interval > c.Version.MasterDownInterval(s.Priority, c.Interval)
}
