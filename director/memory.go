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
	Instances map[string]InstanceMemory `json:"instances"`
	// Services, VIPs, Daemons and Decapsulations are what the director owned.
	Services []ipvs.ServiceKey `json:"services"`
	VIPs     []netif.Address   `json:"vips"`
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

// MemoryFile reads and writes a Memory at Path.
type MemoryFile struct {
	Path string
}

// Load returns what a predecessor left during this boot; the zero Memory if
// there is none.
func (f MemoryFile) Load() (Memory, error) {
	data, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Memory{}, nil
	}
	if err != nil {
		return Memory{}, fmt.Errorf("state file: %w", err)
	}
	var m Memory
	if err := json.Unmarshal(data, &m); err != nil {
		return Memory{}, fmt.Errorf("state file %s: %w", f.Path, err)
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

// Save replaces the file in one step, so that a reader never sees half of it.
func (f MemoryFile) Save(m Memory) error {
	boot, err := bootIdentity()
	if err != nil {
		return err
	}
	m.Boot = boot
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	temporary := filepath.Join(filepath.Dir(f.Path), "."+filepath.Base(f.Path)+".new")
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	if err := os.Rename(temporary, f.Path); err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	return nil
}

// Remove deletes the file: nothing is left for a successor.
func (f MemoryFile) Remove() error {
	if err := os.Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("state file: %w", err)
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

// remember saves what a successor needs.
func (d *Director) remember() error {
	d.mu.Lock()
	m := Memory{
		Instances: make(map[string]InstanceMemory, len(d.instances)),
		Sysctls:   maps.Clone(d.sysctls),
		Quorate:   d.quorateToRemember(),
	}
	m.remember(d.owned)
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
	return d.Memory.Save(m)
}
