package director

import (
	"context"

	"github.com/lvsd/lvsd/config"
)

// tunnelling tells which tunnels a Host looks at.
type tunnelling struct {
	// named tells that the configuration names some, asked that some
	// configuration did: they are looked for until none is left.
	named, asked bool
}

func (t *tunnelling) prepare(c *config.Config) {
	t.named = false
	for i := range c.Accept {
		t.named = t.named || len(c.Accept[i].Decapsulations) > 0
	}
	t.asked = t.asked || t.named
}

// readTunnels lists the tunnels that the kernel takes packets out of.
func (h *Host) readTunnels(ctx context.Context, s *Snapshot) error {
	if !h.tunnels.asked {
		return nil
	}
	var err error
	if s.Decapsulations, err = h.network.Decapsulations(ctx); err != nil {
		return err
	}
	h.tunnels.asked = h.tunnels.named || len(s.Decapsulations) > 0
	return nil
}
