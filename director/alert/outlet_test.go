package alert

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lvsd/lvsd/director"
)

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// receiver is somebody who is told, and what he does about it.
type receiver struct {
	began time.Time
	mu    sync.Mutex
	// answers are the errors of the next attempts; after them all is well.
	answers []error
	// got has a line for each batch that was taken: when, and what.
	got []string
	// asked is when each attempt came.
	asked []time.Duration
	hang  bool
}

func (r *receiver) send(ctx context.Context, b batch) error {
	r.mu.Lock()
	hang := r.hang
	r.asked = append(r.asked, time.Since(r.began))
	r.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.answers) > 0 {
		err := r.answers[0]
		r.answers = r.answers[1:]
		if err != nil {
			return err
		}
	}
	var seqs []string
	for _, e := range b.Events {
		seqs = append(seqs, fmt.Sprint(e.Seq))
	}
	r.got = append(r.got, fmt.Sprintf("%v: %s +%d", time.Since(r.began), strings.Join(seqs, " "), b.LeftOut))
	return nil
}

func down(seq uint64) director.Event {
	return director.Event{Seq: seq, At: time.Now(), Kind: director.EventServerDown, Severity: director.SeverityWarning, Text: "down"}
}

// rig is an outlet at work.
type rig struct {
	*outlet
	*receiver
	journal
	end func()
}

func newRig(t *testing.T, with terms) *rig {
	r := &rig{receiver: &receiver{began: time.Now()}}
	r.outlet = newOutlet("mail", "mx", with, r.receiver.send, r.log())
	ctx, cancel := context.WithCancel(t.Context())
	words, over := lingering(ctx, lastWords)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx, words)
	}()
	r.end = func() {
		cancel()
		<-done
		over()
	}
	synctest.Wait()
	return r
}

func (r *rig) log() *slog.Logger { return r.journal.log() }

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (r *rig) want(t *testing.T, want ...string) {
	t.Helper()
	r.receiver.mu.Lock()
	defer r.receiver.mu.Unlock()
	if diff := cmp.Diff(want, r.got); diff != "" {
		t.Errorf("told (-want +got):\n%s\n%s", diff, r.journal.String())
	}
}

func TestDigestGathers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: 10 * time.Second, perHour: 30})
		r.add(down(1))
		pass(4 * time.Second)
		r.add(down(2))
		r.add(director.Event{Seq: 3, Kind: director.EventTracker}) // nobody asked for it
		pass(7 * time.Second)
		r.want(t, "10s: 1 2 +0")
		pass(time.Hour)
		r.add(down(4))
		pass(9 * time.Second)
		r.want(t, "10s: 1 2 +0")
		r.end()
		r.want(t, "10s: 1 2 +0", "1h0m20s: 4 +0")
	})
}

// TestLimitSumsUp: what is too much for an hour is told of when the hour is over.
func TestLimitSumsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 2})
		for seq := range uint64(6) {
			r.add(down(seq + 1))
			pass(time.Minute)
		}
		r.want(t, "1s: 1 +0", "1m1s: 2 +0")
		pass(time.Hour)
		r.want(t, "1s: 1 +0", "1m1s: 2 +0", "1h0m1s: 3 4 5 6 +0")
		r.end()
	})
}

func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Minute, perHour: 2})
		for seq := range uint64(maxWaiting + 7) {
			r.add(down(seq + 1))
		}
		pass(time.Minute)
		r.end()
		if got := r.got[0]; !strings.HasPrefix(got, "1m0s: 8 9 ") || !strings.HasSuffix(got, " +7") {
			t.Errorf("%.40q ... %q", got, got[len(got)-5:])
		}
	})
}

// TestRetriesSlowDown, keep what comes meanwhile, and take what waits along.
func TestRetriesSlowDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 30})
		temporary := errors.New("451 later")
		r.answers = slices.Repeat([]error{temporary}, 9)
		r.answers = append(r.answers, later{temporary, 20 * time.Minute})
		r.add(down(1))
		pass(30 * time.Second)
		r.add(down(2))
		pass(time.Hour)
		var pauses []time.Duration
		for i := 1; i < len(r.asked); i++ {
			pauses = append(pauses, r.asked[i]-r.asked[i-1])
		}
		second, minute := time.Second, time.Minute
		want := []time.Duration{
			2 * second, 4 * second, 8 * second, 16 * second, 32 * second, 64 * second, 128 * second, 256 * second, 5 * minute, 20 * minute,
		}
		if diff := cmp.Diff(want, pauses); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		if len(r.got) != 1 || !strings.HasSuffix(r.got[0], ": 1 2 +0") {
			t.Errorf("told %q", r.got)
		}
		for text, count := range map[string]int{"trying again": 1, "told of at last": 1} {
			if n := strings.Count(r.journal.String(), text); n != count {
				t.Errorf("%d lines say %q, want %d", n, text, count)
			}
		}
		r.end()
	})
}

func TestRefusalIsFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 30})
		r.answers = []error{fmt.Errorf("mail: %w", refusal{errors.New("550 no such user")})}
		r.add(down(1))
		pass(time.Hour)
		r.add(down(2))
		pass(time.Minute)
		r.want(t, "1h0m1s: 2 +0")
		if text := r.journal.String(); !strings.Contains(text, "level=ERROR") || !strings.Contains(text, "550 no such user") {
			t.Errorf("log:\n%s", text)
		}
		r.end()
	})
}

func TestOldEventsAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 30})
		r.answers = slices.Repeat([]error{errors.New("refused")}, 24*12+20)
		r.add(down(1))
		pass(maxAge + time.Hour)
		r.add(down(2))
		pass(12 * time.Hour)
		r.end()
		if len(r.got) != 1 || !strings.HasSuffix(r.got[0], ": 2 +0") || !strings.Contains(r.journal.String(), "given up") {
			t.Errorf("told %q\n%s", r.got, r.journal.String())
		}
	})
}

// TestYoungEventsAreNotGivenUp with those that waited for a day.
func TestYoungEventsAreNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 30})
		r.answers = slices.Repeat([]error{errors.New("refused")}, 24*12+20)
		r.add(down(1))
		pass(maxAge - 2*time.Minute)
		r.add(down(2))
		pass(12 * time.Hour)
		r.end()
		if len(r.got) != 1 || !strings.HasSuffix(r.got[0], ": 2 +0") {
			t.Errorf("told %q\n%s", r.got, r.journal.String())
		}
	})
}

// TestEndIsBounded: who hangs keeps nobody for longer than the last words take, and
// the log says what was not told.
func TestEndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 30})
		r.hang = true
		r.add(down(1))
		pass(3 * time.Second)
		began := time.Now()
		r.end()
		if took := time.Since(began); took > lastWords {
			t.Errorf("the end took %v", took)
		}
		if !strings.Contains(r.journal.String(), "not told of") {
			t.Errorf("log:\n%s", r.journal.String())
		}
	})
}

// TestAttemptIsBounded: who hangs is asked again.
func TestAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, terms{digest: time.Second, perHour: 30})
		r.hang = true
		r.add(down(1))
		pass(sendTime)
		r.receiver.mu.Lock()
		r.hang = false
		r.receiver.mu.Unlock()
		pass(4 * time.Second)
		r.end()
		r.want(t, "33s: 1 +0")
	})
}

func TestPatterns(t *testing.T) {
	for _, test := range []struct {
		pattern, kind string
		want          bool
	}{
		{"server.*", "server.down", true},
		{"server.down", "server.down", true},
		{"server.down", "server.up", false},
		{"*", "server.up", true},
		{"service.*", "server.up", false},
	} {
		if got := matches([]string{test.pattern}, director.EventKind(test.kind)); got != test.want {
			t.Errorf("%s, %s: %v", test.pattern, test.kind, got)
		}
	}
	for _, pattern := range DefaultAlerts() {
		one := func(kind director.EventKind) bool { return matches([]string{pattern}, kind) }
		if !slices.ContainsFunc(director.EventKinds(), one) {
			t.Errorf("the pattern %q means nothing", pattern)
		}
	}
}

// standard is the log of packages that know no other.
func (j *journal) standard() *log.Logger { return log.New(j, "", 0) }
