// Package probe asks one server once whether it works, in the way of each kind
// of check, and says how far it came. It owns the dialogues, their bounds and
// the sockets they need. It must not know schedules, verdicts, or what is done
// with a result.
//
// A [Kind] is one file: the options of the kind and its dialogue.
package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Kind is a kind of check with its options: a comparable value, which is part
// of the identity of a check. The zero options of a kind need not be valid.
type Kind interface {
	// Type is what the configuration calls the kind: "smtp".
	Type() string
	// Validate returns every reason why the options cannot be used, joined, or
	// nil.
	Validate() error
	// ask carries out the dialogue with the server at to; the error is a
	// *failure. All it waits for ends with ctx, and it reads a bounded number
	// of bytes. No goroutine or connection outlives it, but for the reader of a
	// [File] whose file system does not answer.
	ask(ctx context.Context, d dialer, to netip.AddrPort) (answer, error)
}

// answer is what a dialogue found, whether or not it ended in an error.
type answer struct {
	// seen becomes the Reason of a success.
	seen    string
	code    Code // of a success; L7OK unless set
	weight  Weight
	warning string
}

// Request is one question to one server.
type Request struct {
	Kind   Kind
	Target netip.AddrPort
	Route  Route
	// Timeout bounds the whole probe, whatever the server sends, > 0.
	Timeout time.Duration
}

// Validate returns every reason why r cannot be asked, joined, or nil.
func (r Request) Validate() error {
	var errs []error
	if r.Kind == nil {
		return errors.New("no kind of check")
	}
	if _, portless := r.Kind.(Portless); !r.Target.Addr().IsValid() || r.Target.Port() == 0 && !portless {
		errs = append(errs, errors.New("target must be an address and a port"))
	}
	if r.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("timeout must be positive, got %v", r.Timeout))
	}
	if k, ok := r.Kind.(targeted); ok {
		errs = append(errs, k.validateTarget(r.Target))
	}
	return errors.Join(append(errs, r.Route.validate(r.Target.Addr()), r.Kind.Validate())...)
}

// targeted is a Kind whose options do not go with every target.
type targeted interface{ validateTarget(netip.AddrPort) error }

// Portless is a Kind that asks no port: that of its target may be 0.
type Portless interface{ portless() }

// Ask asks once, without retries. Whatever the server does, it is over when
// r.Timeout has passed; when ctx ends, it is over at once and the result is not
// conclusive.
func (r Request) Ask(ctx context.Context) Result { return dialer{}.ask(ctx, r) }

func (d dialer) ask(ctx context.Context, r Request) Result {
	d.route, d.said = r.Route, &transcript{}
	result := Result{At: time.Now(), Tries: 1}
	found, err := d.bounded(ctx, r)
	result.Code, result.Reason = outcome(ctx, found, err)
	result.OK, result.Reason = result.Code.OK(), sanitise(d.said.hide(result.Reason))
	result.Duration = time.Since(result.At)
	result.Weight, result.Warning = found.weight, sanitise(d.said.hide(found.warning))
	result.Transcript = d.said.String()
	return result
}

func (d dialer) bounded(ctx context.Context, r Request) (answer, error) {
	if r.Kind == nil {
		return answer{}, &failure{SOCKERR, "no kind of check"}
	}
	bounded, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	if !r.Route.Toward.IsValid() {
		return r.Kind.ask(bounded, d, r.Target)
	}
	r, err := r.towards()
	if err != nil {
		return answer{}, err
	}
	d.route = r.Route
	found, err := r.Kind.ask(bounded, d, r.Target)
	return found, r.notHeard(err)
}

// outcome is what a dialogue came to.
func outcome(ctx context.Context, found answer, err error) (Code, string) {
	var f *failure
	switch {
	case err == nil && found.code != "":
		return found.code, found.seen
	case err == nil:
		return L7OK, found.seen
	case ctx.Err() != nil:
		return SOCKERR, "abandoned: " + ctx.Err().Error()
	case errors.As(err, &f):
		return f.code, f.reason
	}
	return L7RSP, err.Error()
}
