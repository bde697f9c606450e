package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// kvmHelloWithin is how long a guest on KVM may take to start. /dev/kvm may
// exist and yet hang the guest (nested machines that forbid it), so trying is
// the only test; a guest that is only slow costs one boot on tcg.
const kvmHelloWithin = 30 * time.Second

// kvmMemory remembers, until the host is booted again, that KVM did not start
// a guest. Nothing is remembered of a KVM that works.
type kvmMemory struct{ path string }

func newKVMMemory(cache string) kvmMemory {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return kvmMemory{}
	}
	return kvmMemory{filepath.Join(cache, "kvm-hangs-"+strings.TrimSpace(string(id)))}
}

// worthTrying tells whether KVM is there and has not failed before.
func (m kvmMemory) worthTrying() bool {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	f.Close()
	_, err = os.Stat(m.path)
	return os.IsNotExist(err)
}

func (m kvmMemory) failed() error { return os.WriteFile(m.path, nil, 0o644) }
