package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lvsd/lvsd/command"
)

// ErrAbandoned is the error of a command that was killed or not started because
// the context given to Finish had ended.
var ErrAbandoned = errors.New("abandoned at the end")

// Runner runs the commands of one instance, sync group or service. Create it with New and call Run
// once; the other methods may be called from any goroutine, before Run too.
type Runner struct {
	// Slots, if it is set before Run, bounds how many commands run at a time in
	// all Runners that share it: by its capacity.
	Slots chan struct{}

	report func(Result)
	// life is the parent of every command's context; abandon ends it.
	life    context.Context
	abandon context.CancelCauseFunc
	done    chan struct{} // closed when Run returns

	mu       sync.Mutex
	changed  sync.Cond // of pending and closing
	commands Commands
	pending  []Event // in the order to be run, one for each real server at most
	skipped  int     // events that pending ones have replaced, not yet reported
	running  bool
	closing  bool
}

// job is an event with what it calls for.
type job struct {
	event    Event
	commands Commands
	argvs    [][]string
	skipped  int
}

// New returns a Runner that does nothing before Run. The function report is
// called for every command, from Run's goroutine, one call at a time. It must
// not block and must not call Finish: while it runs, no command does.
func New(c Commands, report func(Result)) *Runner {
	r := &Runner{report: report, commands: c, done: make(chan struct{})}
	r.changed.L = &r.mu
	r.life, r.abandon = context.WithCancelCause(context.Background())
	return r
}

// SetCommands replaces the commands for every event that has not begun.
func (r *Runner) SetCommands(c Commands) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.commands = c
}

// Notify hands over an event and never blocks. It takes the place of one that
// still waits, of the same real server if it is of one, unless there is no
// command for it: what hooks set up in the end is then the same as if all had
// run. After the end of Run it does nothing.
func (r *Runner) Notify(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.commands.argvs(e)) == 0 {
		return
	}
	same := func(waits Event) bool { return waits.Server == e.Server }
	if i := slices.IndexFunc(r.pending, same); i >= 0 {
		r.skipped++
		r.pending = slices.Delete(r.pending, i, i+1)
	}
	r.pending = append(r.pending, e)
	r.changed.Signal()
}

// Run runs commands until Finish is called or ctx ends. Either way it returns
// only after the events that then wait, each command bounded by the timeout. To
// have a last event run, such as STOP, ctx must not end before its Notify. The
// only error is a second call.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.begin(); err != nil {
		return err
	}
	defer close(r.done)
	defer context.AfterFunc(ctx, r.close)()
	for {
		j, ok := r.next()
		if !ok {
			return nil
		}
		r.execute(j)
	}
}

// Finish makes Run return after the event that waits, and waits for that. When
// ctx ends earlier, what runs is killed, what waits is not run, both are
// reported with ErrAbandoned, and Finish returns the cause; it takes at most
// two seconds longer than ctx then, for the command to clean up.
func (r *Runner) Finish(ctx context.Context) error {
	r.close()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
	}
	r.abandon(ErrAbandoned)
	if r.begun() {
		<-r.done
	}
	return fmt.Errorf("finish hooks: %w", context.Cause(ctx))
}

func (r *Runner) begin() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running {
		return errors.New("hook runner: Run was called twice")
	}
	r.running = true
	return nil
}

func (r *Runner) begun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running
}

func (r *Runner) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing = true
	r.changed.Signal()
}

// next waits for an event; it returns false when there will be none.
func (r *Runner) next() (job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		for len(r.pending) == 0 && !r.closing {
			r.changed.Wait()
		}
		if len(r.pending) == 0 {
			return job{}, false
		}
		j := job{event: r.pending[0], commands: r.commands, skipped: r.skipped}
		r.pending = slices.Delete(r.pending, 0, 1)
		// There may be none any more, after SetCommands; the count of skipped
		// events is then left to the next result.
		if j.argvs = j.commands.argvs(j.event); len(j.argvs) > 0 {
			r.skipped = 0
			return j, true
		}
	}
}

func (r *Runner) execute(j job) {
	if !r.takeSlot() {
		r.report(Result{Event: j.event, Command: j.argvs[0], Exit: -1, Err: ErrAbandoned, Skipped: j.skipped})
		return
	}
	defer r.freeSlot()
	env := environment(j.event, j.commands)
	for i, argv := range j.argvs {
		result := Result{Event: j.event, Command: argv}
		if i == 0 {
			result.Skipped = j.skipped
		}
		ctx, cancel := context.WithTimeout(r.life, j.commands.timeout())
		began := time.Now()
		ended := command.Command{Argv: argv, Env: env, User: j.commands.User}.Run(ctx)
		result.Exit, result.Output, result.Err = ended.Exit, ended.Output, ended.Err
		result.Duration = time.Since(began)
		cancel()
		r.report(result)
	}
}

// takeSlot waits for a slot; it returns false if the runner was told to abandon
// everything meanwhile.
func (r *Runner) takeSlot() bool {
	if r.Slots == nil {
		return true
	}
	select {
	case r.Slots <- struct{}{}:
		return true
	case <-r.life.Done():
		return false
	}
}

func (r *Runner) freeSlot() {
	if r.Slots != nil {
		<-r.Slots
	}
}
