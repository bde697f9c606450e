package main

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"
)

// protocol is a version of VRRP and its interval.
type protocol struct {
	version  int
	interval time.Duration
}

func (p protocol) String() string { return fmt.Sprintf("v%d %v", p.version, p.interval) }

// priority is that of every router here.
const priority = 100

// skew is Skew_Time (RFC 3768 and RFC 5798 section 6.1).
func (p protocol) skew() time.Duration {
	scale := p.interval
	if p.version == 2 {
		scale = time.Second
	}
	return (256 - priority) * scale / 256
}

// masterDown is Master_Down_Interval.
func (p protocol) masterDown() time.Duration { return 3*p.interval + p.skew() }

// fault is what happens to the MASTER.
type fault string

// The faults.
const (
	sigkill  fault = "SIGKILL"
	stop     fault = "stop"
	linkDown fault = "link down"
)

// trial is one case of the benchmark.
type trial struct {
	protocol protocol
	fault    fault
	vips     int
}

func (t trial) String() string { return fmt.Sprintf("%v, %s, %d VIP", t.protocol, t.fault, t.vips) }

// allowed is how long the protocol itself lets the VIPs be without a MASTER
// after the old one's last advert.
func (t trial) allowed() time.Duration {
	if t.fault == stop {
		return t.protocol.skew()
	}
	return t.protocol.masterDown()
}

// trials are the cases whose name matches.
func trials(only *regexp.Regexp) []trial {
	var all []trial
	for _, p := range []protocol{{2, time.Second}, {3, 100 * time.Millisecond}, {3, 10 * time.Millisecond}} {
		for _, f := range []fault{sigkill, stop, linkDown} {
			for _, vips := range []int{1, 200} {
				if t := (trial{p, f, vips}); only.MatchString(t.String()) {
					all = append(all, t)
				}
			}
		}
	}
	return all
}

// addresses are so many VIPs, beside those of the hosts.
func addresses(n int) []netip.Addr {
	all := make([]netip.Addr, n)
	for i := range all {
		all[i] = netip.AddrFrom4([4]byte{10, 0, 1, byte(i + 1)})
	}
	return all
}
