package ipvs

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
)

func TestOpError(t *testing.T) {
	const key = "tcp 192.0.2.1:25"
	wlc := operation{name: opAddService, object: key + " wlc", modules: "ip_vs_wlc"}
	destination := func(name string) operation {
		return operation{name: name, object: key + " -> 192.0.2.11:25"}
	}
	for _, c := range []struct {
		operation operation
		errno     syscall.Errno
		kind      error
		want      string
	}{
		{wlc, syscall.ENOENT, ErrNoScheduler, "ipvs: tcp 192.0.2.1:25 wlc: add service: " +
			"scheduler or persistence engine not in the kernel; load it: modprobe ip_vs_wlc (no such file or directory)"},
		{wlc, syscall.EEXIST, ErrExists, "ipvs: tcp 192.0.2.1:25 wlc: add service: service already exists (file exists)"},
		{wlc, syscall.EINVAL, ErrInvalid, ""},
		{wlc, syscall.EAFNOSUPPORT, ErrInvalid, ""},
		{operation{name: opUpdateService}, syscall.ESRCH, ErrNotExist, ""},
		{operation{name: opDeleteService}, syscall.ESRCH, ErrNotExist, ""},
		{operation{name: opZero}, syscall.ESRCH, ErrNotExist, ""},
		{destination(opAddDestination), syscall.EEXIST, ErrExists, ""},
		{
			destination(opAddDestination), syscall.ESRCH, ErrNotExist,
			"ipvs: tcp 192.0.2.1:25 -> 192.0.2.11:25: add destination: service does not exist (no such process)",
		},
		{
			destination(opUpdateDestination), syscall.ENOENT, ErrNotExist,
			"ipvs: tcp 192.0.2.1:25 -> 192.0.2.11:25: update destination: destination does not exist (no such file or directory)",
		},
		{destination(opDeleteDestination), syscall.ENOENT, ErrNotExist, ""},
		{destination(opAddDestination), syscall.ERANGE, ErrInvalid, ""},
		{destination(opAddDestination), syscall.EINVAL, ErrInvalid, ""},
		{destination(opAddDestination), syscall.EAFNOSUPPORT, ErrInvalid, ""},
		{operation{name: opSetTimeouts}, syscall.EINVAL, ErrInvalid, ""},
		{operation{name: opListServices}, syscall.EPERM, ErrPermission, "ipvs: list services: " +
			"not permitted; needs CAP_NET_ADMIN in the initial user namespace (operation not permitted)"},
		{operation{name: opListServices}, syscall.EAGAIN, ErrTimeout, ""},
		{operation{name: opFlush}, syscall.ENOMEM, syscall.ENOMEM, "ipvs: flush: cannot allocate memory"},
	} {
		err := c.operation.failed(fmt.Errorf("%w", c.errno))
		if !errors.Is(err, c.kind) || !errors.Is(err, c.errno) {
			t.Errorf("%s, %v: %v is not %v", c.operation.name, c.errno, err, c.kind)
		}
		if c.want != "" && err.Error() != c.want {
			t.Errorf("got  %q\nwant %q", err, c.want)
		}
		if op, ok := errors.AsType[*OpError](err); !ok || op.Op != c.operation.name {
			t.Errorf("%v is no OpError of %s", err, c.operation.name)
		}
	}
	if err := wlc.failed(nil); err != nil {
		t.Errorf("success became %v", err)
	}
}
