package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// restBefore is how long a daemon is left alone after a start: by then it is
	// MASTER.
	restBefore = 9 * time.Second / 2
	// restWatch is how long its CPU time at rest is watched.
	restWatch = 3 * time.Second
	// changedWeight is the weight that a reload gives to one real server.
	changedWeight = 7
)

// round is one contestant at work in namespaces of its own.
type round struct {
	*ipvsBench
	contestant ipvsContestant
	site       *site
	repetition int
	host       *lab.Host
	dir        string
	table      *table
	process    *process
	// speed is that of the machine before the round.
	speed time.Duration
}

func (r *round) prepare() error {
	r.site.prepare(r.host)
	if err := r.writeFile(); err != nil {
		return err
	}
	var err error
	r.table, err = openTable(r.host)
	return err
}

// close leaves nothing that a later round would pay for.
func (r *round) close() {
	if r.process != nil {
		r.process.kill()
	}
	_, _ = r.host.Try("ipvsadm", "-C") // the namespace goes anyway
	if r.table != nil {
		r.table.close()
	}
}

func (r *round) file() string        { return filepath.Join(r.dir, r.contestant.name+".conf") }
func (r *round) verdictFile() string { return filepath.Join(r.dir, "verdict") }

func (r *round) writeFile() error {
	return os.WriteFile(r.file(), []byte(r.contestant.file(r.site, r.verdictFile())), 0o600)
}

// life takes a contestant from an empty kernel through all there is to measure
// without checks.
func (r *round) life() error {
	took, err := r.start(r.complete())
	if err != nil {
		return fmt.Errorf("%s: %w", workProgram, err)
	}
	r.note(workProgram, took)
	if !r.contestant.daemon {
		return nil
	}
	r.pause(restBefore)
	if took, err = r.reload(); err != nil {
		return fmt.Errorf("%s: %w", workReload, err)
	}
	r.note(workReload, took)
	r.pause(time.Second)
	before := r.cpu()
	r.pause(restWatch)
	r.record.add(r, workRest, percent(r.cpu()-before, restWatch))
	r.record.add(r, workMemory, float64(r.process.memory())/1e6)
	if r.contestant.name == nameLVSD {
		if err := r.list(); err != nil {
			return fmt.Errorf("%s: %w", workList, err)
		}
	}
	if took, err = r.startAgain(); err != nil {
		return fmt.Errorf("%s: %w", workStart, err)
	}
	r.note(workStart, took)
	return nil
}

// start runs the contestant and returns how long it took until done.
func (r *round) start(done func() error) (time.Duration, error) {
	argv := r.contestant.command(r.file(), r.dir)
	var stdin *os.File
	if r.contestant.stdin {
		var err error
		if stdin, err = os.Open(r.file()); err != nil {
			return 0, err
		}
		defer func() { _ = stdin.Close() }()
	}
	// keepalived takes the pid files of a killed one for a daemon that runs.
	stale, _ := filepath.Glob(filepath.Join(r.dir, "*.pid")) // the pattern is sound
	for _, file := range stale {
		_ = os.Remove(file)
	}
	began := time.Now()
	var err error
	if r.process, err = r.copies.spawn(r.host, r.dir, "log", argv, stdin); err != nil {
		return 0, err
	}
	if r.contestant.daemon {
		err = await(r.Context(), r.process, done)
		return time.Since(began), err
	}
	err = r.process.wait()
	took := time.Since(began)
	return took, errors.Join(err, done())
}

// complete is nil when the kernel has the whole site.
func (r *round) complete() func() error { return (&awaited{table: r.table, site: r.site}).done }

// reload changes the weight of one real server, in the middle of the file.
func (r *round) reload() (time.Duration, error) {
	service := r.site.services[len(r.site.services)/2]
	service.servers[serversPerService/2].weight = changedWeight
	address := service.servers[serversPerService/2].address
	if err := r.writeFile(); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := r.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return 0, err
	}
	err := await(r.Context(), r.process, func() error { return r.hasWeight(service.address, address, changedWeight) })
	return time.Since(began), err
}

func (r *round) hasWeight(service, server netip.AddrPort, want int) error {
	weights, err := r.table.weights(service)
	if err != nil {
		return err
	}
	if have := weights[server]; have != want {
		return fmt.Errorf("%v of %v has weight %d, want %d", server, service, have, want)
	}
	return nil
}

// startAgain kills the daemon, so that it leaves all in the kernel, takes one
// real server away and waits until the next daemon has put it back: then it has
// compared everything.
func (r *round) startAgain() (time.Duration, error) {
	r.process.kill()
	last := r.site.last()
	if err := r.removeServer(last.address, last.servers[len(last.servers)-1].address); err != nil {
		return 0, err
	}
	return r.start(r.complete())
}

func (r *round) removeServer(service, server netip.AddrPort) error {
	_, err := r.host.Try("ipvsadm", "-d", "-t", service.String(), "-r", server.String())
	return err
}

// list lets lvsd and ipvsadm print the same table, which must be the same bytes.
func (r *round) list() error {
	commands := map[string][]string{
		nameLVSD:    {os.Getenv(binaryVariable), "list", "-n"},
		nameIPVSADM: {nameIPVSADM, "-Ln"},
	}
	texts := map[string][]byte{}
	for name, argv := range commands { // in either order
		began := time.Now()
		p, err := r.copies.spawn(r.host, r.dir, "list-"+name, argv, nil)
		if err != nil {
			return err
		}
		if err := p.wait(); err != nil {
			return err
		}
		r.record.addAs(r, name, workList, milliseconds64(time.Since(began)))
		texts[name] = []byte(p.output())
		_ = p.out.Close()
	}
	return sameBytes(texts[nameLVSD], texts[nameIPVSADM])
}

// cpu is the CPU time of the daemon and its children so far.
func (r *round) cpu() time.Duration {
	var total time.Duration
	for _, pid := range append(children(r.process.pid()), r.process.pid()) {
		total += cpuTime(pid)
	}
	return total
}

func (r *round) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
}

// note records a time.
func (r *round) note(work string, took time.Duration) {
	r.record.add(r, work, milliseconds64(took))
}

func milliseconds64(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
