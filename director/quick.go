package director

import (
	"cmp"
	"context"
	"hash/maphash"
	"iter"
	"slices"
	"time"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/healthcheck"
)

// The services are planned and the kernel is told in chunks, of which each is
// chunkGrowth times as large as the one before, up to maxChunk: when a rack dies,
// the first weight is 0 at once, and all are soon.
const (
	chunkGrowth = 8
	maxChunk    = 512
)

// quick brings to the kernel what only these services need: verdicts changed, or
// a weight rises. It reads nothing and plans nothing else; the next complete
// step finds what it did not know.
func (d *Director) quick(ctx context.Context, touched []int) error {
	if len(touched) == 0 {
		return nil
	}
	c := d.derived.config
	var judged []Facts
	var all []Op
	var err error
	for size := 1; len(touched) > 0 && err == nil; size = min(size*chunkGrowth, maxChunk) {
		chunk := touched[:min(size, len(touched))]
		touched = touched[len(chunk):]
		services := make([]config.VirtualService, len(chunk))
		for i, n := range chunk {
			services[i] = c.Services[n]
		}
		facts := d.partFacts(services)
		var done []Op
		done, err = d.quickly(ctx, facts)
		all = append(all, done...)
		if err == nil {
			judged = append(judged, facts)
		}
	}
	if len(all) > 0 || err != nil {
		d.observe(func(o *observation) { o.at, o.err = time.Now(), err; o.changes += len(all) })
	}
	// Who reads the log, and the hooks, can wait until the kernel has it all.
	d.logChanged(all)
	for _, facts := range judged {
		d.judgeServices(facts)
	}
	return err
}

// quickly plans and applies the services of the facts, and returns what was done.
func (d *Director) quickly(ctx context.Context, facts Facts) ([]Op, error) {
	keys := keysIn(facts.Config)
	planned := NewState()
	planned.Services = servicesOnly(facts)
	have := NewState()
	have.Services = d.view.have.only(keys).Services
	ops := Diff(have, planned)
	if reportsDrift(facts.Config) && len(ops) > 0 {
		expected := NewState()
		expected.Services = d.view.expected.only(keys).Services
		ops, _ = split(ops, expected, planned)
	}
	if len(ops) == 0 {
		return nil, nil
	}
	done, err := Apply(ctx, d.Kernel, ops)
	d.did(done)
	if err == nil {
		want := d.view.expected
		want.Services = planned.Services
		d.leave(want, keys)
	}
	return done, err
}

// servicesOnly plans the virtual services of the facts and nothing else.
func servicesOnly(f Facts) map[ipvs.ServiceKey]Service {
	planned := make(map[ipvs.ServiceKey]Service, len(f.Config.Services))
	for i := range f.Config.Services {
		service := &f.Config.Services[i]
		if f.serves(service) {
			planned[service.IPVS.ServiceKey] = planService(f, *service)
		}
	}
	return planned
}

func keysIn(c *config.Config) Set[ipvs.ServiceKey] {
	keys := make(Set[ipvs.ServiceKey], len(c.Services))
	for i := range c.Services {
		keys.Add(c.Services[i].IPVS.ServiceKey)
	}
	return keys
}

// derived is what the loop works out of a configuration once.
type derived struct {
	config       *config.Config
	checks       checkIndex
	byKey        map[ipvs.ServiceKey]int
	requirements []Requirement
	// paths are the services of path checks, which no verdict changes.
	paths map[ipvs.ServiceKey]Service
}

func derive(c *config.Config) derived {
	d := derived{
		config: c, checks: indexChecks(c), requirements: Requirements(c), paths: pathServices(c),
		byKey: make(map[ipvs.ServiceKey]int, len(c.Services)),
	}
	for n := range c.Services {
		d.byKey[c.Services[n].IPVS.ServiceKey] = n
	}
	return d
}

// numbers are the services by their place in the configuration, in its order.
func (d derived) numbers(keys Set[ipvs.ServiceKey]) []int {
	var all []int
	for key := range keys {
		if n, ok := d.byKey[key]; ok {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// checkIndex tells which real servers a check concerns, by the place of their
// service in the configuration and their own there. It holds the hashes of checks, sorted, and not the checks: they
// are large. Two with one hash cost some planning, no more.
type checkIndex struct {
	seed    maphash.Seed
	entries []checkEntry
}

// checkEntry is a real server by its place in the service.
type checkEntry struct {
	hash            uint64
	service, server int32
}

func indexChecks(c *config.Config) checkIndex {
	index := checkIndex{seed: maphash.MakeSeed()}
	for n := range c.Services {
		for i := range c.Services[n].RealServers {
			for spec := range checksOfServer(&c.Services[n].RealServers[i]) {
				index.entries = append(index.entries, checkEntry{maphash.Comparable(index.seed, *spec), int32(n), int32(i)})
			}
		}
	}
	slices.SortFunc(index.entries, func(a, b checkEntry) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.service, b.service), cmp.Compare(a.server, b.server))
	})
	index.entries = slices.Clip(slices.Compact(index.entries))
	return index
}

// servers are those that the check concerns: the place of the service, and that
// of the real server in it.
func (x checkIndex) servers(spec healthcheck.Spec) iter.Seq2[int, int] {
	hash := maphash.Comparable(x.seed, spec)
	first, _ := slices.BinarySearchFunc(x.entries, hash, func(e checkEntry, hash uint64) int {
		return cmp.Compare(e.hash, hash)
	})
	return func(yield func(int, int) bool) {
		for _, e := range x.entries[first:] {
			if e.hash != hash || !yield(int(e.service), int(e.server)) {
				return
			}
		}
	}
}

// checksOf are the checks of the service's real servers, those that only weigh
// included; equal ones may repeat.
func checksOf(s *config.VirtualService) iter.Seq[*healthcheck.Spec] {
	return func(yield func(*healthcheck.Spec) bool) {
		for i := range s.RealServers {
			for spec := range checksOfServer(&s.RealServers[i]) {
				if !yield(spec) {
					return
				}
			}
		}
	}
}

// checksOfServer are the real server's, those that only weigh included.
func checksOfServer(server *config.RealServer) iter.Seq[*healthcheck.Spec] {
	return func(yield func(*healthcheck.Spec) bool) {
		for i := range server.Checks {
			if !yield(&server.Checks[i]) {
				return
			}
		}
		for i := range server.WeightChecks {
			if !yield(&server.WeightChecks[i].Check) {
				return
			}
		}
	}
}
