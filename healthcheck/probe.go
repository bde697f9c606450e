package healthcheck

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// kind is how a kind of check is carried out. Adding a kind is a line in kinds
// and a file.
type kind struct {
	// dialogue asks the server and returns what it said, or a *failure. All it
	// waits for ends with ctx, and it reads a bounded number of bytes.
	dialogue func(ctx context.Context, d dialer, s Spec) (seen string, err error)
	// success is the code of a dialogue without error.
	success Code
}

var kinds = map[Kind]kind{
	TCP:   {dialogueTCP, L4OK},
	SMTP:  {dialogueSMTP, L7OK},
	HTTP:  {dialogueHTTP, L7OK},
	HTTPS: {dialogueHTTP, L7OK},
}

// Probe asks the target of s once, without retries. Whatever the server does,
// it is over when s.Timeout has passed; when ctx ends, it is over at once and
// the result is not conclusive. No goroutine or connection outlives it.
func Probe(ctx context.Context, s Spec) Result {
	return dialer{}.probe(ctx, s)
}

func (d dialer) probe(ctx context.Context, s Spec) Result {
	r := Result{At: time.Now(), Tries: 1}
	r.Code, r.Reason = d.ask(ctx, s)
	r.OK, r.Reason, r.Duration = r.Code.OK(), sanitise(r.Reason), time.Since(r.At)
	return r
}

func (d dialer) ask(ctx context.Context, s Spec) (Code, string) {
	k, ok := kinds[s.Kind]
	if !ok {
		return SOCKERR, fmt.Sprintf("unknown kind of check %q", s.Kind)
	}
	bounded, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	seen, err := k.dialogue(bounded, d, s)
	var f *failure
	switch {
	case err == nil:
		return k.success, seen
	case ctx.Err() != nil:
		return SOCKERR, "abandoned: " + ctx.Err().Error()
	case errors.As(err, &f):
		return f.code, f.reason
	}
	return L7RSP, err.Error()
}
