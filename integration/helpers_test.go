package integration

import (
	"fmt"

	"github.com/lvsd/lvsd/integration/lab"
)

// spread is an error unless at least relays of them took at least sessions each.
func spread(s lab.Summary, relays, sessions int) error {
	enough := 0
	for _, n := range s.ByRelay {
		if n >= sessions {
			enough++
		}
	}
	if enough < relays {
		return fmt.Errorf("%d of %d relays took %d sessions: %v", enough, relays, sessions, s)
	}
	return nil
}

// more is an error unless there were more successful sessions since.
func more(s lab.Summary, since, sessions int) error {
	if s.Sessions-since < sessions {
		return fmt.Errorf("%d sessions since then: %v", s.Sessions-since, s)
	}
	return nil
}
