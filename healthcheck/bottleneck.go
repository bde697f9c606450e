package healthcheck

import (
	"math"
	"syscall"
	"time"
)

// bottleneck is something that ran out while so many probes used it. There is
// room for fewer then, for a while, and for some more each second after that. The
// zero value has room for all.
type bottleneck struct {
	at    time.Time
	found int           // probes in flight when it ran out
	room  int           // for how many there was room then
	pause time.Duration // before there is more
}

// relief is how long after its pause a bottleneck is none any more.
const relief = time.Minute

// allows is for how many probes there is room now.
func (b bottleneck) allows(now time.Time) int {
	calm := now.Sub(b.at) - b.pause
	if b.at.IsZero() || calm >= relief {
		return math.MaxInt
	}
	room := b.room
	if now.Sub(b.at) >= heartbeat {
		room = max(1, room) // else nobody finds out that there is more
	}
	return room + int(max(0, calm)/time.Second)*max(8, b.found/8)
}

// reserve is how many of n descriptors are left to others: to the programs that
// this process runs, and to whoever asks it something.
func reserve(n int) int { return min(max(64, n/8), n/2) }

// descriptors is how many this process may have, 0 if that is not known.
func descriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return int(min(limit.Cur, math.MaxInt32))
}
