package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/integration/lab"
)

const (
	// checkUpWithin is how long every server's coming up is awaited at most,
	// checkSettle how long a daemon is left alone then, and checkWatch how long its
	// checks are watched after that.
	checkUpWithin = 30 * time.Second
	checkSettle   = 6 * time.Second
	checkWatch    = 20 * time.Second
	// deaths is how many servers die, one after another, if they do within
	// deathsWithin.
	deaths       = 50
	deathsWithin = time.Minute
)

// check measures what the checks of all real servers cost and how even they are;
// then servers die.
func (r *round) check() error {
	if err := allowDescriptors(); err != nil {
		return err
	}
	var alive *servers
	err := r.host.Do(func() (err error) {
		alive, err = serve(r.site.servers(), r.site.checks == everyHTTP)
		return err
	})
	if err != nil {
		return err
	}
	defer alive.close()
	if _, err := r.start(r.complete()); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	// Whoever cannot keep up with so many checks never has all of them up.
	for deadline := time.Now().Add(checkUpWithin); time.Now().Before(deadline) && r.checkedHave(1) != nil; {
		r.pause(100 * time.Millisecond) // asking is not free here
	}
	r.pause(checkSettle)
	if err := r.watch(alive); err != nil {
		return fmt.Errorf("watch: %w", err)
	}
	if r.site.checks != everyTCP || !r.wanted(checkWork(everyTCP, deathMiddle), checkWork(everyTCP, deathMost)) {
		return nil
	}
	return r.die(alive)
}

// allowDescriptors lets this process have a server for each address and their
// connections. What it starts has what it had before.
func allowDescriptors() error {
	const wanted = 1 << 17
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of descriptors: %w", err)
	}
	limit.Cur, limit.Max = max(limit.Cur, wanted), max(limit.Max, wanted)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of descriptors to %d: %w", wanted, err)
	}
	return nil
}

// watch measures a while in which nothing happens.
func (r *round) watch(alive *servers) error {
	busy, own, daemon := lab.StartBusy(), cpuTime(unix.Getpid()), r.cpu()
	began := time.Now()
	slots, err := alive.slots(r.pause, checkWatch)
	if err != nil {
		return err
	}
	daemon, own = r.cpu()-daemon, cpuTime(unix.Getpid())-own
	took := time.Since(began)
	total := sum(slots)
	if total == 0 {
		return errors.New("nobody asked")
	}
	// The processes were watched a little longer than the connections.
	made := float64(total) * float64(took) / float64(checkWatch)
	r.noteCheck(checkCPU, float64(daemon.Microseconds())/made)
	r.noteCheck(checkServers, float64(own.Microseconds())/made)
	r.noteCheck(checkMemory, float64(r.process.memory())/1e6)
	r.noteCheck(checkStalled, busy.Percent())
	r.noteCheck(checkMade, 100*float64(total)/(float64(len(r.site.servers()))*checkWatch.Seconds()/r.site.every.Seconds()))
	up, err := r.up()
	if err != nil {
		return err
	}
	r.noteCheck(checkUp, up)
	peak, typical := peaks(slots)
	r.noteCheck(checkPeak, peak)
	r.noteCheck(checkTypical, typical)
	return nil
}

// up is the share of the real servers, in percent, that have their weight.
func (r *round) up() (float64, error) {
	up := 0
	for _, service := range r.site.services {
		weights, err := r.table.weights(service.address)
		if err != nil {
			return 0, err
		}
		for _, weight := range weights {
			up += weight
		}
	}
	return 100 * float64(up) / float64(len(r.site.servers())), nil
}

func (r *round) noteCheck(what string, value float64) {
	r.record.add(r, checkWork(r.site.checks, what), value)
}

// peaks compares the fullest slot with the mean, and so the fullest of each
// second, of which it returns the median.
func peaks(slots []int) (peak, typical float64) {
	mean := float64(sum(slots)) / float64(len(slots))
	var each []float64
	for second := range slices.Chunk(slots, int(time.Second/slot)) {
		each = append(each, float64(slices.Max(second))/mean)
	}
	slices.Sort(each)
	return each[len(each)-1], each[len(each)/2]
}

func sum(slots []int) int {
	total := 0
	for _, n := range slots {
		total += n
	}
	return total
}

// death is what happened to one server.
type death struct {
	server           netip.AddrPort
	at, told, weight time.Duration // on the monotonic clock
}

// die lets servers die, one after another.
func (r *round) die(alive *servers) error {
	if err := r.tracer.start(changeEvent, refuseEvent); err != nil {
		return err
	}
	all, err := r.killEach(alive)
	events, traceErr := r.tracer.stop(changeEvent, refuseEvent)
	if err := errors.Join(err, traceErr); err != nil {
		return fmt.Errorf("deaths: %w", err)
	}
	if err := explain(all, events); err != nil {
		return fmt.Errorf("deaths: %w", err)
	}
	since := func(from func(death) time.Duration) []float64 {
		var times []float64
		for _, d := range all {
			times = append(times, milliseconds64(d.weight-from(d)))
		}
		return times
	}
	fromDeath := since(func(d death) time.Duration { return d.at })
	fromRefusal := since(func(d death) time.Duration { return d.told })
	r.noteCheck(deathMiddle, quantile(fromDeath, 0.5))
	r.noteCheck(deathMost, quantile(fromDeath, 0.99))
	r.noteCheck(refuseMiddle, quantile(fromRefusal, 0.5))
	r.noteCheck(refuseMost, quantile(fromRefusal, 0.99))
	return nil
}

// killEach closes the ports of servers of different services in turn. Each opens
// again when its weight is 0, and the next one dies when it is 1: the trace does
// not tell who refused.
func (r *round) killEach(alive *servers) ([]death, error) {
	var all []death
	began := time.Now()
	for i := range deaths {
		if time.Since(began) > deathsWithin {
			break
		}
		service := r.site.services[i*len(r.site.services)/deaths]
		server := service.servers[i%serversPerService].address
		at, err := alive.die(server)
		if err != nil {
			return nil, err
		}
		all = append(all, death{server: server, at: at})
		if err := r.awaitWeight(service.address, server, 0); err != nil {
			return nil, err
		}
		if err := r.host.Do(func() error { return alive.revive(server) }); err != nil {
			return nil, err
		}
		if err := r.awaitWeight(service.address, server, 1); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (r *round) awaitWeight(service, server netip.AddrPort, weight int) error {
	return await(r.Context(), r.process, func() error {
		r.pause(5 * time.Millisecond) // the trace tells when it was
		return r.hasWeight(service, server, weight)
	})
}

// explain finds in the trace when each of the dead first refused, and the change
// after that.
func explain(all []death, events []traced) error {
	for i := range all {
		d := &all[i]
		for _, e := range events {
			switch {
			case e.at < d.at || i+1 < len(all) && e.at >= all[i+1].at:
			case e.event == refuseEvent && d.told == 0:
				d.told = e.at
			case e.event == changeEvent && d.told != 0 && d.weight == 0:
				d.weight = e.at
			}
		}
		if d.weight == 0 {
			return fmt.Errorf("%v: no refusal and change in the trace", d.server)
		}
	}
	return nil
}

// quantile is the least value that is not less than the share of all of them.
func quantile(values []float64, share float64) float64 {
	slices.Sort(values)
	return values[max(0, int(math.Ceil(share*float64(len(values))))-1)]
}
