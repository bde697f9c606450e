package director

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
)

// model is a kernel: a State that operations change. What cannot be provoked in
// a real one is set in its fields.
type model struct {
	mu    sync.Mutex
	state State
	// foreign is there and not lvsd's.
	foreign []ipvs.ServiceEntry
	active  map[string]uint32
	// fail makes an operation fail.
	fail func(Op) error
	// unreadable is what Read returns.
	unreadable error
	// reading is closed when Read may go on; nil if it may.
	reading chan struct{}
	// unprepared is what Prepare returns.
	unprepared error
	// done are the operations that were carried out.
	done      []Op
	announced int
	probed    int
	// listeners take what is heard by interface.
	listeners map[string]func(netif.Claim)

	// links guards what follows: an operation that hangs does not keep the
	// kernel from telling how a link is.
	links   sync.Mutex
	down    map[string]bool
	lost    netip.Addr
	changed func()
}

func newModel() *model {
	return &model{
		state: NewState(), active: map[string]uint32{}, down: map[string]bool{},
		listeners: map[string]func(netif.Claim){},
	}
}

func (m *model) Prepare(*config.Config) error { return m.unprepared }

func (m *model) Read(context.Context, []string) (Snapshot, error) {
	m.mu.Lock()
	reading := m.reading
	m.mu.Unlock()
	if reading != nil {
		<-reading
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unreadable != nil {
		return Snapshot{}, m.unreadable
	}
	s := snapshotOf(m.state)
	for _, entry := range s.Services {
		for i := range entry.Destinations {
			destination := &entry.Destinations[i]
			destination.Active = m.active[destination.Address.String()]
		}
	}
	s.Services = slices.Concat(m.foreign, s.Services)
	return s, nil
}

func (m *model) Do(_ context.Context, ops []Op) []error {
	errs := make([]error, len(ops))
	for i, op := range ops {
		errs[i] = m.do(op)
	}
	return errs
}

func (m *model) do(op Op) error {
	m.mu.Lock()
	fail := m.fail
	m.mu.Unlock()
	// It may take its time, and who waits for a lock keeps time from passing.
	if fail != nil {
		if err := fail(op); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	op.applyTo(m.state)
	m.done = append(m.done, op)
	return nil
}

func (m *model) Announce(_ string, addrs []netip.Addr, count int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.announced += len(addrs) * count
	return nil
}

func (m *model) Probe(_ string, addrs []netip.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.probed += len(addrs)
	return nil
}

func (m *model) Listen(ctx context.Context, ifname string, held func(netip.Addr) bool, claimed func(netif.Claim)) error {
	m.mu.Lock()
	m.listeners[ifname] = func(c netif.Claim) {
		if held(c.Addr) {
			claimed(c)
		}
	}
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.listeners, ifname)
	return ctx.Err()
}

func (m *model) LinkUp(name string) (bool, error) {
	m.links.Lock()
	defer m.links.Unlock()
	return !m.down[name], nil
}

func (m *model) Local(ifname string, addr netip.Addr) (bool, error) {
	m.links.Lock()
	defer m.links.Unlock()
	return addr != m.lost && !m.down[ifname], nil
}

// lose takes an address of the host's own away; the zero one brings it back.
func (m *model) lose(addr netip.Addr) {
	m.links.Lock()
	m.lost = addr
	changed := m.changed
	m.links.Unlock()
	changed()
}

func (m *model) Watch(ctx context.Context, changed func()) error {
	m.links.Lock()
	m.changed = changed
	m.links.Unlock()
	<-ctx.Done()
	return ctx.Err()
}

// setLink is what the network does to an interface.
func (m *model) setLink(name string, up bool) {
	m.links.Lock()
	m.down[name] = !up
	changed := m.changed
	m.links.Unlock()
	changed()
}

// setAbsent takes an interface away; setLink brings one of that name back.
func (m *model) setAbsent(name string) {
	m.links.Lock()
	m.down[name] = true
	changed := m.changed
	m.links.Unlock()
	if changed != nil {
		changed()
	}
}

// now is a copy of the state.
func (m *model) now() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Clone()
}

// change is what somebody else does to the kernel.
func (m *model) change(f func(State)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m.state)
}

// takeDone returns the operations since the last call.
func (m *model) takeDone() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ops []string
	for _, op := range m.done {
		ops = append(ops, op.String())
	}
	m.done = nil
	return ops
}

func (m *model) takeAnnounced() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.announced
	m.announced = 0
	return n
}

var errInjected = errors.New("injected")
