// Package director decides what the kernel should hold and is the only writer
// of it. Configuration, roles and health go into Plan, a pure function, which
// gives the desired State; Kernel reads the observed State; Diff gives the
// operations between the two; Apply carries them out. Start, reload, failover,
// health changes, drift repair, adoption after a crash and shutdown are all
// this one path:
//
//	links, trackers ─► fitness ─► priority, FAULT
//	                                  ▼
//	adverts ─► vrrp.Router ──Role──┐                  ┌─► Op ─► Kernel.Do
//	replies ─► healthcheck.Pool ───┼─► Plan ─► want ──┤
//	SIGHUP  ─► config.Config ──────┘                  Diff
//	timer, address events ─► Kernel.Read ─► have ─────┘
//
// One goroutine, in Director.Run, plans and applies; another tells the routers
// what links and trackers mean for them. Routers, the pool of checks, hooks,
// announcements and the watch for address conflicts have goroutines of their own
// and are never waited for by an advert. A new MASTER's VIPs are added and
// announced before the rest of the path is gone (takeOver).
//
// It must not know TOML, command lines, or how a packet, rule or message looks.
package director
