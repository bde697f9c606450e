package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"
)

// rackDies measures how long the weights of a whole rack take to become 0. When
// each changed is told by the kernel's tracing.
func (r *round) rackDies() error {
	alive, err := r.powerUp()
	if err != nil {
		return err
	}
	defer func() { _ = alive.Close() }()
	if _, err := r.start(r.complete()); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if err := await(r.Context(), r.process, func() error { return r.checkedHave(1) }); err != nil {
		return fmt.Errorf("rack up: %w", err)
	}
	r.pause(checkInterval) // until every check is in its step
	if err := r.tracer.start(changeEvent); err != nil {
		return err
	}
	death, err := r.powerDown(alive)
	if err == nil {
		err = await(r.Context(), r.process, func() error {
			r.pause(50 * time.Millisecond) // asking is not free here
			return r.checkedHave(0)
		})
	}
	changes, traceErr := r.tracer.stop(changeEvent)
	if err := errors.Join(err, traceErr); err != nil {
		return fmt.Errorf("rack down: %w", err)
	}
	return r.judgeRack(death, changes)
}

// judgeRack works out the times.
func (r *round) judgeRack(death time.Duration, changes []traced) error {
	if len(changes) < r.site.rack() {
		return fmt.Errorf("%d calls for %d weights were traced", len(changes), r.site.rack())
	}
	first, last := changes[0].at, changes[len(changes)-1].at
	if r.site.checks == ownChecks {
		r.note(workRack, last-death)
		return nil
	}
	verdict := death // the file, or lvsd's own word
	if r.contestant.name == nameLVSD {
		var err error
		if verdict, err = firstVerdict(r.process.output(), wallOffset()); err != nil {
			return err
		}
		r.note(workFirst, first-verdict)
	}
	r.note(workVerdict, last-verdict)
	return nil
}

// wallOffset is what to add to a time of the monotonic clock for Unix time.
func wallOffset() time.Duration { return time.Duration(time.Now().UnixNano()) - monotonic() }

// firstVerdict is when lvsd's log first says that a check went down.
func firstVerdict(log string, offset time.Duration) (time.Duration, error) {
	for line := range strings.Lines(log) {
		var entry struct {
			Time time.Time
			Msg  string
			From string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg != "check down" || entry.From != "up" {
			continue
		}
		return time.Duration(entry.Time.UnixNano()) - offset, nil
	}
	return 0, fmt.Errorf("no check down in lvsd's log: %.500s", log)
}

// checkedHave is nil when every real server that is checked has the weight.
func (r *round) checkedHave(weight int) error {
	for _, service := range r.site.services {
		if !r.site.checked(service.servers[0]) {
			continue
		}
		weights, err := r.table.weights(service.address)
		if err != nil {
			return err
		}
		for _, server := range service.servers {
			if r.site.checked(server) && weights[server.address] != weight {
				return fmt.Errorf("%v has weight %d, want %d", server.address, weights[server.address], weight)
			}
		}
	}
	return nil
}

// powerUp makes the rack answer, until it is closed.
func (r *round) powerUp() (io.Closer, error) {
	if r.site.checks == oneVerdict {
		return r.listen([]netip.AddrPort{netip.AddrPortFrom(rackAddress, rackPort)})
	}
	var all []netip.AddrPort
	for _, service := range r.site.services {
		for _, server := range service.servers {
			if server.inRack {
				all = append(all, server.address)
			}
		}
	}
	return r.listen(all)
}

// powerDown ends the rack at one moment, which it returns: by the way that each
// contestant has of hearing one verdict for all, or by closing every port.
func (r *round) powerDown(alive io.Closer) (time.Duration, error) {
	at := monotonic()
	if r.site.checks == oneVerdict && r.contestant.name == nameKeepalived {
		return at, os.WriteFile(r.verdictFile(), []byte("1\n"), 0o600)
	}
	return at, alive.Close()
}

// listeners accept connections and close them.
type listeners struct {
	all []net.Listener
	wg  sync.WaitGroup
}

func (r *round) listen(addresses []netip.AddrPort) (*listeners, error) {
	l := &listeners{}
	err := r.host.Do(func() error {
		for _, address := range addresses {
			listener, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(address))
			if err != nil {
				return err
			}
			l.all = append(l.all, listener)
		}
		return nil
	})
	for _, listener := range l.all {
		l.wg.Go(func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				_ = connection.Close()
			}
		})
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close is for every listener at once. It may be called again.
func (l *listeners) Close() error {
	var errs []error
	for _, listener := range l.all {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	l.wg.Wait()
	return errors.Join(errs...)
}
