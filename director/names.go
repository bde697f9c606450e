package director

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// lookupInterval is how often host names are resolved again: the system's
	// resolver does not tell how long an answer holds.
	lookupInterval = 30 * time.Second
	// lookupTimeout bounds one lookup, firstLookups all that a start or reload
	// waits for.
	lookupTimeout = 5 * time.Second
	firstLookups  = 5 * time.Second
	// lookupConcurrency is how many lookups are under way at a time.
	lookupConcurrency = 16
)

// LookupFunc returns the addresses of a host name, at least one, or an error.
type LookupFunc func(ctx context.Context, host string) ([]netip.Addr, error)

// resolver knows the addresses of the host names of real servers. What was
// answered once stands until there is another answer: a name server that is away
// must not take real servers out.
type resolver struct {
	lookup LookupFunc
	log    *slog.Logger
	// changed tells the loop that there is another answer.
	changed chan struct{}

	mu    sync.Mutex
	hosts map[string]hostAnswer
}

// hostAnswer is what is known of one host name.
type hostAnswer struct {
	// addresses are sorted; at is when they were last confirmed.
	addresses []netip.Addr
	at        time.Time
	// err is why the last lookup failed.
	err error
}

func newResolver(lookup LookupFunc, log *slog.Logger) *resolver {
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return &resolver{lookup: lookup, log: log, changed: make(chan struct{}, 1), hosts: map[string]hostAnswer{}}
}

// recall takes over a predecessor's answers.
func (r *resolver) recall(answers map[string][]netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for host, addresses := range answers {
		r.hosts[host] = hostAnswer{addresses: addresses}
	}
}

// answers are the addresses by host name, of those that have any.
func (r *resolver) answers() map[string][]netip.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers := make(map[string][]netip.Addr, len(r.hosts))
	for host, answer := range r.hosts {
		if len(answer.addresses) > 0 {
			answers[host] = answer.addresses
		}
	}
	return answers
}

// resolve asks for those of the hosts that have no answer yet, as long as
// patience lasts. The others are left to the regular lookups.
func (r *resolver) resolve(ctx context.Context, hosts []string, patience time.Duration) {
	known := r.answers()
	hosts = slices.DeleteFunc(slices.Clone(hosts), func(host string) bool { return known[host] != nil })
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.ask(ctx, hosts)
}

// ask looks the hosts up, several at a time, and reports whether an answer is
// new.
func (r *resolver) ask(ctx context.Context, hosts []string) bool {
	slots := make(chan struct{}, lookupConcurrency)
	news := make([]bool, len(hosts))
	var asking sync.WaitGroup
	for n, host := range hosts {
		asking.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			news[n] = r.askOne(ctx, host)
		})
	}
	asking.Wait()
	return slices.Contains(news, true)
}

func (r *resolver) askOne(ctx context.Context, host string) bool {
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := r.lookup(limited, host)
	if err == nil && len(found) == 0 {
		err = errors.New("no address")
	}
	return r.record(host, plain(found), err)
}

// record enters an answer and reports whether it is new.
func (r *resolver) record(host string, found []netip.Addr, err error) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.hosts[host]
	if err != nil {
		if old.err == nil {
			r.log.Warn("host name not resolved", "host", host, "err", err, "addresses_kept", old.addresses)
		}
		old.err = err
		r.hosts[host] = old
		return false
	}
	r.hosts[host] = hostAnswer{addresses: found, at: time.Now()}
	news := !slices.Equal(found, old.addresses)
	switch {
	case news:
		r.log.Info("host name resolved", "host", host, "addresses", found, "before", old.addresses)
	case old.err != nil:
		r.log.Info("host name resolved again", "host", host, "addresses", found)
	}
	return news
}

// forget drops what is known of hosts that are not named any more.
func (r *resolver) forget(named []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.hosts, func(host string, _ hostAnswer) bool { return !slices.Contains(named, host) })
}

// plain are the addresses without zones and IPv4-in-IPv6 forms, sorted, each
// once: a name server may give them in another order each time.
func plain(found []netip.Addr) []netip.Addr {
	all := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		all = append(all, a.Unmap().WithZone(""))
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// followNames resolves the host names again and again until ctx ends.
func (d *Director) followNames(ctx context.Context) {
	for pause(ctx, lookupInterval) {
		d.mu.Lock()
		hosts := d.file.Names()
		d.mu.Unlock()
		if len(hosts) == 0 {
			continue
		}
		d.names.forget(hosts)
		if d.names.ask(ctx, hosts) {
			nudge(d.names.changed)
		}
	}
}

// readdress goes over to the addresses that host names have now, like a reload.
func (d *Director) readdress(background context.Context) {
	d.mu.Lock()
	file := d.file
	d.mu.Unlock()
	if err := d.replace(background, file); err != nil {
		d.Log.Error("real servers have other addresses, and not all follow", "err", fmt.Errorf("names: %w", err))
	}
}
