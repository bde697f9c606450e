package vrrp

import "time"

// setPriority moves a running Master_Down_Timer by what Master_Down_Interval
// changes. A MASTER says a lower priority at once, so that a better BACKUP knows,
// and a higher one in its next advert.
func (c Config) setPriority(s State, priority uint8, now time.Time) (State, []Action) {
	if c.Priority == Owner {
		return s, nil
	}
	if priority == 0 {
		priority = c.Priority
	}
	was := s
	s.Priority = min(priority, Owner-1)
	if s.Role == Backup {
		s.Deadline = s.Deadline.Add(c.masterDown(s) - c.masterDown(was))
	}
	return s, c.lowered(was, s, now)
}

// lowered is what a MASTER says about its new priority.
func (c Config) lowered(was, s State, now time.Time) []Action {
	if s.Role != Master || s.Priority >= was.Priority || c.stalled(s, now) {
		return nil
	}
	return []Action{Send{s.Priority}}
}

// hold keeps the router from being MASTER.
func (c Config) hold(s State, now time.Time) (State, []Action) {
	s.Held, s.Want = true, false
	if s.Role != Master {
		return s, nil
	}
	return goodbye(c.stepBack(s, ReasonHeld, now))
}

// grouped makes the router a member of a group, or none. The role stays.
func (c Config) grouped(s State, ev Grouped, now time.Time) State {
	s.Grouped, s.Decides = ev.Member, ev.Decides
	if !s.Grouped && s.Want {
		s.Want, s.Deadline = false, now
	}
	return s
}

// reconfigured keeps the role. What was added to or taken from the priority
// stays so; a running Master_Down_Timer moves by what Master_Down_Interval
// changes; a MASTER is never later with its next advert than either interval.
func (c Config) reconfigured(s State, old *Config, now time.Time) (State, []Action) {
	was := s
	if s.Priority != 0 {
		s.Priority = c.shifted(s.Priority, old.Priority)
	}
	if s.MasterInterval == old.Interval || c.Version == V2 {
		s.MasterInterval = c.Interval
	}
	switch s.Role {
	case Backup:
		s.Deadline = s.Deadline.Add(c.masterDown(s) - old.masterDown(was))
		if !c.Preempt || c.PreemptDelay != old.PreemptDelay {
			s.PreemptAfter = time.Time{}
		}
		if s.MasterInterval != was.MasterInterval {
			s.Seen = now // another measure for a gap
		}
	case Master:
		if soon := now.Add(c.Interval); soon.Before(s.Deadline) {
			s.Deadline = soon
		}
	}
	return s, c.lowered(was, s, now)
}

// shifted is c's priority with the change that made effective out of base.
func (c Config) shifted(effective, base uint8) uint8 {
	if c.Priority == Owner || base == Owner {
		return c.Priority
	}
	p := int(c.Priority) + int(effective) - int(base)
	return uint8(min(max(p, 1), Owner-1))
}
