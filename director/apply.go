package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/iptables"
)

// Kernel is the boundary to the operating system.
type Kernel interface {
	// Prepare makes sure that the kernel can do what c needs. Its error says
	// what is missing and how to get it; then nothing was changed.
	Prepare(c *config.Config) error
	// Read returns what the kernel holds now, and the values of the named
	// kernel parameters.
	Read(ctx context.Context, sysctls []string) (Snapshot, error)
	// DoVIPs is Do for each of several operations that are all AddVIP or all
	// DeleteVIP, faster; the errors are in their order.
	DoVIPs(ctx context.Context, ops []Op) []error
	// Do carries out one operation. Making what is there, or removing what is
	// not, is no error.
	Do(ctx context.Context, op Op) error
}

// Apply carries out the operations in order and returns those that succeeded.
// One that fails does not stop the others, except those that would do harm
// without it; the errors are joined.
func Apply(ctx context.Context, kernel Kernel, ops []Op) (done []Op, err error) {
	var failed failures
	var errs []error
	take := func(op Op, err error) {
		if err != nil {
			failed.record(op, err)
			errs = append(errs, &opError{op, err})
			return
		}
		done = append(done, op)
	}
	for len(ops) > 0 {
		run := vipRun(ops)
		switch op := ops[0]; {
		case run > 1:
			for i, err := range kernel.DoVIPs(ctx, ops[:run]) {
				take(ops[i], err)
			}
		case !failed.forbid(op):
			take(op, kernel.Do(ctx, op))
		}
		ops = ops[run:]
	}
	return done, errors.Join(errs...)
}

// vipRun is how many operations the kernel may take at once: VIPs that come, or
// VIPs that go, one after the other.
func vipRun(ops []Op) int {
	n := 1
	for n < len(ops) && isVIP(ops[n]) && reflect.TypeOf(ops[n]) == reflect.TypeOf(ops[0]) {
		n++
	}
	return n
}

func isVIP(op Op) bool {
	switch op.(type) {
	case AddVIP, DeleteVIP:
		return true
	}
	return false
}

// opError is an operation that failed.
type opError struct {
	op  Op
	err error
}

func (e *opError) Error() string { return fmt.Sprintf("%s: %v", e.op, e.err) }

func (e *opError) Unwrap() error { return e.err }

// failures remembers what went wrong, to keep from making it worse.
type failures struct {
	services Set[ipvs.ServiceKey]
	vips     Set[netip.Addr]
	locked   bool
}

func (f *failures) record(op Op, err error) {
	if f.services == nil {
		f.services, f.vips = Set[ipvs.ServiceKey]{}, Set[netip.Addr]{}
	}
	switch op := op.(type) {
	case AddService:
		f.services.Add(op.Service.ServiceKey)
	case AddVIP:
		f.vips.Add(op.VIP.Addr)
	case EditVIP:
		f.vips.Add(op.VIP.Addr)
	}
	f.locked = f.locked || errors.Is(err, iptables.ErrLocked)
}

// forbid reports whether op must not be tried after what failed: a real server
// of a service that is not there; deleting the rule of a VIP that is not there,
// which would leave the address unserved; a route whose source it is; and waiting for the xtables lock
// again, which would hold up everything behind it.
func (f *failures) forbid(op Op) bool {
	switch op := op.(type) {
	case AddRealServer:
		return f.services.Has(op.Key)
	case AddRoute:
		return f.vips.Has(op.Route.Source)
	case AddRedirect, DeleteStray, HoldConntrack, ReleaseConntrack:
		return f.locked
	case DeleteRedirect:
		return f.locked || f.vips.Has(op.Rule.VIP)
	}
	return false
}
