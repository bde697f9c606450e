// Package vrrp is a virtual router: the state machine and wire format of VRRP
// version 2 (RFC 3768) and 3 (RFC 5798, RFC 9568), the sockets that carry
// adverts, and the Router that runs the one over the other.
//
// It must not know virtual services, kernel addresses, hooks or configuration
// files: it says which role it has, others act on it.
package vrrp
