// Package segment watches a network segment for every VRRP speaker: who
// advertises which virtual router, how, and what is wrong with it. It hears
// multicast, unicast that passes this host, and what this host sends itself.
//
// It must not take part in VRRP: it sends nothing, joins no group of the
// network layer, and knows no configuration, director or daemon. What it says is
// of the wire only, so a BACKUP, which is silent, is not seen.
//
// Three layers, each usable without the next:
//
//	Parse      pure: bytes of an IP packet to a Packet
//	Table      pure: Packets and time in, speakers, flags and Changes out
//	Listener   a packet socket on the interfaces of this host
package segment
