package ipvs

import (
	"errors"
	"fmt"
	"syscall"
)

// What a caller can do about an error is told by these, to be asked with
// errors.Is. The errno is in the chain as well.
var (
	// ErrUnavailable says that the kernel has no IPVS. Nothing was changed.
	ErrUnavailable = errors.New("the kernel has no IPVS; load it: modprobe ip_vs")
	// ErrReloaded says that ip_vs was unloaded and loaded again. The services
	// are gone, and moby/ipvs keeps the old number of the netlink family for
	// the life of the process: only a restart helps.
	ErrReloaded = errors.New("module ip_vs was reloaded; restart this process")
	// ErrTimeout says that the kernel gave no answer within the deadline. What
	// was asked for may have been done or not.
	ErrTimeout = errors.New("no answer from the kernel in time")
	// ErrPermission says that the process lacks a capability.
	ErrPermission = errors.New("not permitted; needs CAP_NET_ADMIN in the initial user namespace")
	// ErrExists says that the service or destination to be added is there.
	ErrExists = errors.New("already exists")
	// ErrNotExist says that the service or destination is not there.
	ErrNotExist = errors.New("does not exist")
	// ErrNoScheduler says that the scheduler or the persistence engine is not
	// in the kernel and could not be loaded.
	ErrNoScheduler = errors.New("scheduler or persistence engine not in the kernel")
	// ErrInvalid says that a value is one the kernel does not take.
	ErrInvalid = errors.New("invalid")
)

// The operations, as OpError.Op names them.
const (
	opOpen              = "open"
	opInfo              = "read info"
	opListServices      = "list services"
	opListDestinations  = "list destinations"
	opAddService        = "add service"
	opUpdateService     = "update service"
	opDeleteService     = "delete service"
	opAddDestination    = "add destination"
	opUpdateDestination = "update destination"
	opDeleteDestination = "delete destination"
	opZero              = "zero counters"
	opTimeouts          = "read timeouts"
	opSetTimeouts       = "set timeouts"
	opFlush             = "flush"
)

// OpError is what every method of Client returns on failure.
type OpError struct {
	// Op is what was being done: "add destination".
	Op string
	// Object is what it was done to: "tcp 192.0.2.1:25 -> 192.0.2.11:25
	// Route weight 1". It is empty for an operation on all of IPVS.
	Object string
	// Err is the reason, and wraps one of this package's errors or an errno.
	Err error
}

// Error is "object: operation: reason".
func (e *OpError) Error() string {
	if e.Object == "" {
		return fmt.Sprintf("ipvs: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("ipvs: %s: %s: %v", e.Object, e.Op, e.Err)
}

// Unwrap is the reason.
func (e *OpError) Unwrap() error { return e.Err }

// operation is one request as its errors describe it.
type operation struct {
	name   string
	object string
	// modules are the kernel modules that it may need, as modprobe takes them:
	// "ip_vs_wlc", "-a ip_vs_rr ip_vs_pe_sip".
	modules string
}

// failed wraps the error of an operation; a nil error stays nil. The kernel
// uses one errno for different things, so the reason depends on the operation.
func (o operation) failed(err error) error {
	if err == nil {
		return nil
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if reason := o.reason(errno); reason != nil {
			err = fmt.Errorf("%w (%w)", reason, err)
		}
	}
	return &OpError{Op: o.name, Object: o.object, Err: err}
}

// reason is what an errno means, or nil where the errno says it all.
func (o operation) reason(errno syscall.Errno) error {
	switch errno {
	case syscall.EPERM, syscall.EACCES:
		return ErrPermission
	case syscall.EAGAIN:
		return ErrTimeout
	}
	switch o.name {
	case opAddService, opUpdateService, opDeleteService:
		return o.serviceReason(errno)
	case opAddDestination, opUpdateDestination, opDeleteDestination:
		return destinationReason(errno)
	case opSetTimeouts:
		if errno == syscall.EINVAL {
			return fmt.Errorf("%w: a timeout is negative or too long", ErrInvalid)
		}
	case opZero:
		if errno == syscall.ESRCH {
			return fmt.Errorf("service %w", ErrNotExist)
		}
	}
	return nil
}

func (o operation) serviceReason(errno syscall.Errno) error {
	switch errno {
	case syscall.EEXIST:
		return fmt.Errorf("service %w", ErrExists)
	case syscall.ESRCH:
		return fmt.Errorf("service %w", ErrNotExist)
	case syscall.ENOENT:
		return fmt.Errorf("%w; load it: modprobe %s", ErrNoScheduler, o.modules)
	case syscall.EINVAL:
		return fmt.Errorf("%w: the kernel refuses a value", ErrInvalid)
	case syscall.EAFNOSUPPORT:
		return fmt.Errorf("%w: address family not in the kernel", ErrInvalid)
	}
	return nil
}

func destinationReason(errno syscall.Errno) error {
	switch errno {
	case syscall.EEXIST:
		return fmt.Errorf("destination %w", ErrExists)
	case syscall.ESRCH:
		return fmt.Errorf("service %w", ErrNotExist)
	case syscall.ENOENT:
		return fmt.Errorf("destination %w", ErrNotExist)
	case syscall.ERANGE:
		return fmt.Errorf("%w: lower threshold above the upper, or weight below 0", ErrInvalid)
	case syscall.EINVAL:
		return fmt.Errorf("%w: address is not unicast, or of another family than the service", ErrInvalid)
	case syscall.EAFNOSUPPORT:
		return fmt.Errorf("%w: address family not in the kernel", ErrInvalid)
	}
	return nil
}
