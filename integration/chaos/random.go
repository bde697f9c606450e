package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// overlapChance is how often, of two times, a second fault comes while one stands.
const overlapChance = 2

// A lottery draws faults. Of the same seed it draws the same.
type lottery struct {
	random  *rand.Rand
	tickets []Fault
}

// newLottery draws from those faults that may come at random. The error is that none
// may.
func newLottery(seed uint64, some []Fault) (*lottery, error) {
	l := &lottery{
		random:  rand.New(rand.NewPCG(seed, seed)),
		tickets: slices.DeleteFunc(slices.Clone(some), func(f Fault) bool { return !f.Random || f.Edit != nil || f.Alone || f.Topology == Relay }),
	}
	if len(l.tickets) == 0 {
		return nil, errors.New("none of the faults may come at random")
	}
	return l, nil
}

// draw is a fault, or two of which the second comes while the first one stands.
func (l *lottery) draw() Fault {
	first := l.tickets[l.random.IntN(len(l.tickets))]
	if l.random.IntN(overlapChance) > 0 {
		return first
	}
	// Nobody mends the same thing twice.
	others := slices.DeleteFunc(slices.Clone(l.tickets), func(f Fault) bool { return f.Name == first.Name })
	if len(others) == 0 {
		return first
	}
	return overlap(first, others[l.random.IntN(len(others))], l.random.Float64())
}

// overlap is a fault during which another one comes, after a part of the time that
// the first one stands. What either of them promises alone, both together do not.
func overlap(first, second Fault, after float64) Fault {
	return Fault{
		Name:    fmt.Sprintf("%s, then %s", first.Name, second.Name),
		What:    fmt.Sprintf("%s; meanwhile: %s", first.What, second.What),
		Without: first.Without + second.Without,
		Want:    Promise{Two: true},
		Hold:    func(s *Site) time.Duration { return max(first.hold(s), second.hold(s)) },
		Inject: func(s *Site) (func() error, error) {
			mendFirst, err := first.Inject(s)
			if err != nil {
				return mendFirst, err
			}
			s.Pause(time.Duration(after * float64(first.hold(s))))
			mendSecond, err := second.Inject(s)
			return both(mendSecond, mendFirst), err
		},
	}
}

// hold is how long the fault stays, of either kind.
func (f Fault) hold(s *Site) time.Duration {
	if f.Hold == nil {
		return 0
	}
	return f.Hold(s)
}

// both mends what there is to mend.
func both(mends ...func() error) func() error {
	return func() error {
		var errs []error
		for _, mend := range mends {
			if mend != nil {
				errs = append(errs, mend())
			}
		}
		return errors.Join(errs...)
	}
}
