package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// A sample is what a site used at a time, at rest.
type sample struct {
	at    time.Duration
	usage Usage
}

// A series is samples in the order of time.
type series []sample

// tenth is the n-th tenth of the series, from 0; at least one sample of those there
// are.
func (s series) tenth(n int) series {
	from := len(s) * n / 10
	to := max(from+1, len(s)*(n+1)/10)
	return s[min(from, len(s)):min(to, len(s))]
}

// median is the middle of what the samples say; zero of none.
func median[T cmp.Ordered](s series, field func(Usage) T) T {
	var values []T
	for _, one := range s {
		values = append(values, field(one.usage))
	}
	slices.Sort(values)
	if len(values) == 0 {
		var none T
		return none
	}
	return values[len(values)/2]
}

func resident(u Usage) int64     { return u.Resident }
func descriptors(u Usage) int    { return u.Descriptors }
func goroutineCount(u Usage) int { return u.Goroutines }

// What a series may grow by, from its second tenth to its last: a heap breathes, and
// so does the number of questions under way.
const (
	seriesFactor      = 1.15
	seriesSlack       = 2 << 20
	seriesDescriptors = 2
	seriesGoroutines  = 3
	// leastSamples is how many tell anything.
	leastSamples = 10
)

// growth says what has grown in the series, of so many nodes. The first tenth is the
// warming up.
func (s series) growth(nodes int) []string {
	if len(s) < leastSamples {
		return []string{fmt.Sprintf("%d samples tell nothing, at least %d are needed", len(s), leastSamples)}
	}
	first, last := s.tenth(1), s.tenth(9)
	var all []string
	more := func(what string, had, has, most int64) {
		if has > most {
			all = append(all, fmt.Sprintf("%s: a median of %d, and %d at the end", what, had, has))
		}
	}
	had, has := median(first, resident), median(last, resident)
	more("memory", had, has, int64(float64(had)*seriesFactor)+int64(nodes)*seriesSlack)
	count := func(what string, field func(Usage) int, slack int) {
		had, has := int64(median(first, field)), int64(median(last, field))
		more(what, had, has, had+int64(nodes*slack))
	}
	count("descriptors", descriptors, seriesDescriptors)
	count("goroutines", goroutineCount, seriesGoroutines)
	return all
}
