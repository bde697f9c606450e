package ipvs

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
)

func TestOpError(t *testing.T) {
	service := ServiceKey{Family: IPv4, Protocol: TCP, Address: netip.MustParseAddrPort("192.0.2.1:25")}
	change := func(c Command) Change {
		return Change{
			Command: c, Service: Service{ServiceKey: service, Scheduler: "wlc"},
			Destination: Destination{Address: netip.MustParseAddrPort("192.0.2.11:25"), Forwarding: DirectRoute, Weight: 1},
		}
	}
	mixed := change(AddDestination)
	mixed.Destination.Address = netip.MustParseAddrPort("[2001:db8::b]:25")
	sip := change(AddService)
	sip.Service.Engine = "sip"
	daemon := func(err error) error {
		return operation{name: opStartDaemon, object: "master on eth9 id 0"}.failedBecause(err,
			Daemon{State: DaemonMaster, Interface: "eth9"}.reason)
	}
	for _, c := range []struct {
		failed func(error) error
		errno  syscall.Errno
		kind   error
		want   string
	}{
		{change(AddService).failed, syscall.ENOENT, ErrNoScheduler, "ipvs: tcp 192.0.2.1:25 wlc: add service: " +
			"scheduler or persistence engine not in the kernel; load it: modprobe ip_vs_wlc (no such file or directory)"},
		{change(AddService).failed, syscall.EEXIST, ErrExists, "ipvs: tcp 192.0.2.1:25 wlc: add service: service already exists (file exists)"},
		{change(AddService).failed, syscall.EINVAL, ErrInvalid, ""},
		{change(AddService).failed, syscall.EAFNOSUPPORT, ErrInvalid, ""},
		{change(UpdateService).failed, syscall.ESRCH, ErrNotExist, ""},
		{change(DeleteService).failed, syscall.ESRCH, ErrNotExist, ""},
		{operation{name: opZero}.failed, syscall.ESRCH, ErrNotExist, ""},
		{change(AddDestination).failed, syscall.EEXIST, ErrExists, ""},
		{
			change(AddDestination).failed, syscall.ESRCH, ErrNotExist,
			"ipvs: tcp 192.0.2.1:25 -> 192.0.2.11:25 Route weight 1: add destination: service does not exist (no such process)",
		},
		{
			change(UpdateDestination).failed, syscall.ENOENT, ErrNotExist,
			"ipvs: tcp 192.0.2.1:25 -> 192.0.2.11:25 Route weight 1: update destination: destination does not exist (no such file or directory)",
		},
		{change(DeleteDestination).failed, syscall.ENOENT, ErrNotExist, ""},
		{change(AddDestination).failed, syscall.ERANGE, ErrInvalid, ""},
		{change(AddDestination).failed, syscall.EINVAL, ErrInvalid, ""},
		{change(AddDestination).failed, syscall.EAFNOSUPPORT, ErrInvalid, ""},
		{operation{name: opSetTimeouts}.failed, syscall.EINVAL, ErrInvalid, ""},
		{operation{name: opListServices}.failed, syscall.EPERM, ErrPermission, "ipvs: list services: " +
			"not permitted; needs CAP_NET_ADMIN in the initial user namespace (operation not permitted)"},
		{mixed.failed, syscall.EINVAL, ErrInvalid, "ipvs: tcp 192.0.2.1:25 -> [2001:db8::b]:25 Route weight 1: add destination: " +
			"invalid: address is not unicast, or a synchronisation daemon runs, " +
			"which excludes destinations of another family than their service (invalid argument)"},
		{sip.failed, syscall.ENOENT, ErrNoScheduler, "ipvs: tcp 192.0.2.1:25 wlc pe sip: add service: " +
			"scheduler or persistence engine not in the kernel; " +
			"load it: modprobe -a ip_vs_wlc ip_vs_pe_sip (no such file or directory)"},
		{daemon, syscall.EEXIST, ErrExists, "ipvs: master on eth9 id 0: start synchronisation daemon: " +
			"a master daemon already exists (file exists)"},
		{daemon, syscall.ESRCH, ErrNotExist, ""},
		{daemon, syscall.ENODEV, ErrInvalid, "ipvs: master on eth9 id 0: start synchronisation daemon: " +
			`invalid: no interface "eth9" in this network namespace (no such device)`},
		{daemon, syscall.EINVAL, ErrInvalid, ""},
		{operation{name: opFlush}.failed, syscall.ENOMEM, syscall.ENOMEM, "ipvs: flush: cannot allocate memory"},
	} {
		err := c.failed(fmt.Errorf("%w", c.errno))
		if !errors.Is(err, c.kind) || !errors.Is(err, c.errno) {
			t.Errorf("%v: %v is not %v", c.errno, err, c.kind)
		}
		if c.want != "" && err.Error() != c.want {
			t.Errorf("got  %q\nwant %q", err, c.want)
		}
		if _, ok := errors.AsType[*OpError](err); !ok {
			t.Errorf("%v is no OpError", err)
		}
	}
	if err := change(AddService).failed(nil); err != nil {
		t.Errorf("success became %v", err)
	}
}
