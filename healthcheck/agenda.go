package healthcheck

import (
	"container/heap"
	"time"
)

// agenda is a heap of checks by when something is to be done with them: a probe
// is due, or a connection has had its time. A check is in it once at most.
type agenda []*check

// put enters c for that time.
func (a *agenda) put(c *check, at time.Time) {
	a.remove(c)
	c.at = at
	heap.Push((*entries)(a), c)
}

// remove takes c out if it is in.
func (a *agenda) remove(c *check) {
	if c.place > 0 {
		heap.Remove((*entries)(a), c.place-1)
	}
}

// first is what is to be done first, and when.
func (a agenda) first() (at time.Time, ok bool) {
	if len(a) == 0 {
		return time.Time{}, false
	}
	return a[0].at, true
}

// due takes out what is to be done by now, one check at a time; nil is nothing.
func (a *agenda) due(now time.Time) *check {
	if at, ok := a.first(); !ok || at.After(now) {
		return nil
	}
	return heap.Pop((*entries)(a)).(*check)
}

// entries are an agenda as package heap knows it. A check's place in it is one
// more than its index.
type entries []*check

func (e entries) Len() int           { return len(e) }
func (e entries) Less(i, j int) bool { return e[i].at.Before(e[j].at) }

func (e entries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].place, e[j].place = i+1, j+1
}

func (e *entries) Push(c any) {
	*e = append(*e, c.(*check))
	c.(*check).place = len(*e)
}

func (e *entries) Pop() any {
	last := len(*e) - 1
	c := (*e)[last]
	(*e)[last] = nil
	*e, c.place = (*e)[:last], 0
	return c
}
