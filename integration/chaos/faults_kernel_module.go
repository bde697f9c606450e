package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ipvsModule is the kernel's.
const ipvsModule = "ip_vs"

// moduleFaults take the kernel's IPVS itself away. All nodes have one kernel, so all
// lose it; and it goes only where nobody has a service.
func moduleFaults() []Fault {
	if !disposable() {
		return nil
	}
	return []Fault{{
		Name: "ipvs-unloaded", What: "ip_vs unloaded under all nodes", Number: "F24", Alone: true,
		// A daemon that looks once a second is seldom caught without a service.
		Edit:   func(c *Config) { c.Global = "resync = \"10s\"" },
		Inject: func(s *Site) (func() error, error) { return nil, s.unloadIPVS() },
		Check: func(_ *Site, r *Result) error {
			r.Remarks = append(r.Remarks, "lvsd looked every 10 s, so that it could be unloaded at all")
			return nil
		},
		Want: Promise{KeepsMaster: true},
	}}
}

// unloadIPVS empties the tables and unloads the module before a daemon fills them.
func (s *Site) unloadIPVS() error {
	const tries = 50
	var err error
	for range tries {
		for _, n := range s.Nodes {
			// A daemon of connection sync may not run.
			_, _ = n.Try("ipvsadm", "--stop-daemon", "master")
			_, _ = n.Try("ipvsadm", "--stop-daemon", "backup")
			if err := n.try("ipvsadm -C"); err != nil {
				return err
			}
		}
		if err = unloadWithHolders(ipvsModule); err == nil {
			return nil
		}
		s.Pause(100 * time.Millisecond)
	}
	return err
}

// unloadWithHolders unloads a module after those that use it.
func unloadWithHolders(name string) error {
	holders, err := os.ReadDir("/sys/module/" + name + "/holders")
	if err != nil {
		return fmt.Errorf("module %s: %w", name, err)
	}
	for _, holder := range holders {
		if err := unloadWithHolders(holder.Name()); err != nil {
			return err
		}
	}
	if err := unix.DeleteModule(name, unix.O_NONBLOCK); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unload %s: %w", name, err)
	}
	return nil
}
