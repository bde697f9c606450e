package director

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// overrideFile remembers overrides over restarts and boots. The empty path
// remembers nothing.
type overrideFile string

// orders are the file's content: all that operators ordered at run time.
type orders struct {
	// Overrides are sorted by Target, cleared ones too.
	Overrides []Override `json:"overrides"`
	// Latest is the greatest At that was ever known.
	Latest time.Time `json:"latest,omitzero"`
	// Holds are the instances that are held for maintenance, sorted: its end
	// releases them, and no others. MaintainedAs is the node's name in the order that
	// they are held for: it may have another one by now.
	Holds        []string `json:"maintenance_holds,omitempty"`
	MaintainedAs string   `json:"maintained_as,omitempty"`
}

// upkeep is what maintenance of this node has done. The zero upkeep is none.
type upkeep struct {
	// as is the name that the node had when it was ordered, holds are the instances
	// that are held for it.
	as    string
	holds Set[string]
}

// load returns what was ordered; no file is nothing.
func (f overrideFile) load() (orders, error) {
	if f == "" {
		return orders{}, nil
	}
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return orders{}, nil
	}
	if err != nil {
		return orders{}, fmt.Errorf("override file: %w", err)
	}
	var o orders
	if err := json.Unmarshal(data, &o); err != nil {
		return orders{}, fmt.Errorf("override file %s: %w", f, err)
	}
	for _, override := range o.Overrides {
		if err := override.validate(); err != nil {
			return orders{}, fmt.Errorf("override file %s: %w", f, err)
		}
	}
	return o, nil
}

// save replaces the file in one step, and returns when that is on the disk.
func (f overrideFile) save(o orders) error {
	if f == "" {
		return nil
	}
	data, err := json.Marshal(o)
	if err == nil {
		err = replaceFile(string(f), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("override file: %w", err)
	}
	return nil
}

// setAside keeps a damaged file for whoever wants to look at it.
func (f overrideFile) setAside() error { return os.Rename(string(f), string(f)+".damaged") }

// set is what the file says of overrides.
func (o orders) set() overrideSet {
	set, _, _ := overrideSet{latest: o.Latest}.with(o.Overrides...)
	return set
}

// upkeep is what the file says of maintenance.
func (o orders) upkeep() upkeep { return upkeep{o.MaintainedAs, SetOf(o.Holds...)} }

// ordersOf is the inverse of set and upkeep.
func ordersOf(set overrideSet, u upkeep) orders {
	return orders{
		Overrides: set.list(), Latest: set.latest,
		Holds: slices.Sorted(slices.Values(allKeys(u.holds))), MaintainedAs: u.as,
	}
}
