package director

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lvsd/lvsd/director/ipvs"
	"github.com/lvsd/lvsd/director/netif"
	"github.com/lvsd/lvsd/vrrp"
)

const (
	// fastestSave and slowestSave bound how often a MASTER's file is renewed.
	fastestSave = 100 * time.Millisecond
	slowestSave = time.Second
)

// Memory is what a director leaves to its successor, in a file on tmpfs: it is
// gone after a boot, as is the kernel state it speaks of.
type Memory struct {
	// Boot is the kernel's boot identity: a file from another boot is ignored.
	Boot      string                    `json:"boot"`
	Instances map[string]InstanceMemory `json:"instances,omitempty"`
	// Services, VIPs, Daemons and Decapsulations are what the director owned.
	Services []ipvs.ServiceKey `json:"services,omitempty"`
	VIPs     []netif.Address   `json:"vips,omitempty"`
	// Daemons tells that the synchronisation daemons are lvsd's.
	Daemons        bool                  `json:"daemons,omitempty"`
	Decapsulations []netif.Decapsulation `json:"decapsulations,omitempty"`
	// Sysctls are the values that were there before lvsd set its own.
	Sysctls map[string]string `json:"sysctls,omitempty"`
	// Quorate tells of services, by name, whether they had their quorum: of those
	// where that matters to more than the next plan.
	Quorate map[string]bool `json:"quorate,omitempty"`
	// Hosts are the addresses of real servers that are given by name.
	Hosts map[string][]netip.Addr `json:"hosts,omitempty"`
}

// InstanceMemory is what is remembered of a VRRP instance.
type InstanceMemory struct {
	Master bool `json:"master"`
	// LastAdvert is when the MASTER last sent an advert, on the clock that no
	// time step touches (CLOCK_BOOTTIME).
	LastAdvert time.Duration `json:"last_advert"`
}

// MemoryFile reads and writes a Memory: at Path what changes with every advert,
// beside it what the director owned, which is large and seldom changes. Either is
// replaced in one step, so that a reader never sees half of it; what one says
// does not depend on the other's being as new.
type MemoryFile struct {
	Path string
}

// ownedPath is the file of what the director owned: state-owned.json beside
// state.json.
func (f MemoryFile) ownedPath() string {
	extension := filepath.Ext(f.Path)
	return strings.TrimSuffix(f.Path, extension) + "-owned" + extension
}

// Load returns what a predecessor left during this boot; the zero Memory if
// there is none.
func (f MemoryFile) Load() (Memory, error) {
	m, err := load(f.Path)
	if err != nil {
		return Memory{}, err
	}
	owned, err := load(f.ownedPath())
	if err != nil {
		return Memory{}, err
	}
	m.Services, m.VIPs = owned.Services, owned.VIPs
	m.Daemons, m.Decapsulations = owned.Daemons, owned.Decapsulations
	return m, nil
}

func load(path string) (Memory, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Memory{}, nil
	}
	if err != nil {
		return Memory{}, fmt.Errorf("state file: %w", err)
	}
	var m Memory
	if err := json.Unmarshal(data, &m); err != nil {
		return Memory{}, fmt.Errorf("state file %s: %w", path, err)
	}
	boot, err := bootIdentity()
	if err != nil {
		return Memory{}, err
	}
	if m.Boot != boot {
		return Memory{}, nil
	}
	return m, nil
}

// Save writes all of m.
func (f MemoryFile) Save(m Memory) error {
	// First what is owned: nobody else takes care of that.
	return errors.Join(f.saveOwned(m), f.saveRest(m))
}

// saveOwned writes what the director owned and nothing else.
func (f MemoryFile) saveOwned(m Memory) error {
	return save(f.ownedPath(), Memory{
		Services: m.Services, VIPs: m.VIPs, Daemons: m.Daemons, Decapsulations: m.Decapsulations,
	})
}

// saveRest writes everything else.
func (f MemoryFile) saveRest(m Memory) error {
	m.Services, m.VIPs, m.Daemons, m.Decapsulations = nil, nil, false, nil
	return save(f.Path, m)
}

func save(path string, m Memory) error {
	boot, err := bootIdentity()
	if err != nil {
		return err
	}
	m.Boot = boot
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	return nil
}

// Remove deletes the files: nothing is left for a successor.
func (f MemoryFile) Remove() error {
	for _, path := range []string{f.Path, f.ownedPath()} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("state file: %w", err)
		}
	}
	return nil
}

func bootIdentity() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("boot identity: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// sinceBoot returns the time since boot, suspension included.
func sinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

// wasMasterJustNow reports whether the instance sent an advert as MASTER less
// than three intervals before now. No BACKUP's Master_Down_Interval is shorter
// than that (RFC 5798 section 6.1), so none has taken over yet.
func (m Memory) wasMasterJustNow(c vrrp.Config, now time.Duration) bool {
	instance, ok := m.Instances[c.Name]
	age := now - instance.LastAdvert
	return ok && instance.Master && age >= 0 && age < 3*c.Interval
}

// owned returns what the predecessor owned.
func (m Memory) owned() Owned {
	return Owned{
		Services: SetOf(m.Services...), VIPs: SetOf(m.VIPs...),
		Daemons: m.Daemons, Decapsulations: SetOf(m.Decapsulations...),
	}
}

// remember is the inverse of owned.
func (m *Memory) remember(o Owned) {
	m.Services, m.VIPs = slices.Collect(maps.Keys(o.Services)), slices.Collect(maps.Keys(o.VIPs))
	m.Daemons, m.Decapsulations = o.Daemons, slices.Collect(maps.Keys(o.Decapsulations))
}

// keepMemory renews the file while any instance is MASTER, so that a successor
// can tell how long ago the last advert was. It has its own goroutine: no advert
// waits for a file.
func (d *Director) keepMemory(ctx context.Context) {
	failed := false
	for pause(ctx, d.saveInterval()) {
		err := d.remember()
		if (err != nil) != failed {
			failed = err != nil
			if failed {
				d.Log.Warn("a restart cannot go on where this daemon is now", "err", err)
			}
		}
	}
}

// saveInterval is half the shortest advert interval, within bounds.
func (d *Director) saveInterval() time.Duration {
	interval := slowestSave
	for _, instance := range d.currentConfig().VRRP {
		interval = min(interval, instance.Router.Interval/2)
	}
	return max(interval, fastestSave)
}

// remember saves what a successor needs; what is owned only if that has changed.
func (d *Director) remember() error {
	d.remembering.Lock()
	defer d.remembering.Unlock()
	d.mu.Lock()
	m := Memory{
		Instances: make(map[string]InstanceMemory, len(d.instances)),
		Sysctls:   maps.Clone(d.sysctls),
		Quorate:   d.quorateToRemember(),
	}
	owned, version := d.owned, d.ownedVersion
	instances := maps.Clone(d.instances)
	d.mu.Unlock()
	m.Hosts = d.names.answers()
	for name, i := range instances {
		status := i.router.Status()
		if status.LastSent.IsZero() {
			continue
		}
		// The age is small and never negative, whatever happens to the clock of
		// the day.
		age := max(time.Since(status.LastSent), 0)
		m.Instances[name] = InstanceMemory{Master: status.Role == vrrp.Master, LastAdvert: sinceBoot() - age}
	}
	if version != d.ownedSaved {
		m.remember(owned)
		if err := d.Memory.saveOwned(m); err != nil {
			return err
		}
		d.ownedSaved = version
	}
	return d.Memory.saveRest(m)
}
