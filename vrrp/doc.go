// Package vrrp is a virtual router: the state machine and wire format of VRRP
// version 2 (RFC 3768) and 3 (RFC 5798, RFC 9568), the sockets that carry
// adverts, and the Router that runs the one over the other.
//
// It must not know virtual services, kernel addresses, hooks or configuration
// files: it says which role it has, others act on it. RFC.md maps what the
// RFCs demand to the functions and tests here.
//
// Layers, each usable without the next:
//
//	Config.Step     pure: State, Event and time in; State and Actions out
//	Advert          pure: bytes in and out
//	Router          one goroutine: Conn and timer around the two
//	SyncGroup       where Routers of one node meet that move together
//
// Besides its role the Router tells who else speaks for the virtual router
// (Peer) and what is wrong on the segment (Notice): two MASTERs, another group of
// routers with the same VRID, adverts that are discarded.
//
// The words are RFC 5798's. RFC 9568 says Active for Master.
//
// Where it differs from the RFCs on purpose:
//
//   - A version 3 router believes an advert interval of more than twice its own
//     only as far as it has seen the sender keep it (Config.Step).
//   - A MASTER that finds it did not run for its own Master_Down_Interval goes
//     to BACKUP and listens, because others have taken it for dead.
//   - A BACKUP that finds it did not run for more than an interval when it ought
//     to (its process was stopped, its machine paused), and finds no advert
//     waiting, listens for one more Master_Down_Interval before it takes over:
//     once, then it takes over whatever its state (Timeout).
//   - With Config.Settle all only listen after they started, the owner too; with
//     Config.LinkDownDelay a link may be down for a while, and a BACKUP that
//     cannot hear does not take over.
//   - A MASTER whose priority is lowered says so at once, not in its next advert
//     as keepalived does. A BACKUP that hears its MASTER step below it, and may
//     preempt, takes over after Skew_Time, as if that had said goodbye; the RFC
//     discards the advert, (470), and keepalived waits up to
//     Master_Down_Interval.
//   - A router can be told to give up, to hold and to join others in a group
//     (Router.GiveUp, Router.Hold, SyncGroup). Then it is BACKUP where the RFC
//     has it MASTER, never the other way round. In a group a MASTER that loses
//     may keep the role for up to Master_Down_Interval, while the first member
//     decides.
//   - A MASTER answers losing adverts (RFC 9568 section 6.4.3) at most once
//     between two of its regular ones.
//   - Who sends more than any router would is not heard, for moments at a time
//     (Mute).
//   - The owner of the addresses (priority 255) does not ignore adverts, so that
//     two owners settle who serves (RFC 9568 erratum 8298).
//   - Adverts of both versions may carry keepalived's HMAC-SHA256 trailer
//     (Config.HMAC).
package vrrp
