package vrrp

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// alarm calls a function at a time to come. Go's own timers are served to the
// millisecond above, because epoll counts in milliseconds: with adverts every
// 10ms that is a tenth of the interval. The kernel's timers (timerfd_create(2))
// are exact.
type alarm struct {
	file *os.File
	raw  syscall.RawConn
	done chan struct{}
}

// newAlarm makes an alarm that is not set. The function ring is called in the
// alarm's goroutine, and once more than it was set for at most.
func newAlarm(ring func()) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	a := &alarm{file: os.NewFile(uintptr(fd), "vrrp timer"), done: make(chan struct{})}
	if a.raw, err = a.file.SyscallConn(); err != nil {
		a.file.Close()
		return nil, fmt.Errorf("timer: %w", err)
	}
	go func() {
		defer close(a.done)
		for expirations := make([]byte, 8); ; {
			if _, err := a.file.Read(expirations); err != nil {
				return // closed
			}
			ring()
		}
	}()
	return a, nil
}

// set makes the alarm ring in d from now and not at the time it was set to
// before.
func (a *alarm) set(d time.Duration) error {
	var errno error
	err := a.raw.Control(func(fd uintptr) {
		errno = unix.TimerfdSettime(int(fd), 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}, nil)
	})
	if err == nil {
		err = os.NewSyscallError("timerfd_settime", errno)
	}
	return err
}

// close ends the alarm and waits for a ring that is under way.
func (a *alarm) close() {
	a.file.Close()
	<-a.done
}
