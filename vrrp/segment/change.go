package segment

import (
	"fmt"
	"net/netip"
	"time"
)

// ChangeKind is what kind of Change it is. The names do not change.
type ChangeKind string

// The kinds.
const (
	ChangeSpeaker    ChangeKind = "speaker"    // a new one
	ChangeParameters ChangeKind = "parameters" // it says something else of itself
	ChangeMaster     ChangeKind = "master"     // it is MASTER now, another was
	ChangeLeaving    ChangeKind = "leaving"    // it gives up
	ChangeGone       ChangeKind = "gone"       // it is silent
	ChangeRaised     ChangeKind = "raised"     // a flag
	ChangeCleared    ChangeKind = "cleared"    // a flag
)

// Change is one event on the segment.
type Change struct {
	At   time.Time  `json:"at"`
	Kind ChangeKind `json:"change"`
	Router
	// Source is the speaker; zero if it is about several.
	Source netip.Addr `json:"source,omitzero"`
	// Code is the flag's, of ChangeRaised and ChangeCleared.
	Code Code `json:"code,omitempty"`
	// Detail is for people. It holds no password.
	Detail string `json:"detail"`
}

// String is the change in one line, without its time.
func (c Change) String() string {
	where := c.where(c.Source)
	switch c.Kind {
	case ChangeRaised:
		return fmt.Sprintf("%s: %s: %s", where, c.Code, c.Detail)
	case ChangeCleared:
		return fmt.Sprintf("%s: no longer %s", where, c.Code)
	case ChangeSpeaker:
		return fmt.Sprintf("%s: new speaker: %s", where, c.Detail)
	}
	return fmt.Sprintf("%s: %s", where, c.Detail)
}

func (r *router) change(at time.Time, kind ChangeKind, s *speaker, detail string) Change {
	return Change{At: at, Kind: kind, Router: r.id(), Source: s.source, Detail: detail}
}

func (r *router) flagChange(at time.Time, kind ChangeKind, f Flag) Change {
	return Change{At: at, Kind: kind, Router: r.id(), Source: f.Source, Code: f.Code, Detail: f.Detail}
}

// introduce is what a new speaker says of itself, in words.
func (s *speaker) introduce() string {
	if s.adverts == 0 {
		return "no valid advert"
	}
	return fmt.Sprintf("version %d, priority %d, interval %v, auth %s, VIPs %s",
		s.version, s.priority, s.interval, s.auth, joinAddrs(s.vips))
}
