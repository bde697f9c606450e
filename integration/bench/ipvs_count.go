package main

import (
	"errors"
	"fmt"
	"time"
)

// What is counted, as the table names it.
const (
	countSyscalls = "system calls per object, empty kernel"
	countFull     = "changing calls: start on a kernel that has it all"
	countReload   = "changing calls: reload with one real server changed"
)

// countWatch is how long changing calls are awaited.
const countWatch = 5 * time.Second

// count counts what a contestant asks of the kernel.
func (r *round) count() error {
	if err := r.tracer.startSyscalls(); err != nil {
		return err
	}
	_, err := r.start(r.complete())
	if r.process == nil {
		return err
	}
	count, traceErr := r.tracer.stopSyscalls(r.process.pid())
	if err := errors.Join(err, traceErr); err != nil {
		return fmt.Errorf("count system calls: %w", err)
	}
	r.record.add(r, countSyscalls, float64(count)/float64(r.site.objects()))
	if !r.contestant.daemon {
		return nil
	}
	r.pause(restBefore)
	if err := r.countChanges(countReload, func() error {
		_, err := r.reload()
		return err
	}); err != nil {
		return err
	}
	r.process.kill()
	return r.countChanges(countFull, func() error {
		_, err := r.start(r.complete())
		return err
	})
}

// countChanges counts the changing calls of some work and of a while after it.
func (r *round) countChanges(name string, work func() error) error {
	if err := r.tracer.start(changeEvent); err != nil {
		return err
	}
	err := work()
	r.pause(countWatch)
	changes, traceErr := r.tracer.stop(changeEvent)
	if err := errors.Join(err, traceErr); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.record.add(r, name, float64(len(changes)))
	return nil
}
