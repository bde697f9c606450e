package director

import (
	"context"

	"github.com/lvsd/lvsd/config"
	"github.com/lvsd/lvsd/vrrp"
)

type hooks struct{}

func (d *Director) newHooks(context.Context, config.VRRP) *hooks { return &hooks{} }
func (h *hooks) reconfigure(config.VRRP)                         {}
func (h *hooks) end()                                            {}
func (i *instance) endHooks()                                    {}
func (d *Director) notify(vrrp.Transition)                       {}
