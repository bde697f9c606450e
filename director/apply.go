package director

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
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
	// Do carries out operations that belong to one batch, in their order, and
	// returns the error of each: all AddVIP, all DeleteVIP, all AddMute or all
	// DeleteMute of one family, all changes of the IPVS table, or a single one of
	// any other kind. One that fails does not
	// stop the others. Making what is there, or removing what is not, is no
	// error.
	Do(ctx context.Context, ops []Op) []error
}

// Apply carries out the operations in order and returns those that succeeded.
// One that fails does not stop the others, except those that would do harm
// without it; the errors are joined.
func Apply(ctx context.Context, kernel Kernel, ops []Op) (done []Op, err error) {
	var failed failures
	var errs []error
	for len(ops) > 0 {
		batch := ops[:batchLength(ops)]
		ops = ops[len(batch):]
		if batch = failed.allowed(batch); len(batch) == 0 {
			continue
		}
		for i, err := range kernel.Do(ctx, batch) {
			switch op := batch[i]; {
			case err == nil:
				done = append(done, op)
			case failed.forbid(op):
				// It failed because an earlier one of the batch did.
			default:
				failed.record(op, err)
				errs = append(errs, &opError{op, err})
			}
		}
	}
	return done, errors.Join(errs...)
}

// batchLength is how many of the next operations the kernel may take at once.
func batchLength(ops []Op) int {
	n := 1
	for kind := batchOf(ops[0]); kind != batchNone && n < len(ops) && batchOf(ops[n]) == kind; {
		n++
	}
	return n
}

// opBatch is a kind of operations that the kernel may be given many of at once.
type opBatch uint8

const (
	batchNone opBatch = iota // one by one
	batchAddVIPs
	batchDeleteVIPs
	batchTable
	batchAddMutes
	batchAddMutes6
	batchDeleteMutes
	batchDeleteMutes6
)

// batchOf is the batch that an operation may be part of.
func batchOf(op Op) opBatch {
	switch op := op.(type) {
	case AddVIP:
		return batchAddVIPs
	case DeleteVIP:
		return batchDeleteVIPs
	case AddService, EditService, DeleteService, AddRealServer, EditRealServer, DeleteRealServer:
		return batchTable
	case AddMute:
		if op.Rule.VIP.Is6() {
			return batchAddMutes6
		}
		return batchAddMutes
	case DeleteMute:
		if op.Rule.VIP.Is6() {
			return batchDeleteMutes6
		}
		return batchDeleteMutes
	}
	return batchNone
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
	// locked tells that somebody else keeps the xtables lock.
	locked bool
	// loud tells that this node answers for VIPs on lo: a parameter that keeps
	// it quiet could not be set. left tells that such a VIP could not be deleted.
	loud, left bool
}

func (f *failures) record(op Op, err error) {
	if f.services == nil {
		f.services, f.vips = Set[ipvs.ServiceKey]{}, Set[netip.Addr]{}
	}
	switch op := op.(type) {
	case AddService:
		f.services.Add(op.Service.ServiceKey)
	case AddVIP:
		f.recordVIP(op.VIP)
	case EditVIP:
		f.recordVIP(op.VIP)
	case DeleteVIP:
		f.left = f.left || op.VIP.Interface == loopback
	case SetSysctl:
		f.loud = f.loud || keepsQuiet(op.Name)
	}
	f.locked = f.locked || errors.Is(err, iptables.ErrLocked)
}

// recordVIP notes a VIP that could not be put on its interface. One that stays
// away from lo only keeps this node from serving as a real server.
func (f *failures) recordVIP(v netif.VIP) {
	if v.Interface != loopback {
		f.vips.Add(v.Addr)
	}
}

// keepsQuiet reports whether the parameter keeps this node from telling neighbours
// of VIPs on lo.
func keepsQuiet(name string) bool {
	return name == "net.ipv4.conf.all.arp_ignore" || name == "net.ipv4.conf.all.arp_announce"
}

// allowed are the operations of a batch that may be tried.
func (f *failures) allowed(batch []Op) []Op {
	if !slices.ContainsFunc(batch, f.forbid) {
		return batch
	}
	return slices.DeleteFunc(slices.Clone(batch), f.forbid)
}

// forbid reports whether op must not be tried after what failed: a real server
// of a service that is not there; deleting the rule of a VIP that is not there,
// which would leave the address unserved; a route whose source it is; a VIP on lo
// that neighbours would hear of; and waiting for the xtables lock again, which
// would hold up everything behind it.
func (f *failures) forbid(op Op) bool {
	switch op := op.(type) {
	case AddRealServer:
		return f.services.Has(op.Key)
	case AddRoute:
		return f.vips.Has(op.Route.Source)
	case AddVIP:
		return f.loud && op.VIP.Interface == loopback && op.VIP.Addr.Is4()
	case SetSysctl:
		return f.left && keepsQuiet(op.Name)
	case AddRedirect, AddMark, DeleteMark, AddSNAT, DeleteSNAT, AddMute, DeleteMute,
		DeleteStray, HoldConntrack, ReleaseConntrack:
		return f.locked
	case DeleteRedirect:
		return f.locked || f.vips.Has(op.Rule.VIP)
	}
	return false
}
