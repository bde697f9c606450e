package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lvsd/lvsd/integration/vm/protocol"
	"golang.org/x/sys/unix"
)

// newRoot is where the overlay is put together before it becomes the root.
const newRoot = "/newroot"

// filesystem is one mount to make.
type filesystem struct {
	source, target, kind, data string
	flags                      uintptr
}

// early is what the initramfs needs to find its devices.
var early = []filesystem{
	{"proc", "/proc", "proc", "", 0},
	{"sysfs", "/sys", "sysfs", "", 0},
	{"devtmpfs", "/dev", "devtmpfs", "", 0},
}

// enterRoot makes the host's root, under a tmpfs that takes all writes, the
// root of this process and of the kernel's helpers.
func enterRoot(req protocol.Request) error {
	// The host's files do not change under the guest in any way that matters,
	// so the guest may cache them: every miss is a round trip to the host.
	const p9 = "trans=virtio,version=9p2000.L,msize=524288,cache=loose"
	lower := []filesystem{
		{"root", "/lower", "9p", p9, unix.MS_RDONLY},
		{"tmpfs", "/upper", "tmpfs", "mode=0755", 0},
	}
	if err := mountAll(lower); err != nil {
		return err
	}
	for _, dir := range []string{"/upper/data", "/upper/work", newRoot} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := mountAll(upper(req)); err != nil {
		return err
	}
	return switchRoot()
}

// upper lists the mounts of the new root, in order.
func upper(req protocol.Request) []filesystem {
	in := func(path string) string { return filepath.Join(newRoot, path) }
	list := []filesystem{
		{"overlay", newRoot, "overlay", "lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work", 0},
		{"proc", in("/proc"), "proc", "", 0},
		{"sysfs", in("/sys"), "sysfs", "", 0},
		{"devtmpfs", in("/dev"), "devtmpfs", "", 0},
		{"devpts", in("/dev/pts"), "devpts", "mode=0620,ptmxmode=0666", 0},
		{"tmpfs", in("/dev/shm"), "tmpfs", "mode=1777", 0},
		{"tmpfs", in("/run"), "tmpfs", "mode=0755", 0},
		{"cgroup2", in("/sys/fs/cgroup"), "cgroup2", "", 0},
		{"/lower" + req.ModuleTree, in("/lib/modules/" + req.Release), "", "", unix.MS_BIND},
	}
	if req.Share != "" {
		list = append(list, filesystem{"share", in(req.Share), "9p", "trans=virtio,version=9p2000.L,msize=524288", 0})
	}
	return list
}

// switchRoot moves the new root over the initramfs. Process 1 shares its root
// with the kernel's threads, so the kernel's own modprobe is found there too.
func switchRoot() error {
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("%s: move to /: %w", newRoot, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("%s: chroot: %w", newRoot, err)
	}
	return os.Chdir("/")
}

func mountAll(list []filesystem) error {
	for _, fs := range list {
		if err := os.MkdirAll(fs.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fs.source, fs.target, fs.kind, fs.flags, fs.data); err != nil {
			return fmt.Errorf("%s: mount %s: %w", fs.target, strings.TrimSpace(fs.kind+" "+fs.source), err)
		}
	}
	return nil
}
