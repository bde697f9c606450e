package director

import "github.com/lvsd/lvsd/config"

// tally is how a virtual service stands against its quorum.
type tally struct {
	// Up is the sum of the weights of the real servers that are up, Needed the
	// quorum, at least 1.
	Up, Needed int
	// Quorate tells that the service is in order.
	Quorate bool
}

// tally counts the service's real servers against its quorum. What it says of
// Quorate may be put into Facts.Quorate before or after Plan: it comes out the
// same again.
//
// A weight is the one that the real server tells, or the configured one, with
// what the service's weight checks add or take away, as keepalived counts it: a
// server that is up with weight 0 counts for nothing. Slow start does not lessen
// it, or a service would lose its quorum by a recovery. What operators have taken
// out counts for nothing.
func (f Facts) tally(s *config.VirtualService) tally {
	t := tally{Needed: max(s.Quorum.Weight, 1)}
	all := 0
	for i := range s.RealServers {
		server := &s.RealServers[i]
		all += server.Weight
		if f.isAvailable(s, server) {
			t.Up += f.upWeight(s, server)
		}
	}
	t.Quorate = isQuorate(t, s.Quorum.Hysteresis, all, f.Quorate[s.Name])
	return t
}

// isQuorate is the arithmetic of the quorum: lost below Needed-hysteresis,
// regained at Needed+hysteresis. Nothing is never enough, and all that the file
// has always is, or a service whose quorum is too high would never be in order.
func isQuorate(t tally, hysteresis, all int, before bool) bool {
	threshold := t.Needed + hysteresis
	if before {
		threshold = t.Needed - hysteresis
	}
	return t.Up > 0 && t.Up >= min(threshold, all)
}
