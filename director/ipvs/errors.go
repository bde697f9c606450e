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
	// ErrUncertain says that a change may have been made or not: the kernel's
	// word on it is lost. Only reading the table again tells.
	ErrUncertain = errors.New("may have been made or not")
	// ErrTimeout says that the kernel gave no answer within the deadline. What
	// was asked for may have been done or not.
	ErrTimeout = errors.New("no answer from the kernel in time")
	// ErrPermission says that the process lacks a capability.
	ErrPermission = errors.New("not permitted; needs CAP_NET_ADMIN in the initial user namespace")
	// ErrExists says that the service or destination to be added, or the
	// daemon to be started, is there.
	ErrExists = errors.New("already exists")
	// ErrNotExist says that the service, destination or daemon is not there.
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
	opListDaemons       = "list synchronisation daemons"
	opStartDaemon       = "start synchronisation daemon"
	opStopDaemon        = "stop synchronisation daemon"
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

// uncertain is the error of a change on which the kernel's word is lost.
func uncertain(err error) error { return fmt.Errorf("%w: %w", ErrUncertain, err) }

// operation is one request as its errors describe it.
type operation struct {
	name   string
	object string
}

// failed wraps the error of an operation; a nil error stays nil.
func (o operation) failed(err error) error {
	return o.failedBecause(err, o.reason)
}

// failedBecause wraps the error of an operation. The kernel uses one errno for
// different things, so the reason depends on the operation; it is nil where the
// errno says it all.
func (o operation) failedBecause(err error, reason func(syscall.Errno) error) error {
	if err == nil {
		return nil
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		why := reason(errno)
		if errno == syscall.EPERM || errno == syscall.EACCES {
			why = ErrPermission
		}
		if why != nil {
			err = fmt.Errorf("%w (%w)", why, err)
		}
	}
	return &OpError{Op: o.name, Object: o.object, Err: err}
}

func (o operation) reason(errno syscall.Errno) error {
	switch {
	case o.name == opSetTimeouts && errno == syscall.EINVAL:
		return fmt.Errorf("%w: a timeout is negative or too long", ErrInvalid)
	case o.name == opZero && errno == syscall.ESRCH:
		return fmt.Errorf("service %w", ErrNotExist)
	}
	return nil
}

// failed wraps the error of a change; a nil error stays nil.
func (c Change) failed(err error) error {
	if err == nil {
		return nil
	}
	o := operation{name: c.Command.String()}
	key := c.Service.ServiceKey
	switch c.Command {
	case AddService, UpdateService:
		o.object = c.Service.String()
	case AddDestination, UpdateDestination:
		o.object = key.String() + " -> " + c.Destination.String()
	case DeleteDestination:
		o.object = key.String() + " -> " + c.Destination.Address.String()
	default:
		o.object = key.String()
	}
	return o.failedBecause(err, c.reason)
}

func (c Change) reason(errno syscall.Errno) error {
	switch c.Command {
	case AddService, UpdateService, DeleteService:
		return c.Service.reason(errno)
	default:
		return c.destinationReason(errno)
	}
}

func (s Service) reason(errno syscall.Errno) error {
	switch errno {
	case syscall.EEXIST:
		return fmt.Errorf("service %w", ErrExists)
	case syscall.ESRCH:
		return fmt.Errorf("service %w", ErrNotExist)
	case syscall.ENOENT:
		return fmt.Errorf("%w; load it: modprobe %s", ErrNoScheduler, s.modules())
	case syscall.EINVAL:
		return fmt.Errorf("%w: the kernel refuses a value", ErrInvalid)
	case syscall.EAFNOSUPPORT:
		return fmt.Errorf("%w: address family not in the kernel", ErrInvalid)
	}
	return nil
}

// modules are the kernel modules of a service as modprobe takes them:
// "ip_vs_wlc", "-a ip_vs_rr ip_vs_pe_sip".
func (s Service) modules() string {
	if s.Engine == "" {
		return schedulerModule(s.Scheduler)
	}
	return "-a " + schedulerModule(s.Scheduler) + " " + engineModule(s.Engine)
}

func schedulerModule(name string) string { return "ip_vs_" + name }
func engineModule(name string) string    { return "ip_vs_pe_" + name }

func (c Change) destinationReason(errno syscall.Errno) error {
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
		if c.mixed() {
			return fmt.Errorf("%w: address is not unicast, or a synchronisation daemon runs, "+
				"which excludes destinations of another family than their service", ErrInvalid)
		}
		// The kernel takes every address for broadcast until lo is up.
		return fmt.Errorf("%w: address is not unicast, or no interface is up yet", ErrInvalid)
	case syscall.EAFNOSUPPORT:
		return fmt.Errorf("%w: address family not in the kernel", ErrInvalid)
	}
	return nil
}

// mixed tells whether the destination is of another family than its service.
func (c Change) mixed() bool {
	return familyOf(c.Destination.Address.Addr()) != c.Service.Family
}
