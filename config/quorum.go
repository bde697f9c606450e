package config

import "math"

// readQuorum reads how much must be up. What all real servers weigh together
// must be able to reach it; host names may give any number of them.
func (s *service) readQuorum() {
	s.Quorum.Weight = read(s.table, "quorum", kinds.quorum).or(1)
	s.Quorum.Hysteresis = read(s.table, "quorum_hysteresis", kinds.threshold).or(0)
	if s.Quorum.Weight == 0 {
		return // not readable, reported
	}
	if s.Quorum.Hysteresis >= s.Quorum.Weight {
		s.fail(s.at("quorum_hysteresis"), "%d is not below the quorum, %d, expected less: it would never be lost", s.Quorum.Hysteresis, s.Quorum.Weight)
		return
	}
	sum, known := weightOf(s.RealServers)
	switch {
	case !known:
	case s.has("quorum") && s.Quorum.Weight > sum:
		s.fail(s.at("quorum"), "%d is more than the real servers weigh together, %d, expected at most that", s.Quorum.Weight, sum)
	case s.has("quorum_hysteresis") && s.Quorum.Weight+s.Quorum.Hysteresis > sum:
		s.fail(s.at("quorum_hysteresis"), "with the quorum it is %d, more than the real servers weigh together, %d, expected at most that: it would never be regained",
			s.Quorum.Weight+s.Quorum.Hysteresis, sum)
	}
}

// weightOf is what the real servers weigh together at most, unless some are
// host names.
func weightOf(servers []RealServer) (sum int, known bool) {
	for _, s := range servers {
		if s.Host != "" {
			return 0, false
		}
		weight := s.Weight
		for _, c := range s.WeightChecks {
			weight += max(0, c.Weight)
		}
		sum += min(weight, math.MaxUint16)
	}
	return sum, true
}
