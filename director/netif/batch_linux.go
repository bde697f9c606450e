package netif

import (
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxBatch is how many answers fit into a socket's receive buffer for sure.
const maxBatch = 64

// batch sends many rtnetlink requests at once. The library sends one and waits
// for its answer before the next, which takes several times longer than the
// kernel needs; a takeover may be hundreds.
type batch struct {
	mu sync.Mutex
	fd int
}

func openBatch() (*batch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(answerTimeout / time.Nanosecond))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("rtnetlink: SO_RCVTIMEO: %w", err)
	}
	return &batch{fd: fd}, nil
}

func (b *batch) close() { unix.Close(b.fd) }

// send sends the requests and reports which of them the kernel has confirmed.
func (b *batch) send(requests []*nl.NetlinkRequest) []bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	confirmed := make([]bool, 0, len(requests))
	for len(requests) > 0 {
		n := min(len(requests), maxBatch)
		confirmed = append(confirmed, b.exchange(requests[:n])...)
		requests = requests[n:]
	}
	return confirmed
}

func (b *batch) exchange(requests []*nl.NetlinkRequest) []bool {
	confirmed := make([]bool, len(requests))
	numbers := make(map[uint32]int, len(requests))
	var out []byte
	for i, r := range requests {
		numbers[r.Seq] = i
		out = append(out, r.Serialize()...)
	}
	if err := unix.Sendto(b.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return confirmed
	}
	in := make([]byte, 1<<15)
	for len(numbers) > 0 {
		n, _, err := unix.Recvfrom(b.fd, in, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return confirmed
		}
		messages, err := syscall.ParseNetlinkMessage(in[:n])
		if err != nil {
			return confirmed
		}
		for _, m := range messages {
			i, ours := numbers[m.Header.Seq]
			if !ours || m.Header.Type != unix.NLMSG_ERROR || len(m.Data) < 4 {
				continue // an answer that came too late for an earlier one
			}
			confirmed[i] = nl.NativeEndian().Uint32(m.Data) == 0
			delete(numbers, m.Header.Seq)
		}
	}
	return confirmed
}

// AddAll is Add for each of the VIPs, faster; the errors are in their order.
func (c *Conn) AddAll(vips []VIP) []error {
	errs := make([]error, len(vips))
	requests := make([]*nl.NetlinkRequest, 0, len(vips))
	for _, v := range vips {
		// Without an interface the kernel refuses it, and Add says why.
		index, _ := c.index(v.Interface)
		requests = append(requests, v.request(index))
	}
	for i, confirmed := range c.batch.send(requests) {
		if !confirmed {
			errs[i] = c.Add(vips[i])
		}
	}
	return errs
}

// DeleteAll is Delete for each of the addresses, faster; the errors are in their
// order.
func (c *Conn) DeleteAll(addresses []Address) []error {
	errs := make([]error, len(addresses))
	var requests []*nl.NetlinkRequest
	var rest, asked []int
	for i, a := range addresses {
		// Others may depend on one that is not a host address: one by one.
		index, err := c.index(a.Interface)
		if err != nil || a.Bits != a.Addr.BitLen() {
			rest = append(rest, i)
			continue
		}
		requests = append(requests, a.request(unix.RTM_DELADDR, unix.NLM_F_ACK, index, netlink.Addr{}))
		asked = append(asked, i)
	}
	for n, confirmed := range c.batch.send(requests) {
		if !confirmed {
			rest = append(rest, asked[n])
		}
	}
	for _, i := range rest {
		errs[i] = c.Delete(addresses[i])
	}
	return errs
}

// request asks for a change of the address, with what all requests have.
func (a Address) request(kind, flags, index int, options netlink.Addr) *nl.NetlinkRequest {
	family, raw := unix.AF_INET, a.Addr.AsSlice()
	if a.Addr.Is6() {
		family = unix.AF_INET6
	}
	r := nl.NewNetlinkRequest(kind, flags)
	m := nl.NewIfAddrmsg(family)
	m.Index, m.Prefixlen = uint32(index), uint8(a.Bits)
	m.Scope, m.IfAddrmsg.Flags = uint8(options.Scope), uint8(options.Flags)
	r.AddData(m)
	r.AddData(nl.NewRtAttr(unix.IFA_LOCAL, raw))
	r.AddData(nl.NewRtAttr(unix.IFA_ADDRESS, raw))
	return r
}

// request asks for the VIP to be put on the interface, as Add does.
func (v VIP) request(index int) *nl.NetlinkRequest {
	a := v.netlink(index)
	r := v.Address.request(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK, index, *a)
	if v.Broadcast.IsValid() {
		r.AddData(nl.NewRtAttr(unix.IFA_BROADCAST, v.Broadcast.AsSlice()))
	}
	if v.Label != "" {
		r.AddData(nl.NewRtAttr(unix.IFA_LABEL, nl.ZeroTerminated(v.Label)))
	}
	if a.ValidLft > 0 {
		life := nl.IfaCacheInfo{IfaCacheinfo: unix.IfaCacheinfo{Valid: uint32(a.ValidLft), Prefered: uint32(a.PreferedLft)}}
		r.AddData(nl.NewRtAttr(unix.IFA_CACHEINFO, life.Serialize()))
	}
	return r
}
