// Package director decides what the kernel should hold and is the only writer
// of it. Configuration, roles and health go into Plan, a pure function, which
// gives the desired State; Kernel reads the observed State; Diff gives the
// operations between the two; Apply carries them out. Start, reload, failover,
// health changes, drift repair, adoption after a crash and shutdown are all
// this one path:
//
//	adverts ─► vrrp.Router ──Role──┐                  ┌─► Op ─► Kernel.Do
//	replies ─► healthcheck.Pool ───┼─► Plan ─► want ──┤
//	SIGHUP  ─► config.Config ──────┘                  Diff
//	timer, address events ─► Kernel.Read ─► have ─────┘
//
// One goroutine, in Director.Run, plans and applies. Routers, checks, hooks and
// gratuitous ARP have goroutines of their own and are never waited for by an
// advert.
//
// It must not know TOML, command lines, or how a packet, rule or message looks.
package director
