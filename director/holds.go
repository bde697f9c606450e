package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// HoldFile remembers at Path, over restarts and boots, which instances are held.
type HoldFile struct {
	Path string
}

// holds is the file's content.
type holds struct {
	// Held are the names of instances, sorted.
	Held []string `json:"held"`
}

// Load returns the names of the instances that are held; no file is none.
func (f HoldFile) Load() ([]string, error) {
	data, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("hold file: %w", err)
	}
	var h holds
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, fmt.Errorf("hold file %s: %w", f.Path, err)
	}
	return h.Held, nil
}

// Save replaces the file in one step, and returns when that is on the disk.
func (f HoldFile) Save(held []string) error {
	data, err := json.Marshal(holds{Held: slices.Sorted(slices.Values(held))})
	if err != nil {
		return fmt.Errorf("hold file: %w", err)
	}
	if err := replaceFile(f.Path, append(data, '\n')); err != nil {
		return fmt.Errorf("hold file: %w", err)
	}
	return nil
}

// replaceFile writes a file so that after a loss of power it is the old or the
// new one.
func replaceFile(path string, data []byte) error {
	directory := filepath.Dir(path)
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(directory, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return syncDirectory(directory)
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// recallHolds finds out which instances are held. If that cannot be known, all
// are: a node that an operator keeps from being MASTER must not be it because a
// file is damaged. As BACKUP it does all else, and release mends the file.
func (d *Director) recallHolds() {
	held, err := d.Holds.Load()
	if err != nil {
		for _, c := range d.config.VRRP {
			held = append(held, c.Router.Name)
		}
		d.Log.Error("it is not known which instances are held: all are, until they are released", "err", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = SetOf(held...)
}

func (d *Director) isHeld(instance string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held.Has(instance)
}

// setHeld remembers that the instances are held, or are not any more. They are
// as before if that cannot be written.
func (d *Director) setHeld(instances []string, held bool) error {
	d.holding.Lock()
	defer d.holding.Unlock()
	d.mu.Lock()
	next := maps.Clone(d.held)
	d.mu.Unlock()
	for _, name := range instances {
		if held {
			next.Add(name)
		} else {
			delete(next, name)
		}
	}
	if err := d.Holds.Save(slices.Collect(maps.Keys(next))); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = next
	return nil
}
