package director

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/lvsd/lvsd/healthcheck"
)

// CheckNow has the checks of the real server ask at once, in the named service or,
// with an empty name, in all, and waits for the answers and until what follows from
// them is in the kernel. The server is named as for Explain; an empty one is all
// servers of the service. The errors are Explain's, ErrBadOrder if it names neither,
// or that ctx ended first.
func (d *Director) CheckNow(ctx context.Context, server, service string) (Explanation, error) {
	meant, err := d.meant(server, service)
	if err != nil {
		return Explanation{}, err
	}
	var asked []healthcheck.Spec
	for _, m := range meant {
		if m.server == nil {
			continue
		}
		for spec := range checksOfServer(m.server) {
			asked = append(asked, *spec)
		}
	}
	if err := d.pool.AskNow(ctx, asked); err != nil {
		return Explanation{}, fmt.Errorf("check now: %w", err)
	}
	d.enacted(ctx)
	c := d.currentConfig()
	d.seen.RLock()
	defer d.seen.RUnlock()
	return d.scene(c).explanation(cmp.Or(server, service), meant), nil
}

// meant are the real servers of the names.
func (d *Director) meant(server, service string) ([]member, error) {
	c := d.currentConfig()
	d.seen.RLock()
	defer d.seen.RUnlock()
	s := d.scene(c)
	if server != "" {
		return s.find(server, service)
	}
	if service == "" {
		return nil, badIf(true, "neither a real server nor a service")
	}
	if err := d.hasService(service); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(s.members(), func(m member) bool { return m.service.Name != service }), nil
}
