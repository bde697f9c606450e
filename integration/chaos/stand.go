package main

import (
	"context"
	"errors"
	"io"

	"github.com/lvsd/lvsd/integration/lab"
)

// A stand is where a site lives: a run of its own, so that what ends it ends
// nothing else. Calls are one at a time.
type stand struct {
	calls chan func(*Site)
	done  chan struct{}
	err   error // why the run ended; read after done
}

// openStand builds a site and returns when it has settled, or with the reason why
// it has not.
func openStand(ctx context.Context, w io.Writer, c Contestant, config Config, scale float64) (*stand, error) {
	st := &stand{calls: make(chan func(*Site)), done: make(chan struct{})}
	go func() {
		defer close(st.done)
		st.err = lab.Run(ctx, c.Name(), w, func(t lab.TB) {
			s := newSite(t, c, config, scale)
			for f := range st.calls {
				f(s)
			}
		})
	}()
	return st, st.do(func(*Site) {})
}

// do calls f with the site. The error is that of a run that has ended, as Fatalf
// was told.
func (st *stand) do(f func(*Site)) error {
	returned := make(chan struct{})
	select {
	case st.calls <- func(s *Site) { f(s); close(returned) }:
	case <-st.done:
		return errors.Join(errGone, st.err)
	}
	select {
	case <-returned:
		return nil
	case <-st.done:
		return errors.Join(errGone, st.err)
	}
}

var errGone = errors.New("the site has ended")

// close takes the site down.
func (st *stand) close() error {
	close(st.calls)
	<-st.done
	return st.err
}
