package lab

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// thread is one thread of this process that has entered namespaces of its own
// and calls functions there, one at a time. Processes started by such a
// function begin inside, and die with the thread.
type thread struct {
	// namespace is the name in /run/netns, for people and for sweep.
	namespace string
	calls     chan func()
	gone      chan struct{}
}

// startThread starts a thread in new namespaces.
func startThread(namespace, hostname string) (*thread, error) {
	th := &thread{namespace: namespace, calls: make(chan func()), gone: make(chan struct{})}
	ready := make(chan error)
	go th.run(hostname, ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return th, nil
}

// run is the thread's life. The goroutine ends without unlocking, so that the
// runtime destroys a thread which no other goroutine could use.
func (th *thread) run(hostname string, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The first thread is what others take for the whole process.
		go th.run(hostname, ready)
		<-th.gone
		runtime.UnlockOSThread()
		return
	}
	defer close(th.gone)
	if err := enter(th.namespace, hostname); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for f := range th.calls {
		f()
	}
}

// do calls f on the thread and returns what f returned.
func (th *thread) do(f func() error) error {
	result := make(chan error, 1)
	th.calls <- func() { result <- f() }
	return <-result
}

// open returns a file descriptor of the network namespace.
func (th *thread) open() (netns.NsHandle, error) {
	ns, err := netns.GetFromName(th.namespace)
	if err != nil {
		return ns, fmt.Errorf("namespace %s: %w", th.namespace, err)
	}
	return ns, nil
}

// stop ends the processes inside, the thread and the namespaces.
func (th *thread) stop() error {
	err := killInside(th.namespace)
	close(th.calls)
	<-th.gone
	return errors.Join(err, netns.DeleteNamed(th.namespace))
}

// enter gives the calling thread a named network namespace, a host name, and
// mounts in which /run is empty and /sys shows the network namespace.
func enter(namespace, hostname string) error {
	if _, err := netns.NewNamed(namespace); err != nil {
		return fmt.Errorf("namespace %s: %w", namespace, err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWUTS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("/: make private: %w", err)
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("/run: mount: %w", err)
	}
	if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
		return fmt.Errorf("/sys: mount: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}
