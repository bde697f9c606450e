package healthcheck

// queue is checks in a row, each the next of the one before; a check is in one
// at most.
type queue struct {
	first, last *check
	length      int
}

func (q *queue) empty() bool { return q.first == nil }

func (q *queue) push(c *check) {
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
	q.length++
}

func (q *queue) pushFirst(c *check) {
	c.next, q.first = q.first, c
	if q.last == nil {
		q.last = c
	}
	q.length++
}

func (q *queue) pop() *check {
	c := q.first
	q.first, c.next = c.next, nil
	if q.first == nil {
		q.last = nil
	}
	q.length--
	return c
}
