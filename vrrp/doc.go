// Package vrrp is a virtual router: the state machine and wire format of VRRP
// version 2 (RFC 3768) and 3 (RFC 5798, RFC 9568), the sockets that carry
// adverts, and the Router that runs the one over the other.
//
// It must not know virtual services, kernel addresses, hooks or configuration
// files: it says which role it has, others act on it. RFC.md maps what the
// RFCs demand to the functions and tests here.
//
// Three layers, each usable without the next:
//
//	Config.Step     pure: State, Event and time in; State and Actions out
//	Advert          pure: bytes in and out
//	Router          one goroutine: Conn and timer around the two
//
// The words are RFC 5798's. RFC 9568 says Active for Master.
//
// Where it differs from the RFCs on purpose:
//
//   - A version 3 router believes an advert interval of more than twice its own
//     only as far as it has seen the sender keep it (Config.Step).
//   - A MASTER that finds it did not run for its own Master_Down_Interval goes
//     to BACKUP and listens, because others have taken it for dead.
//   - A MASTER answers losing adverts (RFC 9568 section 6.4.3) at most once
//     between two of its regular ones.
//   - The owner of the addresses (priority 255) does not ignore adverts, so that
//     two owners settle who serves (RFC 9568 erratum 8298).
package vrrp
